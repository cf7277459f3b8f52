"""Text -> words -> ids: the one rule that training, scoring and offsets share.

Words are the matches of ``[\\w']+`` in the text, with ``<br />`` read as white space, lower-cased one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

PAD, START, OOV = 0, 1, 2
RESERVED = ("<pad>", "<start>", "<oov>")  # no word can equal one: `<` and `>` are not word characters
PATTERN = r"[\w']+"
LINE_BREAK = "<br />"
MAX_IDS = 500
MAX_WORDS = MAX_IDS - 1  # and the start mark

_BLANK = " " * len(LINE_BREAK)  # as long as the mark, so that offsets hold in the original text
_word = re.compile(PATTERN)
# Letters beyond Latin and its extensions, which end at U+024F and go on at U+1E00 (Unicode blocks).
_foreign = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")

# ASCII, by far the most common case, needs no regular expression: one table lower-cases and blanks the rest.
_is_word = np.array([bool(_word.match(chr(c))) for c in range(128)])
_ascii_words = "".join(chr(c).lower() if _is_word[c] else " " for c in range(128))


def words(text: str) -> list[str]:
    """The lower-cased words of `text`, in order."""
    text = text.replace(LINE_BREAK, _BLANK)
    if text.isascii():
        return text.translate(_ascii_words).split()
    # Lower-casing the whole text first would be wrong: the Greek final sigma depends on what follows the word,
    # and some letters (U+0130) grow, which would shift the words apart from their offsets.
    return [word.lower() for word in _word.findall(text)]


def foreign_words(text: str, found: list[str]) -> int:
    """How many of the words `found` in `text` hold a letter of another script than Latin."""
    return 0 if text.isascii() else sum(_foreign.search(word) is not None for word in found)


def spans(text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Where the words of `text` start and end, in code points.

    Returns:
        starts, ends: int32[N] each, N being ``len(words(text))``; ``text[starts[i]:ends[i]].lower()`` is word i.
    """
    text = text.replace(LINE_BREAK, _BLANK)
    if text.isascii():
        inside = np.zeros(len(text) + 2, np.bool_)
        inside[1:-1] = _is_word[np.frombuffer(text.encode("ascii"), np.uint8)]
        edges = np.flatnonzero(inside[1:] != inside[:-1]).astype(np.int32)
        return edges[0::2], edges[1::2]
    found = np.array([match.span() for match in _word.finditer(text)], np.int32).reshape(-1, 2)
    return found[:, 0], found[:, 1]


@dataclass(frozen=True)
class Tokenizer:
    """Words to ids by a vocabulary.

    Args:
        vocabulary: token of each id, the three reserved ones first.
        max_words: how many words of a review are used; the *last* ones, since reviews end with their verdict.
        max_ids: how many ids a review has at most. Where `max_words` is as large, as in the notebook's variant, a
            review of so many words loses its start mark, as `keras.utils.pad_sequences` cuts it.
    """

    vocabulary: Sequence[str]
    max_words: int = MAX_WORDS
    max_ids: int = MAX_IDS
    _id_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_id_of", {token: i for i, token in enumerate(self.vocabulary) if i > OOV})

    def ids(self, found: Sequence[str]) -> npt.NDArray[np.int32]:
        """The start mark and the ids of the last `max_words` of `found`, of these the last `max_ids`: int32[n]."""
        used = found[-self.max_words :]
        id_of = self._id_of.get
        return np.array([START, *(id_of(word, OOV) for word in used)][-self.max_ids :], np.int32)


def build_vocabulary(texts: Iterable[str], size: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The `size` - 3 most frequent words of `texts`, ties in alphabetical order, after the reserved tokens.

    Returns:
        vocabulary: list[size] of tokens, or fewer where the texts have fewer words.
        counts: int64[len(vocabulary)], how often each id occurs when the texts are encoded whole.
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
