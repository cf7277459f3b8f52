"""Text -> words -> ids: one rule, shared by training, scoring and offsets.

Words are the matches of ``[\\w']+`` in the text, with ``<br />`` read as white space, lower-cased one by one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]  # of one review: int32[n]
PAD, START, OOV = 0, 1, 2
RESERVED = ("<pad>", "<start>", "<oov>")  # no word can equal one: `<` and `>` are not word characters
PATTERN = r"[\w']+"
LINE_BREAK = "<br />"
MAX_IDS = 500
MAX_WORDS = MAX_IDS - 1  # and the start mark

_BLANK = " " * len(LINE_BREAK)  # of the same length, so that offsets are valid in the original text
_word = re.compile(PATTERN)
# Letters other than Latin and its extensions, which end at U+024F and continue at U+1E00 (Unicode blocks).
_foreign = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")

# Latin letters and common punctuation, by far the most common case, need no regular expression: one table lower-cases
# words and blanks the rest. Not U+0130, which becomes longer, nor U+0250 to U+1FFF, other scripts, not all as simple.
_simple = re.compile(r"[\u0000-\u012f\u0131-\u024f\u2000-\u206f]*\Z")
_is_word = np.array([bool(_word.match(chr(c))) for c in range(0x2070)])
_table = "".join(chr(c).lower()[0] if _is_word[c] else " " for c in range(0x2070))


def words(text: str) -> list[str]:
    """The lower-cased words of `text`, in order."""
    text = text.replace(LINE_BREAK, _BLANK)
    if text.isascii() or _simple.match(text):
        return text.translate(_table).split()
    # Lower-casing the whole text first would be wrong: the Greek final sigma depends on what follows the word, and some
    # letters (U+0130) become longer, so that words and offsets would no longer match.
    return [word.lower() for word in _word.findall(text)]


def foreign_words(text: str, tokens: list[str]) -> int:
    """How many of the words of `text`, which are `tokens`, contain a letter of a script other than Latin."""
    if text.isascii() or not _foreign.search(text):
        return 0
    return sum(_foreign.search(word) is not None for word in tokens)


def spans(text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Where the words of `text` start and end, in code points.

    Returns:
        starts, ends: int32[N] each, N being ``len(words(text))``; ``text[starts[i]:ends[i]].lower()`` is word i.
    """
    text = text.replace(LINE_BREAK, _BLANK)
    codes: npt.NDArray[Any] | None = None
    if text.isascii():
        codes = np.frombuffer(text.encode("ascii"), np.uint8)
    elif _simple.match(text):
        codes = np.frombuffer(text.encode("utf-16-le"), "<u2")
    if codes is not None:
        inside = np.zeros(len(codes) + 2, np.bool_)
        inside[1:-1] = _is_word[codes]
        edges = np.flatnonzero(inside[1:] != inside[:-1]).astype(np.int32)
        return edges[0::2], edges[1::2]
    places = np.array([match.span() for match in _word.finditer(text)], np.int32).reshape(-1, 2)
    return places[:, 0], places[:, 1]


@dataclass(frozen=True)
class Tokenizer:
    """Turns words into ids by a vocabulary.

    Args:
        vocabulary: the token of each id, the three reserved ones first.
        max_words: how many words of a review are used: the *last* ones, since reviews end with their verdict.
        max_ids: the most ids that a review has. If `max_words` is as large, as in the notebook's variant, a review of
            that many words loses its start mark, as with `keras.utils.pad_sequences`.
    """

    vocabulary: Sequence[str]
    max_words: int = MAX_WORDS
    max_ids: int = MAX_IDS
    _id_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_id_of", {token: i for i, token in enumerate(self.vocabulary) if i > OOV})

    def ids(self, tokens: Sequence[str]) -> Ids:
        """The start mark and the ids of the last `max_words` of `tokens`, cut to the last `max_ids`: int32[n]."""
        used = tokens[-self.max_words :]
        ids = itertools.chain((START,), map(self._id_of.get, used, itertools.repeat(OOV)))
        return np.fromiter(ids, np.int32, 1 + len(used))[-self.max_ids :]


def build_vocabulary(texts: Iterable[str], size: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The `size` - 3 most frequent words of `texts`, ties in alphabetical order, after the reserved tokens.

    Returns:
        vocabulary: list[size] of tokens, or fewer if the texts have fewer words.
        counts: int64[len(vocabulary)], how often each id occurs when the texts are encoded in full.
    """
    seen: dict[str, int] = {}
    reviews = 0
    for text in texts:
        reviews += 1
        for word in words(text):
            seen[word] = seen.get(word, 0) + 1
    ranked = sorted(seen, key=lambda word: (-seen[word], word))
    kept = ranked[: size - len(RESERVED)]
    unknown = sum(seen[word] for word in ranked[len(kept) :])
    return [*RESERVED, *kept], np.array([0, reviews, unknown, *(seen[word] for word in kept)], np.int64)
