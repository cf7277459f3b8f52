"""What would the score be without some of the words: they are cut out, and the rest is scored again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from batch_scorer.errors import InputError
from batch_scorer.escape import safe
from batch_scorer.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    from batch_scorer.api.explanation import ExplainedWord, Explanation

Cut = str | tuple[int, int]  # a word or a phrase, wherever it occurs; or a slice of the text

_CHARACTERS = 80  # shown of what is cut


@dataclass(frozen=True)
class WhatIf:
    """A text before and after a cut; `Explanation.without` returns one.

    The change is what the model makes of the cut, its neighbours included; the contribution of a word is its share of
    the score as it was. They differ, and neither tells what the author would have written instead.

    Args:
        before, after: the text, and what is left of it, explained.
        cut: what was cut, as slices of the text before, in its order.
    """

    before: Explanation
    after: Explanation
    cut: tuple[tuple[int, int], ...]

    @property
    def text(self) -> str:
        """What is left."""
        return self.after.text

    @property
    def words(self) -> tuple[ExplainedWord, ...]:
        """Every word of what is left."""
        return self.after.words

    @property
    def probability_before(self) -> float:
        """Of positive, with the whole text."""
        return self.before.probability

    @property
    def probability(self) -> float:
        """Of positive, after the cut."""
        return self.after.probability

    @property
    def change(self) -> float:
        """`probability` less `probability_before`."""
        return self.probability - self.probability_before

    def __str__(self) -> str:
        return f"{self._head()}\n\n{self.after}"

    def __repr__(self) -> str:
        before, now = f"{self.probability_before:.4f}", f"{self.probability:.4f}"
        return f"WhatIf(label={self.after.label!r}, probability_before={before}, probability={now})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._head())}</p>{self.after._repr_html_()}"

    def _head(self) -> str:
        shown = ", ".join(f'"{safe(self.before.text[start:end], _CHARACTERS)}"' for start, end in self.cut)
        labels = " -> ".join(dict.fromkeys((self.before.label, self.after.label)))
        return f"without {shown}: P(positive) {self.probability_before:.3f} -> {self.probability:.3f}, {labels}"


def cuts(text: str, words: Sequence[ExplainedWord], tokenizer: Tokenizer, what: Sequence[Cut]) -> list[tuple[int, int]]:
    """The slices to cut, in order and disjoint.

    Raises:
        InputError: a word or phrase does not occur, or a slice is not one of the text.
    """
    if not what:
        raise InputError("there is nothing to cut", where="without", expected="words, phrases or slices", got="none")
    found = [place for one in what for place in _places(text, words, tokenizer, one)]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _places(text: str, words: Sequence[ExplainedWord], tokenizer: Tokenizer, one: Cut) -> list[tuple[int, int]]:
    if not isinstance(one, str):
        start, end = one
        if not 0 <= start < end <= len(text):
            raise InputError(
                "there is no such slice of the text",
                where="without",
                expected=f"(start, end), with 0 <= start < end <= {len(text)}",
                got=repr(one),
            )
        return [(start, end)]
    sought = [one[a:b].lower() for a, b in zip(*(edges.tolist() for edges in tokenizer.spans(one)), strict=True)]
    tokens = [word.token for word in words]
    n = len(sought)
    at = [i for i in range(len(tokens) - n + 1) if tokens[i : i + n] == sought] if n else []
    if not at:
        raise InputError(
            "this does not occur in the text",
            where="without",
            expected="words of the text, next to each other, in any case",
            got=safe(one, _CHARACTERS),
            fix="see the tokens in `words`; a slice (start, end) cuts anything",
        )
    return [(words[i].char_start, words[i + n - 1].char_end) for i in at]
