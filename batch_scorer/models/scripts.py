"""Which script a word is in: texts in another script than those that a model was trained on are ones it cannot read."""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

LATIN, OTHER = "Latin", "other"

# Letters other than Latin and its extensions, which end at U+024F and continue at U+1E00 (Unicode blocks).
_foreign = re.compile(r"[^\W\d_\u0000-\u024f\u1e00-\u1eff]")

# The first character of each range of blocks, and its script; what is between those that are named is in none of them.
_RANGES = (
    *((0x250, OTHER), (0x370, "Greek"), (0x400, "Cyrillic"), (0x530, "Armenian"), (0x590, "Hebrew"), (0x600, "Arabic")),
    *((0x700, OTHER), (0x750, "Arabic"), (0x780, OTHER), (0x860, OTHER), (0x870, "Arabic"), (0x900, "Devanagari")),
    *((0x980, "Bengali"), (0xA00, "Gurmukhi"), (0xA80, "Gujarati"), (0xB00, "Odia"), (0xB80, "Tamil")),
    *((0xC00, "Telugu"), (0xC80, "Kannada"), (0xD00, "Malayalam"), (0xD80, "Sinhala"), (0xE00, "Thai"), (0xE80, "Lao")),
    *((0xF00, "Tibetan"), (0x1000, "Burmese"), (0x10A0, "Georgian"), (0x1100, "Hangul"), (0x1200, "Ethiopic")),
    *((0x13A0, OTHER), (0x1780, "Khmer"), (0x1800, "Mongolian"), (0x18B0, OTHER), (0x1C80, "Cyrillic")),
    *((0x1C90, "Georgian"), (0x1CC0, OTHER), (0x1F00, "Greek"), (0x2000, OTHER), (0x2D00, "Georgian")),
    *((0x2D30, OTHER), (0x2D80, "Ethiopic"), (0x2DE0, "Cyrillic"), (0x2E00, OTHER), (0x2E80, "Han"), (0x3040, "Kana")),
    *((0x3100, "Bopomofo"), (0x3130, "Hangul"), (0x3190, OTHER), (0x31A0, "Bopomofo"), (0x31F0, "Kana")),
    *((0x3200, OTHER), (0x3400, "Han"), (0xA000, OTHER), (0xA640, "Cyrillic"), (0xA6A0, OTHER), (0xA8E0, "Devanagari")),
    *((0xA900, OTHER), (0xA960, "Hangul"), (0xA980, OTHER), (0xAA60, "Burmese"), (0xAA80, OTHER), (0xAB00, "Ethiopic")),
    *((0xAB30, OTHER), (0xAC00, "Hangul"), (0xD800, OTHER), (0xF900, "Han"), (0xFB00, OTHER), (0xFB13, "Armenian")),
    *((0xFB1D, "Hebrew"), (0xFB50, "Arabic"), (0xFE00, OTHER), (0xFE70, "Arabic"), (0xFF00, OTHER), (0xFF66, "Kana")),
    *((0xFFA0, "Hangul"), (0xFFE0, OTHER), (0x1AFF0, "Kana"), (0x1B170, OTHER), (0x20000, "Han"), (0x323B0, OTHER)),
)
SCRIPTS = (*sorted({name for _, name in _RANGES} - {OTHER}), OTHER)  # S names; Latin is what remains
COUNT = len(SCRIPTS)

_STARTS = [start for start, _ in _RANGES]
_NUMBERS = [SCRIPTS.index(name) for _, name in _RANGES]


@lru_cache(maxsize=65_536)
def _number(word: str) -> int:
    """The script of a word's first letter that is not Latin; `COUNT` if there is none. Words repeat."""
    letter = _foreign.search(word)
    return _NUMBERS[bisect.bisect_right(_STARTS, ord(letter.group())) - 1] if letter else COUNT


def script_counts(text: str, tokens: Sequence[str]) -> npt.NDArray[np.int32] | None:
    """How many of the words of `text`, which are `tokens`, have a letter of each script other than Latin: int32[S].

    A word counts once, for the first such letter. None: there are none.

    Example:
        >>> counts = script_counts("a 영화 and слово", ["a", "영화", "and", "слово"])
        >>> {name: int(n) for name, n in zip(SCRIPTS, counts) if n}
        {'Cyrillic': 1, 'Hangul': 1}
    """
    if text.isascii() or not _foreign.search(text):
        return None
    numbers = np.fromiter(map(_number, tokens), np.int64, len(tokens))
    counts = np.bincount(numbers, minlength=COUNT + 1)[:COUNT].astype(np.int32)
    return counts if counts.any() else None
