"""One explained text as Python users see it: its numbers, its words, and how it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batch_scorer.api import markup
from batch_scorer.scoring import plain
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


class Explanation:
    """Why a text has its score; `Model.explain` returns one. In a notebook it shows the text with its words marked.

    ``logit = bias + sum of all contributions`` (those of `words`, and of the mark before each piece read at once), and
    ``probability = 1 / (1 + exp(-logit / temperature))``.

    Args:
        review: the explained review.

    Attributes:
        text: as given.
        label: `positive` or `negative`.
        probability: of positive, 0 to 1.
        logit: the raw score; above 0 speaks for positive.
        words: every word of the text, in order.
        bias, temperature: of the model; the temperature may depend on the text.
        row: the text's row as in `Model.score`, by column.
    """

    def __init__(self, review: ExplainedReview) -> None:
        self._review = review
        self.text: str = review.text
        self.row: Mapping[str, Any] = review.row
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

    def __str__(self) -> str:
        return plain.explained(self._review)

    def __repr__(self) -> str:
        return f"Explanation(label={self.label!r}, probability={self.probability:.4f}, logit={self.logit:.4f})"

    def _repr_html_(self) -> str:
        return markup.explained(self._review)
