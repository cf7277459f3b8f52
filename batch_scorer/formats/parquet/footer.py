"""The footer of a Parquet file: read and checked before it is passed to Arrow, which believes everything in it.

Its numbers are read here and not through pyarrow, which ends the process if some of them contradict each other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.formats.parquet import pruned, thrift
from batch_scorer.formats.parquet.arrow_schema import with_plain_types, without

FOOTER_BYTES = 64 << 20  # Arrow needs six times as much memory for it
SCHEMA_DEPTH = 100  # Arrow recurses through a schema, and crashes when the stack is full
SCHEMA_ELEMENTS = 100_000
ROW_GROUPS = 100_000  # each is a shard at least
ROWS_ANYWAY, ROWS_A_BYTE = 10_000_000, 8  # the most rows in a file: this many, or this many per byte if that is more
_TAIL_BYTES = 1 << 16
_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
# Fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk and ColumnMetaData (parquet.thrift).
_SCHEMA, _ROW_GROUPS = 2, 4
_CHILDREN = 5
_COLUMNS, _ROWS = 1, 3
_META, _CRYPTO = 3, 8
_STATISTICS, _EXTREMES = 12, (1, 2, 5, 6)
_CODEC, _VALUES, _STORED, _DATA_AT, _DICTIONARY_AT = 4, 5, 7, 9, 11
_CODECS = {0: "", 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}  # as pyarrow calls them


@dataclass(frozen=True)
class Chunk:
    """A column in one row group: its values are in bytes `start` to `stop` of the file; a `codec` of "" is none."""

    start: int
    stop: int
    values: int
    codec: str


@dataclass(frozen=True)
class RowGroup:
    """A row group according to the footer; `chunks` has the columns asked for, by their places in the schema."""

    rows: int
    chunks: dict[int, Chunk]


@dataclass(frozen=True)
class Footer:
    """A footer with a schema that Arrow can cope with; `_groups` are the places of its row groups."""

    _data: bytes
    _groups: tuple[int, ...]

    def __len__(self) -> int:
        """How many row groups there are."""
        return len(self._groups)

    def open(self, stream: BinaryIO, buffer_bytes: int = 1 << 20) -> pq.ParquetFile:
        """Opens the file that this footer belongs to, to be read with the types of `arrow_types.plain`.

        Args:
            buffer_bytes: how much of a column to read at a time; a whole column may not fit into memory.

        Raises:
            OSError: the footer is damaged.
        """
        try:
            data = with_plain_types(self._data)
        except (thrift.Malformed, IndexError) as error:
            raise OSError(f"the footer is damaged: {error}") from None
        metadata = pq.read_metadata(pa.BufferReader(_MAGIC + data + len(data).to_bytes(4, "little") + _MAGIC))
        # The times of INT96 are nanoseconds, which end in 2262; the writers that still use it mean any year.
        return pq.ParquetFile(
            stream,
            metadata=metadata,
            pre_buffer=False,
            buffer_size=buffer_bytes,
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        )

    def only(self, names: Collection[str]) -> Footer:
        """The same without the columns that hold none of `names`.

        Raises:
            OSError: the footer is damaged.
        """
        try:
            return _parsed(pruned.only(without(self._data), names))
        except (thrift.Malformed, IndexError) as error:
            raise OSError(f"the footer is damaged: {error}") from None

    def row_group(self, number: int, wanted: Collection[int]) -> RowGroup:
        """The row group of this number.

        Raises:
            OSError: there is no such row group, or a column of it is missing.
        """
        if not 0 <= number < len(self):
            raise OSError(f"there is no row group {number}")
        data, chunks = self._data, {}
        try:
            group, _ = thrift.fields(data, self._groups[number])
            for place, meta in self._columns(group, wanted):
                chunks[place] = _chunk(thrift.numbers(data, meta))
            return RowGroup(thrift.numbers(data, group)[_ROWS], chunks)
        except (thrift.Malformed, KeyError):
            raise OSError(f"row group {number} is damaged in the footer") from None

    def _columns(self, group: list[thrift.Field], wanted: Collection[int]) -> Iterator[tuple[int, list[thrift.Field]]]:
        """The metadata of the wanted columns in a row group."""
        data = self._data
        columns = {field.number: field.start for field in group if field.kind == thrift.LIST}[_COLUMNS]
        count, _, at = thrift.items(data, columns)
        for place in range(min(count, max(wanted, default=-1) + 1)):
            fields, at = thrift.fields(data, at)
            if place in wanted:
                if any(field.number == _CRYPTO for field in fields):
                    raise OSError("a column is encrypted: write the file without encryption")
                meta = {field.number: field.start for field in fields if field.kind == thrift.STRUCT}[_META]
                yield place, thrift.fields(data, meta)[0]

    def extremes(self, column: int, signed: bool) -> tuple[int, int]:
        """The least and the largest value of a column of 64-bit integers, by its statistics; 0 and 0 without any."""
        data, seen = self._data, [0]
        with contextlib.suppress(thrift.Malformed, KeyError, IndexError, OSError):
            for at in self._groups:
                for _, meta in self._columns(thrift.fields(data, at)[0], (column,)):
                    for inner in (f for f in meta if f.number == _STATISTICS and f.kind == thrift.STRUCT):
                        for field in thrift.fields(data, inner.start)[0]:
                            value = data[thrift.varint(data, field.start)[1] : field.end]
                            if field.kind == thrift.BINARY and field.number in _EXTREMES and len(value) == 8:
                                seen.append(int.from_bytes(value, "little", signed=signed))
        return min(seen), max(seen)

    def rows(self, column: int | None, size_bytes: int) -> tuple[int, ...]:
        """The number of rows in each row group, if these numbers are plausible.

        Args:
            column: the place of a column without lists, which has one value per row.
            size_bytes: of the file.

        Raises:
            OSError: they are not.
        """
        counts = []
        for number in range(len(self)):
            group = self.row_group(number, () if column is None else (column,))
            counts.append(group.rows)
            values = next((chunk.values for chunk in group.chunks.values()), group.rows)
            if group.rows < 0 or values != group.rows:
                raise OSError(f"row group {number} claims to have {group.rows:,} rows, but {values:,} texts")
        most = max(ROWS_ANYWAY, ROWS_A_BYTE * size_bytes)
        if sum(counts) > most:
            raise OSError(f"{sum(counts):,} rows in a file of {size_bytes:,} bytes, more than {most:,}")
        return tuple(counts)


def _chunk(meta: dict[int, int]) -> Chunk:
    start = meta[_DATA_AT]
    if 0 < meta.get(_DICTIONARY_AT, 0) < start:
        start = meta[_DICTIONARY_AT]
    codec = _CODECS.get(meta[_CODEC], f"codec {meta[_CODEC]}")
    return Chunk(start, start + meta[_STORED], meta[_VALUES], codec)


def read_footer(stream: BinaryIO) -> Footer:
    """Reads the footer of a Parquet file.

    Raises:
        OSError: the file is not Parquet, or its footer is damaged, not plausible or too large.
    """
    return _parsed(_footer_bytes(stream))


def _parsed(data: bytes) -> Footer:
    groups: list[int] = []
    try:
        for field in thrift.fields(data)[0]:
            if field.number == _SCHEMA and field.kind == thrift.LIST:
                _check_schema(data, field.start)
            elif field.number == _ROW_GROUPS and field.kind == thrift.LIST:
                groups = thrift.starts(data, field.start)
    except (thrift.Malformed, IndexError) as error:
        raise OSError(f"the footer is damaged: {error}") from None
    if len(groups) > ROW_GROUPS:
        raise OSError(f"{len(groups):,} row groups, more than {ROW_GROUPS:,}: write larger ones")
    return Footer(data, tuple(groups))


def _footer_bytes(stream: BinaryIO) -> bytes:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read(_TAIL_BYTES)
    if tail[-4:] == _ENCRYPTED:
        raise OSError("the file is encrypted: write it without encryption, or decrypt it with what wrote it")
    if size < 12 or tail[-4:] != _MAGIC:
        raise OSError("not a Parquet file, or one that was cut short: its last four bytes are not PAR1")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > size - 12:
        raise OSError(f"the footer claims to have {length:,} bytes, in a file of {size:,}")
    if length > FOOTER_BYTES:
        raise OSError(f"a footer of {length:,} bytes, more than {FOOTER_BYTES:,}: write larger row groups")
    if length > len(tail) - 8:
        stream.seek(size - 8 - length)
        tail = stream.read(length + 8)
    return tail[-8 - length : -8]


def _check_schema(footer: bytes, at: int) -> None:
    left: list[int] = []  # for each level, how many children are still to come
    places = thrift.starts(footer, at)
    if len(places) > SCHEMA_ELEMENTS:
        raise OSError(f"a schema of {len(places):,} columns, more than {SCHEMA_ELEMENTS:,}")
    for place in places:
        children = thrift.numbers(footer, thrift.fields(footer, place)[0]).get(_CHILDREN, 0)
        if left:
            left[-1] -= 1
        if children > 0:
            left.append(children)
        while left and not left[-1]:
            left.pop()
        if len(left) > SCHEMA_DEPTH:
            raise OSError(f"a schema with more than {SCHEMA_DEPTH} levels")
