"""CSV and TSV (RFC 4180): quoted fields may contain line ends; a shard is a whole file.

The first record is the header, unless the columns are named by an option.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain, islice
from typing import BinaryIO

import pyarrow as pa

from batch_scorer.escape import counted
from batch_scorer.formats.compression import open_text
from batch_scorer.formats.csv_header import (
    COMPARED_ROWS,
    check_delimiter,
    check_named,
    check_quotes,
    delimiter_in,
    delimiter_of,
    longest_column,
    remark,
)
from batch_scorer.formats.csv_rows import Dialect, Lines, Malformed, read_rows, width_advice
from batch_scorer.formats.encodings import utf8_after_all
from batch_scorer.formats.first_bytes import check_line_ends, check_text
from batch_scorer.formats.records import EXCERPT_BYTES, Contents, Fields, Record, Shard
from batch_scorer.formats.text_lines import max_line_bytes, read_lines, sample
from batch_scorer.schema import Rejection, has_surrogates, printable
from batch_scorer.storage import Beat, StoredFile

_LISTED_COLUMNS = 100_000
_SWITCHES = {0x1B: 0xDC1B, 0x0E: 0xDC0E}  # between the character sets of ISO 2022, as lone surrogates


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the header and counts the first records.

    Raises:
        InputError: the columns are separated by a character other than the delimiter, or are not as many as the names
            given for them.
        OSError: the header is malformed.
    """
    head, longest = sample(file), max_line_bytes(fields.max_text_bytes)
    check_text(file.path, head)
    texts: list[str] = [_text(line, fields.encoding) for line in head.lines]
    lines, dialect = _begun(iter(texts), file.path, fields)
    rows = read_rows(Lines(lines, longest), dialect)
    header = next(rows, None)
    is_marked = bool(texts) and delimiter_in(texts[0]) is not None
    if len(texts) == 1 and not head.is_whole:  # and so the header may be cut off
        with open_text(file.path) as (stream, _):
            lines, _ = _begun(_first_lines(stream, fields.encoding, longest), file.path, fields)
            header = next(read_rows(Lines(lines, longest), dialect), None)
    if isinstance(header, Malformed):  # in quotes, a carriage return belongs to a field
        check_line_ends(file.path, head)
    compared = list(islice(rows, COMPARED_ROWS))
    reviews = head.estimate(len(compared) + sum(1 for _ in rows) + bool(fields.columns and header is not None))
    first = next((line for line in texts[is_marked:] if line.strip()), "")
    if fields.columns and header is not None:
        check_named(file.path, header, first, dialect, fields)
        columns = pa.schema([pa.field(name, pa.string()) for name in fields.columns])
        said = utf8_after_all(head.lines, fields.encoding)
        return Contents(reviews, estimated=not head.is_whole, columns=columns, remark=said)
    if reviews and header is not None:
        check_delimiter(file.path, dialect, header, texts[is_marked:], fields)
        if isinstance(header, list):
            check_quotes(file.path, dialect, header, fields)
    if isinstance(header, Malformed):
        raise OSError(f"the header is malformed: {header.message}")
    if header is None:
        return Contents(reviews, estimated=not head.is_whole)
    columns = pa.schema([pa.field(name, pa.string()) for name in _listed(header, fields)])
    records = [row for row in compared if isinstance(row, list)]
    asks = records and fields.text not in columns.names
    wordiest = printable(header[longest_column([header, *records])]) if asks else ""
    said = "; ".join(filter(None, [utf8_after_all(head.lines, fields.encoding), remark(header, fields, records)]))
    return Contents(reviews, estimated=not head.is_whole, columns=columns, remark=said, wordiest=wordiest)


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
        lines, dialect = _begun(_decoded(stream, fields.encoding, longest), path, fields)
        rows = read_rows(Lines(lines, longest), dialect, len(fields.columns))
        header: list[str] | Malformed = list(fields.columns) or next(rows, [])
        header = header if isinstance(header, Malformed) else [printable(name) for name in header]
        wanted = {fields.text, *([fields.id] if fields.id else [])}
        if isinstance(header, Malformed) or not wanted <= set(header):
            missing = wanted if isinstance(header, Malformed) else wanted - set(header)
            raise OSError(f"the file has changed since it was planned: no column {', '.join(sorted(missing))}")
        text_at, id_at = header.index(fields.text), header.index(fields.id) if fields.id else None
        kept_at = [header.index(kept.name) if kept.name in header else None for kept in fields.kept]
        has = "--columns names" if fields.columns else "the header has"
        for offset, row in enumerate(rows):
            if isinstance(row, Malformed):
                yield Rejection(path, offset, None, row.code, row.message, row.line[:EXCERPT_BYTES])
                continue
            if len(row) != len(header):
                message = f"{counted(len(row), 'field')} where {has} {len(header)}{width_advice(row, dialect)}"
                excerpt = " | ".join(row[:EXCERPT_BYTES])[:EXCERPT_BYTES]
                # Nobody knows which field is the id: what stands in its place may be the text.
                yield Rejection(path, offset, None, "wrong_field_count", message, excerpt)
                continue
            record_id = (row[id_at] or None) if id_at is not None else None
            if has_surrogates(row[text_at]):
                message = f"the text is not {fields.encoding}"
                yield Rejection(path, offset, record_id, "invalid_utf8", message, row[text_at][:EXCERPT_BYTES])
            else:
                yield Record(
                    path, offset, record_id, row[text_at], tuple(i if i is None else printable(row[i]) for i in kept_at)
                )


def _begun(lines: Iterator[str | None], path: str, fields: Fields) -> tuple[Iterator[str | None], Dialect]:
    """The lines without the one that tells Excel the delimiter, and how their fields are written."""
    first = next(lines, "")
    told = None if first is None else delimiter_in(first)
    delimiter = fields.delimiter or told or delimiter_of(path, fields)
    return lines if told else chain([first], lines), Dialect(delimiter, fields.quote, fields.escape)


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
