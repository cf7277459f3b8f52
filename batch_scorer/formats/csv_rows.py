"""The records of a CSV file from its lines, with what is malformed told apart from what follows.

A quote that is never closed would swallow the records after it. So if a record of several lines turns out to be
malformed, only its first line is rejected, and reading continues with the second. The same goes for one that holds
tab-separated records.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

QUOTE, NO_QUOTE = '"', "none"
SINGLE_QUOTES = """--quote "'\""""  # as one types it
TAB = "\t"
_AGAIN_BYTES, _AGAIN_TIMES = 1 << 20, 16  # how much may be read again: this much, and each byte this often on average


@dataclass(frozen=True)
class Dialect:
    """How fields are written.

    Args:
        delimiter: between fields.
        quote: around fields that hold a delimiter or a line end, doubled within; `NO_QUOTE` if nothing has that role.
        escape: before a character that stands for itself, or None.
    """

    delimiter: str
    quote: str = QUOTE
    escape: str | None = None

    def parser(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The parser of the standard library, set up accordingly."""
        quoting: Literal[0, 3] = csv.QUOTE_NONE if self.quote == NO_QUOTE else csv.QUOTE_MINIMAL
        quote = QUOTE if self.quote == NO_QUOTE else self.quote
        return csv.reader(
            lines, delimiter=self.delimiter, quotechar=quote, quoting=quoting, escapechar=self.escape, strict=True
        )


@dataclass(frozen=True)
class Malformed:
    """A malformed record: an error code, a message, and the line at fault."""

    code: str
    message: str
    line: str


class _TooLong(Exception):
    """A line, or all lines of one record together, are longer than a record may be."""


class Lines:
    """Feeds lines to the parser and remembers those of the current record, so that they can be read again.

    Args:
        source: lines with their ends; None for one that is too long.
        max_bytes: of all lines of a record.
    """

    def __init__(self, source: Iterator[str | None], max_bytes: int) -> None:
        self._source, self._max = source, max_bytes
        self._again: deque[str | None] = deque()
        self.taken: list[str | None] = []
        self._taken_bytes = self._source_bytes = self._again_bytes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            line = self._again.popleft()
        else:
            line = next(self._source)
            self._source_bytes += len(line or "")
        self.taken.append(line)
        self._taken_bytes += len(line or "")
        if line is None or self._taken_bytes > self._max:
            raise _TooLong
        return line

    def begin_record(self) -> None:
        """Forgets the lines of the previous record."""
        self.taken, self._taken_bytes = [], 0

    def give_back(self) -> list[str | None]:
        """Puts back all lines of the current record except the first, and returns those not put back.

        A hostile file could have each line read again with every line before it: past a limit, none is put back.
        """
        used = 1 if self._again_bytes <= _AGAIN_BYTES + _AGAIN_TIMES * self._source_bytes else len(self.taken)
        if used == 1:
            self._again_bytes += self._taken_bytes
        self._again.extendleft(reversed(self.taken[used:]))
        return self.taken[:used]


def read_rows(lines: Lines, dialect: Dialect, width: int = 0) -> Iterator[list[str] | Malformed]:
    """The fields of each record, without blank lines.

    Args:
        width: how many fields a record has; 0 if the first one says so.
    """
    csv.field_size_limit(1 << 30)  # lines are bounded already; the parser's own limit is far below a long review
    reader = dialect.parser(lines)
    while True:
        lines.begin_record()
        try:
            row = next(reader)
            if dialect.delimiter == TAB and _holds_records(lines.taken, row, width):
                raise csv.Error("each of the lines looks like a record")
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            too_long = isinstance(error, _TooLong) and len(lines.taken) == 1
            message = "the line is longer than a record may be" if too_long else f"the quotes do not match: {error}"
            code = "text_too_large" if too_long else "malformed_csv"
            for number, line in enumerate(lines.give_back()):
                if number == 0 or line is None or line.strip():
                    advice = "" if too_long else _advice(line or "", dialect)
                    yield Malformed(code, message.rstrip(": ") + advice, line or "")
            continue
        if row:
            width = width or len(row)
            yield row


def _advice(line: str, dialect: Dialect) -> str:
    """Which option would read a malformed line, where it tells."""
    if dialect.escape is None and f"\\{dialect.quote}" in line:
        return "; for backslashes before quotes, give --escape '\\'"
    if dialect.delimiter == TAB and dialect.quote != NO_QUOTE:
        return "; if quotes stand for themselves, give --quote none"
    return ""


def width_advice(row: list[str], dialect: Dialect) -> str:
    """Which option would read a record with too many fields: some may be parts of one in single quotes."""
    opened = next((at for at, field in enumerate(row) if field.lstrip().startswith("'")), len(row))
    is_torn = any(field.rstrip().endswith("'") for field in row[opened + 1 :])
    return f"; if fields are in single quotes, give {SINGLE_QUOTES}" if is_torn and dialect.quote == QUOTE else ""


def _holds_records(lines: list[str | None], row: list[str], width: int) -> bool:
    """Whether the lines of one record, separated by tabs, are records of their own.

    Then a quote that stands for itself opened a field, and another closed it some records later. The first line and the
    last one have as many fields as the header without any quoting, or all of them together do not. Commas prove
    nothing: reviews have them too.
    """
    filled = [line for line in lines if line and line.strip()]
    if len(filled) < 2 or width < 2:
        return False
    return len(row) != width or filled[0].count(TAB) == filled[-1].count(TAB) == width - 1
