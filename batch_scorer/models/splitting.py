"""How the tokenizers of Keras split a text into words, as data: for models that were trained with one of them.

A word is what stands between separators. `Tokenizer` separates by its filters; `TextVectorization` separates by white
space and deletes punctuation, from within words too, so that a word is looked up by less than its slice of the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Spans = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]

WHOLE, ASCII, NONE = LOWERCASE = ("whole text", "ASCII letters", "none")
WHITE_SPACE = " \t\n\v\f\r"
PUNCTUATION = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'  # of `Tokenizer`, by default

SKIPPED = -1  # in place of the id of a word that the network does not read, since it is unknown
MOST_SKIPPED = 20  # times what a network reads: so many words are kept; a text of unknown ones would have no bound

_ascii_lower = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_letter_or_digit = re.compile(r"[^\W_]").search


@dataclass(frozen=True)
class Splitting:
    """The rules of a tokenizer of Keras.

    Args:
        separators: the characters between words.
        removed: characters that are deleted from words; what consists of nothing else is no word.
        lowercase: what is lower-cased before a word is looked up, one of `LOWERCASE`.
        start_mark: whether a review begins with the id 1, as in `keras.datasets.imdb`.
        drops_unknown: whether unknown words are dropped before anything is cut or read, as `Tokenizer` does it without
            an `oov_token`; otherwise they have the id 2.
        reads_first: whether the first words are read of a text that is too long, rather than the last.

    Example:
        >>> Splitting(WHITE_SPACE, PUNCTUATION, ASCII).words("It's 'GOOD'.<br />")
        ['its', 'good', 'br']
    """

    separators: str
    removed: str = ""
    lowercase: str = WHOLE
    start_mark: bool = False
    drops_unknown: bool = False
    reads_first: bool = False
    _word: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_word", re.compile(self.pattern))

    @cached_property
    def pattern(self) -> str:
        """The slices of a text that are words, as a regular expression: it needs no more time than the text is long."""
        kept = "[^" + re.escape(self.separators + self.removed) + "]"
        if not self.removed:
            return kept + "+"
        return f"{kept}(?:[^{re.escape(self.separators)}]*{kept})?"

    @staticmethod
    def from_json(rules: Mapping[str, Any], reads_first: bool = False) -> Splitting:
        """The inverse of `to_json`."""
        return Splitting(**rules, reads_first=reads_first)

    def to_json(self) -> dict[str, Any]:
        """As in manifests, where `reads_first` is part of `long_texts`."""
        return {name: value for name, value in asdict(self).items() if name not in ("_word", "reads_first")}

    def words(self, text: str) -> list[str]:
        """The words of `text`, in order, as they are looked up."""
        if self.lowercase == ASCII:
            text = text.translate(_ascii_lower)
        elif self.lowercase == WHOLE:
            lowered = text.lower()
            if len(lowered) != len(text):  # a letter became longer; the slices would no longer be those of `spans`
                return [self._without_removed(word.lower()) for word in self._word.findall(text)]
            text = lowered
        return [self._without_removed(word) for word in self._word.findall(text)]

    def _without_removed(self, word: str) -> str:
        return word.translate(dict.fromkeys(map(ord, self.removed))) if self.removed else word

    def spans(self, text: str) -> Spans:
        """Where the words of `text` start and end, in code points: int32[N] each, N being ``len(words(text))``."""
        places = np.array([match.span() for match in self._word.finditer(text)], np.int32).reshape(-1, 2)
        return places[:, 0], places[:, 1]

    def cut(self, ids: npt.NDArray[np.int32], max_ids: int) -> npt.NDArray[np.int32]:
        """The first or last ids of a review of which `max_ids` are read, and what is `SKIPPED` among them.

        Args:
            ids: int32[n]
        """
        if len(ids) <= max_ids:
            return ids
        read = np.flatnonzero(ids != SKIPPED)
        if self.reads_first:
            end = int(read[max_ids]) if len(read) > max_ids else len(ids)
            return ids[: min(end, MOST_SKIPPED * max_ids)]
        first = int(read[-max_ids]) if len(read) > max_ids else 0
        return ids[first:][-MOST_SKIPPED * max_ids :]

    def has_words(self, text: str) -> bool:
        """Whether `words` finds any with a letter or a digit, neither of which separates words or is removed."""
        return _letter_or_digit(text) is not None


def fault(rules: Mapping[str, Any]) -> str | None:
    """What the rules of a manifest should be, if they are not: otherwise `words` and `spans` might not agree."""
    separators, removed = rules["separators"], rules["removed"]
    if any(c.isalnum() for c in separators + removed):
        return "separators and removed characters that are neither letters nor digits"
    return None if separators else "at least one separator"
