"""The pages of a Parquet column: their headers, and as much of their contents as it takes to bound their memory.

Nothing in a file has to be true, so only what Arrow itself relies on to decode a page is read.
Source: https://github.com/apache/parquet-format (README, Encodings.md and parquet.thrift)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from batch_scorer.formats.parquet import thrift
from batch_scorer.formats.parquet.footer import Chunk
from batch_scorer.storage import Beat

DATA, DICTIONARY, DATA_V2 = 0, 2, 3  # PageType
BY_DICTIONARY, DELTA_LENGTHS, DELTA_STRINGS = (2, 8), 6, 7  # Encoding
LEVELS = 3  # Encoding of levels: runs, and packed bits
_HEADER_BYTES = (1 << 9, 1 << 14, 1 << 24)  # tried in this order; Arrow refuses a longer header
_FILE_BYTES = 1 << 62  # larger than any file
_MAX_PAGES = 1 << 20


@dataclass(frozen=True)
class Column:
    """A column in one row group.

    Args:
        width: bytes of a value; 0 for byte strings, which have lengths of their own.
        repetition, definition: the highest level; above 0 if rows hold lists, and if values may be null.
    """

    name: str
    chunk: Chunk
    width: int
    repetition: int
    definition: int


@dataclass(frozen=True)
class Page:
    """The header of a page.

    Args:
        body: where its bytes begin in the file.
        stored, inflated: the number of bytes, as stored and after decompression.
        values: the number of values, including nulls.
        levels: bytes of repetition and of definition levels, if they come before the compressed part.
        is_compressed: whether the values are compressed, if the column is.
    """

    kind: int
    body: int
    stored: int
    inflated: int
    values: int = 0
    encoding: int = 0
    levels_encoding: int = LEVELS
    levels: tuple[int, int] | None = None
    is_compressed: bool = True

    @property
    def is_data(self) -> bool:
        """Whether it holds values of rows."""
        return self.kind in (DATA, DATA_V2)


def walk(stream: BinaryIO, column: Column, beat: Beat | None) -> Iterator[Page]:
    """The headers of the column's pages, up to the last that Arrow would read.

    Raises:
        OSError: the next header cannot be read, or is missing.
    """
    at, seen = column.chunk.start, 0
    for _ in range(_MAX_PAGES):
        if seen >= column.chunk.values:
            return
        if beat:
            beat()
        page = _page(stream, at, column.chunk.stop)
        yield page
        seen += page.values if page.is_data else 0
        at = page.body + page.stored
    raise OSError(f"more than {_MAX_PAGES:,} pages")


def _page(stream: BinaryIO, at: int, stop: int) -> Page:
    if not 0 <= at < min(stop, _FILE_BYTES):
        raise OSError("its pages end too soon")
    for size in _HEADER_BYTES:
        stream.seek(at)
        data = stream.read(min(size, stop - at))
        try:
            fields, length = thrift.fields(data)
            header = thrift.numbers(data, fields)
            kind, inflated, stored = header[1], header[2], header[3]
            inner = {field.number: field.start for field in fields if field.kind == thrift.STRUCT}
            more = {}
            if kind in (DATA, DICTIONARY, DATA_V2):
                more = thrift.numbers(data, thrift.fields(data, inner[{DATA: 5, DICTIONARY: 7, DATA_V2: 8}[kind]])[0])
            page = _made(kind, at + length, stored, inflated, more)
        except (thrift.Malformed, KeyError):
            if len(data) < size:
                break
            continue
        if min(stored, inflated, page.values, *(page.levels or ())) < 0:
            break
        return page
    raise OSError("the header of a page is damaged")


def _made(kind: int, body: int, stored: int, inflated: int, header: dict[int, int]) -> Page:
    if kind == DATA:
        return Page(kind, body, stored, inflated, header[1], header[2], levels_encoding=header[4])
    if kind == DICTIONARY:
        return Page(kind, body, stored, inflated, header[1], header[2])
    if kind == DATA_V2:
        levels = (header[6], header[5])
        compressed = header.get(7, 1) == 1
        return Page(kind, body, stored, inflated, header[1], header[4], levels=levels, is_compressed=compressed)
    return Page(kind, body, stored, inflated)  # Arrow skips it


def longest_value(stream: BinaryIO, column: Column, page: Page) -> int:
    """The bytes of the longest value in a dictionary of strings."""
    body, at, longest = inflated(stream, column, page, 0), 0, 0
    while at < len(body):
        length = int.from_bytes(body[at : at + 4], "little")
        at += 4 + length
        longest = max(longest, length)
    return min(longest, len(body))


def check_lengths(stream: BinaryIO, column: Column, page: Page) -> None:
    """Checks that a page of strings with delta-encoded lengths has no more lengths than values.

    The page states the number of lengths separately, and Arrow allocates memory for that many.

    Raises:
        OSError: it has more, or is damaged.
    """
    body = inflated(stream, column, page, sum(page.levels or ()))
    at = 0
    if page.levels is None:
        for highest in (column.repetition, column.definition):
            at += 4 + int.from_bytes(body[at : at + 4], "little") if highest else 0
    try:
        for _ in range(2 if page.encoding == DELTA_STRINGS else 1):  # the lengths of prefixes come first
            count, at = _delta_count(body, at)
            if count > page.values:
                raise OSError(f"a page of {page.values:,} values announces {count:,} lengths")
    except (thrift.Malformed, IndexError, ZeroDivisionError):
        raise OSError("the lengths in a page are damaged") from None


def _delta_count(data: bytes, at: int) -> tuple[int, int]:
    """How many numbers a delta-encoded sequence has, and where it ends."""
    block, at = thrift.varint(data, at)
    parts, at = thrift.varint(data, at)
    count, at = thrift.varint(data, at)
    _, at = thrift.varint(data, at)  # the first number
    left = count - 1
    while left > 0:
        _, at = thrift.varint(data, at)  # the smallest difference
        widths = data[at : at + parts]
        at += parts
        for width in widths:
            if left <= 0:
                break
            at += width * (block // parts) // 8
            left -= block // parts
        if at > len(data) or block < parts:
            raise thrift.Malformed("cut off")
    return count, at


def inflated(stream: BinaryIO, column: Column, page: Page, skipped: int) -> bytes:
    """The bytes of a page after the first `skipped`, decompressed.

    Raises:
        OSError: they cannot be.
    """
    stream.seek(page.body + skipped)
    data = stream.read(max(0, page.stored - skipped))
    if not column.chunk.codec or not page.is_compressed:
        return data
    try:
        return bytes(pa.Codec(column.chunk.codec).decompress(data, max(0, page.inflated - skipped), asbytes=True))
    except (pa.ArrowException, ValueError, OSError):
        raise OSError(f"a page cannot be decompressed ({column.chunk.codec})") from None
