"""Texts -> cells of a CSV file that spreadsheets leave as they are, and back.

A spreadsheet runs a cell that begins like a formula, and rewrites one that looks like a number or a date when it saves.
"""

from __future__ import annotations

import re

# Zero-width space: nothing is seen of it, no word contains it, and no spreadsheet takes it for the start of anything.
GUARD = "\u200b"
CELL_CHARACTERS = 32_767  # the most that Excel keeps in a cell

# What begins a formula (OWASP, "CSV injection"), also in full width; and a guard of the text's own.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20\u200b]")
# Numbers that are saved as they were: others lose zeros or digits, and much else that begins like one becomes a date.
_PLAIN_NUMBER = re.compile(r"(0|[1-9]\d{0,14})(\.\d{0,14}[1-9])?")
_LIKE_A_VALUE = re.compile(
    r"\s*([.,\d$€£%(].{0,30}|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w{0,6}[\s./-]*\d.{0,20}|true|false)\s*",
    re.IGNORECASE | re.DOTALL,
)


def guarded(text: str) -> str:
    """`text` as the content of a cell: behind a `GUARD` where a spreadsheet would not take it for a text.

    Example:
        >>> [guarded(text).startswith(GUARD) for text in ("=1+1", "8/10", "007", "MAR1", "7", "A fine film.")]
        [True, True, True, True, False, False]
    """
    if _FORMULA.match(text) or (_LIKE_A_VALUE.fullmatch(text) and not _PLAIN_NUMBER.fullmatch(text)):
        return GUARD + text
    return text


def unguarded(cell: str) -> str:
    """The text that `guarded` made a cell of; any other cell is left alone."""
    text = cell.removeprefix(GUARD)
    return text if guarded(text) == cell else cell
