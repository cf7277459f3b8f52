"""The footer of a Parquet file: read, checked, and only then handed to Arrow, which takes its word for everything."""

from __future__ import annotations

import os
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.formats import thrift

FOOTER_BYTES = 64 << 20  # Arrow needs six times as much to hold it
SCHEMA_DEPTH = 100  # Arrow works through a schema by recursion, and falls with the stack
SCHEMA_ELEMENTS = 100_000
ROWS_ANYWAY, ROWS_A_BYTE = 10_000_000, 8  # that a file may have at most: so many, or so many a byte if that is more
_TAIL_BYTES = 1 << 16
_MAGIC = b"PAR1"
_SCHEMA, _CHILDREN = 2, 5  # fields of FileMetaData and SchemaElement


def open_parquet(stream: BinaryIO, buffer_bytes: int = 1 << 20) -> pq.ParquetFile:
    """Opens a Parquet file.

    Args:
        buffer_bytes: of a column to read at a time; whole chunks of columns may not fit into memory.

    Raises:
        OSError: it is none, or its footer cannot be true.
    """
    footer = _footer(stream)
    try:
        for field in thrift.fields(footer)[0]:
            if field.number == _SCHEMA and field.kind == thrift.LIST:
                _check_schema(footer, field.start)
    except (thrift.Malformed, IndexError) as error:
        raise OSError(f"the footer is damaged: {error}") from None
    whole = _MAGIC + footer + len(footer).to_bytes(4, "little") + _MAGIC
    metadata = pq.read_metadata(pa.BufferReader(whole))
    stream.seek(0)
    return pq.ParquetFile(stream, metadata=metadata, pre_buffer=False, buffer_size=buffer_bytes)


def _footer(stream: BinaryIO) -> bytes:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read(_TAIL_BYTES)
    if size < 12 or tail[-4:] != _MAGIC:
        raise OSError("no Parquet file, or one that was cut off: its last four bytes are not PAR1")
    length = int.from_bytes(tail[-8:-4], "little")
    if length > size - 12:
        raise OSError(f"the footer is to have {length:,} bytes, in a file of {size:,}")
    if length > FOOTER_BYTES:
        raise OSError(f"a footer of {length:,} bytes, more than {FOOTER_BYTES:,}: write larger row groups")
    if length > len(tail) - 8:
        stream.seek(size - 8 - length)
        tail = stream.read(length + 8)
    return tail[-8 - length : -8]


def _check_schema(footer: bytes, at: int) -> None:
    count, kind, at = thrift.items(footer, at)
    if count > SCHEMA_ELEMENTS:
        raise OSError(f"a schema of {count:,} columns, more than {SCHEMA_ELEMENTS:,}")
    if kind != thrift.STRUCT:
        raise thrift.Malformed("the schema is none")
    left: list[int] = []  # children to come, of each element that the next one lies in
    for _ in range(count):
        element, at = thrift.fields(footer, at)
        children = thrift.numbers(footer, element).get(_CHILDREN, 0)
        if left:
            left[-1] -= 1
        if children > 0:
            left.append(children)
        while left and not left[-1]:
            left.pop()
        if len(left) > SCHEMA_DEPTH:
            raise OSError(f"a schema nested deeper than {SCHEMA_DEPTH} levels")


def check_rows(parquet: pq.ParquetFile, name: str, size_bytes: int) -> tuple[int, ...]:
    """The rows of each row group, as far as they can be true; `name` is a column without lists.

    Raises:
        OSError: they cannot.
    """
    meta = parquet.metadata
    places = {parquet.schema.column(i).path: i for i in range(meta.num_columns)}
    counts = []
    for i in range(meta.num_row_groups):
        group = meta.row_group(i)
        counts.append(group.num_rows)
        values = group.column(places[name]).num_values if name in places else group.num_rows
        if group.num_rows < 0 or values != group.num_rows:
            raise OSError(f"row group {i} is to have {group.num_rows:,} rows, and {values:,} values of {name!r}")
    most = max(ROWS_ANYWAY, ROWS_A_BYTE * size_bytes)
    if sum(counts) > most:
        raise OSError(f"{sum(counts):,} rows in a file of {size_bytes:,} bytes, more than {most:,}")
    return tuple(counts)
