"""CSV and TSV with a header (RFC 4180): quoted fields may contain line ends; a shard is a whole file.

A quote that is never closed would swallow the records after it. So if a record of several lines turns out to be
malformed, only its first line is rejected, and reading continues with the second. The same goes for one that holds
tab-separated records.
"""

from __future__ import annotations

import codecs
import csv
import os
import shlex
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from batch_scorer.errors import InputError
from batch_scorer.escape import counted
from batch_scorer.formats.compression import open_text
from batch_scorer.formats.records import EXCERPT_BYTES, Contents, Fields, Record, Shard
from batch_scorer.formats.table import plain_name
from batch_scorer.formats.text_lines import max_line_bytes, read_lines, sample
from batch_scorer.schema import Rejection, has_surrogates, printable
from batch_scorer.storage import Beat, StoredFile

_AGAIN_BYTES, _AGAIN_TIMES = 1 << 20, 16  # how much may be read again: this much, and each byte this often on average
_LISTED_COLUMNS = 100_000
_TABS = (".tsv", ".tab")
_TAB, _TAB_IN_A_SHELL = "\t", "$'\\t'"
_DELIMITERS = f",;{_TAB}|"  # nearly every file uses one of these
_SHOWN = 200  # characters of a header
_SWITCHES = {0x1B: 0xDC1B, 0x0E: 0xDC0E}  # between the character sets of ISO 2022, as lone surrogates


@dataclass(frozen=True)
class _Malformed:
    """A malformed record: an error code, a message, and the line at fault."""

    code: str
    message: str
    line: str


class _TooLong(Exception):
    """A line, or all lines of one record together, are longer than a record may be."""


class _Lines:
    """Feeds lines to the parser and remembers those of the current record, so that they can be read again."""

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


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the header and counts the first records.

    Raises:
        InputError: the columns are separated by a character other than the delimiter.
        OSError: the header is malformed.
    """
    head, longest, delimiter = sample(file), max_line_bytes(fields.max_text_bytes), _delimiter(file.path, fields)
    lines = (_text(line, fields.encoding) for line in head.lines)
    rows = _rows(_Lines(lines, longest), delimiter)
    header = next(rows, None)
    if len(head.lines) == 1 and not head.is_whole:  # and so the header may be cut off
        with open_text(file.path) as (stream, _):
            first_lines = _first_lines(stream, fields.encoding, longest)
            header = next(_rows(_Lines(first_lines, longest), delimiter), None)
    reviews = head.estimate(sum(1 for _ in rows))
    if reviews and header is not None:
        first = next((line for line in head.lines if line.strip()), b"")
        _check_delimiter(file.path, delimiter, header, _text(first, fields.encoding), fields.text)
    if isinstance(header, _Malformed):
        raise OSError(f"the header is malformed: {header.message}")
    columns = None if header is None else pa.schema([pa.field(name, pa.string()) for name in _listed(header, fields)])
    return Contents(reviews, estimated=not head.is_whole, columns=columns)


def _check_delimiter(path: str, delimiter: str, header: list[str] | _Malformed, line: str, text_column: str) -> None:
    """Raises if the text column is missing because the columns are separated by another of the usual characters."""
    if isinstance(header, list) and text_column in header:
        return
    rows = {other: next(_rows(_Lines(iter([line]), len(line)), other), None) for other in _DELIMITERS}
    names = {other: row for other, row in rows.items() if other != delimiter and isinstance(row, list) and len(row) > 1}
    with_text = [other for other, row in names.items() if text_column in row]
    # A quote that is never closed makes a header malformed too; then only the name of the text column is evidence.
    is_single = isinstance(header, list) and len(header) == 1
    candidates = with_text or (sorted(names, key=lambda other: -len(names[other])) if is_single else [])
    if candidates:
        option = f"--delimiter {_TAB_IN_A_SHELL if candidates[0] == _TAB else shlex.quote(candidates[0])}"
        raise InputError(
            f"the columns are not separated by {'a tab' if delimiter == _TAB else repr(delimiter)}"
            if with_text
            else f"the column {text_column!r} is missing: the header has a single column",
            where=path,
            expected=f"a column {text_column!r}",
            got=f"the line {printable(line.strip())[:_SHOWN]}",
            fix=f"give {option}"
            + ("" if with_text else " if that separates the columns, and name the review's column with --text-column"),
        )


def _listed(header: list[str], fields: Fields) -> Iterator[str]:
    """The columns to list: of a header with millions, only the first and those that are asked for."""
    asked = {fields.text, fields.id, *(kept.name for kept in fields.kept)}
    for number, name in enumerate(map(printable, header)):
        if number < _LISTED_COLUMNS or name in asked:
            yield name


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The records after the header, without blank lines; offsets count records from 0, rejected ones too."""
    path = shard.paths[0]
    longest = max_line_bytes(fields.max_text_bytes)
    with open_text(path, beat) as (stream, _):
        rows = _rows(_Lines(_decoded(stream, fields.encoding, longest), longest), _delimiter(path, fields))
        header = next(rows, [])
        header = header if isinstance(header, _Malformed) else [printable(name) for name in header]
        wanted = {fields.text, *([fields.id] if fields.id else []), *(kept.name for kept in fields.kept)}
        if isinstance(header, _Malformed) or not wanted <= set(header):
            missing = wanted if isinstance(header, _Malformed) else wanted - set(header)
            raise OSError(f"the file has changed since it was planned: no column {', '.join(sorted(missing))}")
        text_at, id_at = header.index(fields.text), header.index(fields.id) if fields.id else None
        kept_at = [header.index(kept.name) for kept in fields.kept]
        for offset, row in enumerate(rows):
            if isinstance(row, _Malformed):
                yield Rejection(path, offset, None, row.code, row.message, row.line[:EXCERPT_BYTES])
                continue
            record_id = (row[id_at] or None) if id_at is not None and id_at < len(row) else None
            if len(row) != len(header):
                message = f"{counted(len(row), 'field')} where the header has {len(header)}"
                excerpt = " | ".join(row[:EXCERPT_BYTES])[:EXCERPT_BYTES]
                yield Rejection(path, offset, record_id, "wrong_field_count", message, excerpt)
            elif has_surrogates(row[text_at]):
                message = f"the text is not {fields.encoding}"
                yield Rejection(path, offset, record_id, "invalid_utf8", message, row[text_at][:EXCERPT_BYTES])
            else:
                yield Record(path, offset, record_id, row[text_at], tuple(printable(row[i]) for i in kept_at))


