"""Words of texts in any script, for models whose ids are pieces of words: a pattern, and what follows from it alone.

Most scripts have blanks between words. Chinese, Japanese, Thai, Lao, Khmer and Burmese have none: of these the pattern
finds runs, which only a model's pieces divide into the units that are listed. Marks such as the vowel signs of Hindi,
which Python's ``\\w`` leaves out, belong to their word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import LINE_BREAK, Rule, spans

Places = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]

# Scripts without blanks: their letters, marks and digits, but neither punctuation nor the signs of currencies.
_RUN = (
    r"\u0e01-\u0e3a\u0e40-\u0e4e\u0e50-\u0e59\u0e81-\u0edf\u1000-\u1049\u1050-\u109d\u1780-\u17d3\u17d7"
    r"\u17dc-\u17dd\u17e0-\u17e9\u3005-\u3007\u3021-\u302f\u3031-\u3035\u303b-\u303c\u3041-\u3096\u3099-\u309a"
    r"\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\ua9e0-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f"
    r"\U00020000-\U000323af"
)
# What continues a word besides letters: combining marks, and the joiners of Persian and of Indian scripts.
_MARK = (
    r"\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1-\u05c2\u05c4-\u05c5\u05c7\u0610-\u061a\u064b-\u065f"
    r"\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0711-\u07f3\u07fd\u0816-\u082d\u0859-\u085b\u0898-\u08e1"
    r"\u08e3-\u0963\u0981-\u09e3\u09fe-\u0a75\u0a81-\u0ae3\u0afa-\u0b63\u0b82-\u0bd7\u0c00-\u0c63\u0c81-\u0c83"
    r"\u0cbc-\u0d4d\u0d57-\u0d63\u0d81-\u0df3\u0f18-\u0f19\u0f35\u0f37\u0f39\u0f3e-\u0f84\u0f86-\u0fbc\u0fc6"
    r"\u135d-\u135f\u1712-\u1734\u1752-\u1773\u180b-\u180d\u180f-\u193b\u1a17-\u1a1b\u1a55-\u1a7f\u1ab0-\u1b44"
    r"\u1b6b-\u1b73\u1b80-\u1bf3\u1c24-\u1c37\u1cd0-\u1cd2\u1cd4-\u1dff\u20d0-\u20f0\u2cef-\u2cf1\u2d7f-\u2dff"
    r"\ua66f-\ua672\ua674-\ua67d\ua69e-\ua6f1\ua802-\ua827\ua82c\ua880-\ua8c5\ua8e0-\ua8f1\ua8ff-\ua92d"
    r"\ua947-\ua953\ua980-\ua9c0\uaa29-\uaa4d\uaab0-\uaac1\uaaeb-\uaaef\uaaf5-\uaaf6\uabe3-\uabea\uabec-\uabed"
    r"\ufb1e\ufe00-\ufe0f\ufe20-\ufe2f"
    r"\u200c\u200d\U00011100-\U00011134\U0001e944-\U0001e94a\U000e0100-\U000e01ef"
)
_SELECTORS = r"\u0300-\u036f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # marks that may follow a letter of any script
_AS_RUN, _AS_WORD = rf"(?=\w)[{_RUN}{_SELECTORS}]+", rf"[\w'\u2019](?:(?![{_RUN}])[\w'\u2019{_MARK}])*"
# A match that begins with a letter of a run is one; any other is a word, and ends where a run begins.
PIECES = f"{_AS_RUN}|{_AS_WORD}"

_BLANK = " " * len(LINE_BREAK)

# Within a run no unit begins with one of these: vowel signs, repetition and length marks, the second half of a stack.
_JOINED = (
    r"\u0e30-\u0e3a\u0e45-\u0e4e\u0eb0-\u0ebc\u0ec6-\u0ece\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064"
    r"\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b4-\u17d3\u17dd\u3005\u302a-\u302f\u303b"
    r"\u3099-\u309a\u309d-\u309e\u30fc-\u30fe\ua9e5\uaa7b-\uaa7d\uff70\uff9e-\uff9f" + _SELECTORS
)
_OPEN = r"\u0e40-\u0e44\u0ec0-\u0ec4\u1039\u17d2"  # nor does it end with one: leading vowels, and what stacks letters


class _Rules(NamedTuple):
    """What is made of the patterns, once they are needed: it takes longer than importing the module."""

    told_apart: re.Pattern[str]  # `PIECES`, with a group for runs
    pieces: re.Pattern[str]
    words: re.Pattern[str]  # the same where a text has no character of a run
    in_run: re.Pattern[str]
    cluster: re.Pattern[str]
    joined: frozenset[str]
    open: frozenset[str]


@cache
def _rules() -> _Rules:
    return _Rules(
        re.compile(f"({_AS_RUN})|{_AS_WORD}"),
        re.compile(PIECES),
        re.compile(rf"[\w'\u2019][\w'\u2019{_MARK}]*"),
        re.compile(f"[{_RUN}]"),
        re.compile(rf"(?s:.)[{_JOINED}]*"),
        _characters(_JOINED),
        _characters(_OPEN),
    )


def _characters(ranges: str) -> frozenset[str]:
    """The characters of a class of a regular expression, as it is written here."""
    code = r"\\[uU]([0-9a-f]+)"
    bounds = [(int(a, 16), int(b or a, 16)) for a, b in re.findall(f"{code}(?:-{code})?", ranges)]
    return frozenset(chr(c) for a, b in bounds for c in range(a, b + 1))


def matches(text: str) -> Iterator[re.Match[str]]:
    """The words and runs of `text`, in order; the latter have a group 1.

    Offsets are valid in `text`, also where it has a ``<br />``.
    """
    text = text.replace(LINE_BREAK, _BLANK)
    return (_rules().told_apart if has_runs(text) else _rules().words).finditer(text)


def found(text: str) -> list[str]:
    """The words and runs of `text`, in order, as they stand in it."""
    text = text.replace(LINE_BREAK, _BLANK)
    return (_rules().pieces if has_runs(text) else _rules().words).findall(text)


def found_without_runs(text: str) -> list[str]:
    """As `found`, of a text that has no runs."""
    return _rules().words.findall(text.replace(LINE_BREAK, _BLANK))


def has_runs(text: str) -> bool:
    """Whether `text` has a character of a script without blanks."""
    return _rules().in_run.search(text) is not None


def is_run(token: str) -> bool:
    """Whether a match is a run, or a unit of one, rather than a word.

    Example:
        >>> is_run("最高"), is_run("good"), is_run("영화")
        (True, False, False)
    """
    return _rules().in_run.match(token) is not None


def looked_up(word: str) -> str:
    """What a word is looked up as: in lower case, with plain apostrophes, and composed (Unicode's NFC).

    Example:
        >>> looked_up("DON\u2019T"), looked_up("Cafe\u0301") == "caf\u00e9"
        ("don't", True)
    """
    return unicodedata.normalize("NFC", word.lower().replace("\u2019", "'"))


def composed(run: str) -> tuple[str, list[int] | None]:
    """A run as it is looked up, and where each of its characters stands in `run`; None: at the same place.

    Example:
        >>> composed("か\u3099く") == ("がく", [0, 2, 3])
        True
    """
    form = looked_up(run)
    if form == run:
        return form, None
    places, parts = list[int](), list[str]()
    for cluster in _rules().cluster.finditer(run):  # nothing composes across the border of two clusters
        parts.append(looked_up(cluster.group()))
        places += [cluster.start()] * len(parts[-1])
    return "".join(parts), [*places, len(run)]


def joined(pieces: list[str]) -> list[str]:
    """The units of a run: its pieces, but that none begins with a vowel sign or the like.

    Example:
        >>> joined(["スト", "ーリ", "ー"]), joined(["最高", "です"])
        (['ストーリー'], ['最高', 'です'])
    """
    units, inner, leading = list[str](), _rules().joined, _rules().open
    for piece in pieces:
        if units and (piece[0] in inner or units[-1][-1] in leading):
            units[-1] += piece
        else:
            units.append(piece)
    return units


def places(text: str, pattern: Rule) -> Places:
    """Where the words and runs of `text` begin and end, in code points, by a model's pattern: int32[N] each."""
    if pattern != PIECES:
        return spans(text, pattern)
    found = np.array([match.span() for match in matches(text)], np.int32).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def count_limits(text: str, pattern: Rule) -> tuple[int, int]:
    """The fewest and the most units that `text` can have. They differ where it has runs: a model divides these.

    Example:
        >>> count_limits("very good", PIECES), count_limits("iPhone 最高です", PIECES)
        ((2, 2), (2, 5))
    """
    starts, ends = places(text, pattern)
    if pattern != PIECES or not has_runs(text):
        return len(starts), len(starts)
    lengths = [b - a if is_run(text[a]) else 1 for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    return len(starts), sum(lengths)
