"""One explained text as Python users see it: its numbers, its words, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from batch_scorer.api import markup
from batch_scorer.api.what_if import Cut, WhatIf, cuts
from batch_scorer.models.tokenizer import Tokenizer
from batch_scorer.schema import Segments
from batch_scorer.scoring import plain
from batch_scorer.scoring.deletions import left_over
from batch_scorer.scoring.review import ExplainedReview


@dataclass(frozen=True)
class ExplainedWord:
    """A word of a text; `text[char_start:char_end]` is how it is written there.

    Args:
        token: in lower case.
        position: 0 is the first word of the text.
        attention, contribution: its share of the attention, and what it adds to the logit; 0 if it is not read.
        known: whether it is in the model's vocabulary; True if it is not read.
        read: whether it is among the words that the model reads, which of a very long text are the last ones.
    """

    token: str
    position: int
    char_start: int
    char_end: int
    attention: float
    contribution: float
    known: bool
    read: bool


@dataclass(frozen=True)
class ExplainedSegment:
    """A sentence or a phrase of a text; `text[char_start:char_end]` is how it is written there.

    Args:
        text: as it is written, from its first word to its last.
        position: that of its first word.
        n_words: how many words it has.
        contribution, attention: the sums over these words.
    """

    text: str
    position: int
    n_words: int
    char_start: int
    char_end: int
    contribution: float
    attention: float


class Explanation:
    """Why a text has its score; `Model.explain` returns one. In a notebook it shows the text with its words marked.

    ``logit = bias + sum of all contributions`` (those of `words`, and of the mark before each piece read at once), and
    ``probability = 1 / (1 + exp(-logit / temperature))``.

    Args:
        review: the explained review, with its sentences and phrases.
        explain: explains another text by the same model.
        tokenizer: that of the model.

    Attributes:
        text: as given.
        label: `positive` or `negative`.
        probability: of positive, 0 to 1.
        logit: the raw score; above 0 speaks for positive.
        words: every word of the text, in order.
        sentences: every sentence of what is read, in order; each word that is read is in one of them.
        spans: the phrases that weigh most, by absolute contribution.
        bias, temperature: of the model; the temperature may depend on the text.
        row: the text's row as in `Model.score`, by column.
    """

    def __init__(self, review: ExplainedReview, explain: Callable[[str], Explanation], tokenizer: Tokenizer) -> None:
        extra = Segments(True, 1).columns
        self.row: Mapping[str, Any] = {name: value for name, value in review.row.items() if name not in extra}
        self._review, self._explain, self._tokenizer = replace(review, row=self.row), explain, tokenizer
        self.text: str = review.text
        self.label: str = review.row["predicted_label"]
        self.probability: float = review.row["probability"]
        self.logit: float = review.row["logit"]
        self.bias, self.temperature = review.bias, review.temperature
        self.words = tuple(
            ExplainedWord(
                review.text[word.start : word.end].lower(), position, word.start, word.end,
                word.attention, word.contribution, word.is_known, word.is_read,
            )
            for position, word in enumerate(review.words)
        )  # fmt: skip

        self.sentences, self.spans = (
            tuple(
                ExplainedSegment(text=review.text[one["char_start"] : one["char_end"]], **one)
                for one in review.row.get(column, ())
            )
            for column in ("sentences", "top_spans")
        )

    def without(self, *what: Cut) -> WhatIf:
        """Scores the text again without some of it: what would the score be?

        Args:
            what: each a word or a phrase, which is cut wherever it occurs, in any case; or a slice `(start, end)`, in
                characters.

        Raises:
            InputError: a word or phrase does not occur, there is no such slice, or no word is left.

        Example:
            >>> from batch_scorer import load_model
            >>> what_if = load_model().explain("This is not a good film.").without("not")
            >>> what_if.text, what_if.before.label, what_if.after.label
            ('This is a good film.', 'negative', 'positive')
        """
        places = cuts(self.text, self.words, self._tokenizer, what)
        return WhatIf(self, self._explain(left_over(self.text, places)), tuple(places))

    def __str__(self) -> str:
        return plain.explained(self._review)

    def __repr__(self) -> str:
        return f"Explanation(label={self.label!r}, probability={self.probability:.4f}, logit={self.logit:.4f})"

    def _repr_html_(self) -> str:
        return markup.explained(self._review)