def _delimiter(path: str, fields: Fields) -> str:
    if fields.delimiter:
        return fields.delimiter
    return _TAB if os.path.splitext(plain_name(path))[1].lower() in _TABS else ","


def _decoded(stream: BinaryIO, encoding: str, longest: int) -> Iterator[str | None]:
    """The lines as `_text` returns them, None for one that is too long."""
    for offset, line in read_lines(stream, 0, None, longest, b"\r"):
        if line is None:
            yield None
            continue
        # The UTF-8 byte-order mark is removed whatever the encoding.
        yield _text(line if offset else line.removeprefix(codecs.BOM_UTF8), encoding)


def _first_lines(stream: BinaryIO, encoding: str, longest: int) -> Iterator[str | None]:
    """The same, but they end at a line that is too long: the rest of it is not read, and may be gigabytes."""
    mark = codecs.BOM_UTF8
    while line := stream.readline(longest + 1):
        if len(line) > longest and not line.endswith(b"\n"):
            yield None
            return
        yield _text(line.removeprefix(mark).removesuffix(b"\n"), encoding)
        mark = b""


def _text(line: bytes, encoding: str) -> str:
    """A line as text, with its line end; bytes that do not fit the encoding become lone surrogates (PEP 383)."""
    try:
        return line.decode(encoding, "surrogateescape") + "\n"
    except UnicodeDecodeError:  # at ISO 2022's switches between character sets, which have no surrogate
        return line.decode("ascii", "surrogateescape").translate(_SWITCHES) + "\n"


def _rows(lines: _Lines, delimiter: str) -> Iterator[list[str] | _Malformed]:
    csv.field_size_limit(1 << 30)  # lines are bounded already; the parser's own limit is far below a long review
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width = 0  # of the header
    while True:
        lines.begin_record()
        try:
            row = next(reader)
            if delimiter == _TAB and _are_records(lines.taken, width):
                raise csv.Error("each of the lines looks like a record")
        except StopIteration:
            return
        except (csv.Error, _TooLong) as error:
            too_long = isinstance(error, _TooLong) and len(lines.taken) == 1
            message = "the line is longer than a record may be" if too_long else f"the quotes do not match: {error}"
            code = "text_too_large" if too_long else "malformed_csv"
            for number, line in enumerate(lines.give_back()):
                if number == 0 or line is None or line.strip():
                    yield _Malformed(code, message.rstrip(": "), line or "")
            continue
        if row:
            width = width or len(row)
            yield row


def _are_records(lines: list[str | None], width: int) -> bool:
    """Whether all the lines of one record, separated by tabs, have as many fields as the header without any quoting.

    Then a quote that stands for itself opened a field, and another closed it some records later. Commas prove nothing:
    reviews have them too.
    """
    return len(lines) > 1 < width and all((line or "").count(_TAB) == width - 1 for line in lines)
