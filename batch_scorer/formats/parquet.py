"""Parquet: a shard is a range of rows within one row group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.records import Fields, InputFile, Record, Shard, encoding_problem, shown
from batch_scorer.schema import Rejection
from batch_scorer.storage import StoredFile

BATCH_ROWS = 1_024  # decoded at a time
_STRINGS = (pa.string(), pa.large_string(), pa.string_view())
_BYTES = (pa.binary(), pa.large_binary())


def inspect(file: StoredFile, fields: Fields) -> InputFile:
    """Reads the footer."""
    with storage.open_read(file.path) as stream, pq.ParquetFile(stream) as parquet:
        meta = parquet.metadata
        rows = tuple(meta.row_group(i).num_rows for i in range(meta.num_row_groups))
        columns = pa.schema(list(_flat(parquet.schema_arrow)))
    return InputFile(file.path, "parquet", file.size_bytes, sum(rows), row_groups=rows, columns=columns)


def records(shard: Shard, fields: Fields) -> Iterator[Record | Rejection]:
    """The rows `shard.start` to `shard.stop`; offsets are rows of the file."""
    path = shard.paths[0]
    wanted = list(dict.fromkeys([fields.text, *([fields.id] if fields.id else []), *(k.name for k in fields.kept)]))
    position, stop = shard.row_group_start, cast(int, shard.stop)  # the plan gives Parquet shards their end
    with storage.open_read(path) as stream, pq.ParquetFile(stream) as parquet:
        gone = set(wanted) - {field.name for field in _flat(parquet.schema_arrow)}
        if gone:
            raise OSError(f"the file has changed since it was planned: no column {', '.join(sorted(gone))}")
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=[shard.row_group], columns=wanted):
            first, last = max(shard.start - position, 0), min(stop - position, batch.num_rows)
            if first < last:
                yield from _rows(path, position + first, batch.slice(first, last - first), fields)
            position += batch.num_rows
            if position >= stop:
                return
    raise OSError(f"row group {shard.row_group} ends at row {position:,}, before row {stop:,} as its plan has it")


def _rows(path: str, offset: int, batch: pa.RecordBatch, fields: Fields) -> Iterator[Record | Rejection]:
    ids = _values(batch, fields.id, pa.string()) if fields.id else [None] * batch.num_rows
    kept = [_values(batch, k.name, f.type) for k, f in zip(fields.kept, fields.kept_schema, strict=True)]
    for i, (text, record_id) in enumerate(zip(_strings(_column(batch, fields.text)), ids, strict=True)):
        if isinstance(text, str):
            yield Record(path, offset + i, record_id, text, tuple(column[i] for column in kept))
        elif text is None:
            yield Rejection(path, offset + i, record_id, "missing_text", "the text is null")
        else:
            problem = encoding_problem(text)
            yield Rejection(path, offset + i, record_id, "invalid_utf8", problem, shown(text.object))


def _values(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> list[Any]:
    column = _column(batch, name)
    if kind in _STRINGS and column.type in (*_STRINGS, *_BYTES):
        # An id or a kept value that is not UTF-8 is no reason to lose its review.
        found = _strings(column)
        return [v.object.decode("utf-8", "replace") if isinstance(v, UnicodeDecodeError) else v for v in found]
    # Not `safe` for floats alone: a large integer beside a file of floats is rounded, not its row group lost.
    column = column if column.type == kind else column.cast(kind, safe=not pa.types.is_floating(kind))
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        # Scalars where a round trip through Python would lose something (nanoseconds, maps).
        return [value if value.is_valid else None for value in column]
    return list(column.to_pylist())


def _strings(column: pa.Array) -> list[str | UnicodeDecodeError | None]:
    """The strings, or what is wrong with them: Parquet does not check that a string is UTF-8."""
    if column.type not in _BYTES:
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            column = column.cast(pa.large_binary())
    return [None if value is None else _decoded(value) for value in column.to_pylist()]


def _decoded(value: bytes) -> str | UnicodeDecodeError:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        return error


def _flat(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[pa.Field]:
    """Each field, and those of structs as `a.b`."""
    for field in fields:
        yield field.with_name(prefix + field.name)
        if pa.types.is_struct(field.type):
            yield from _flat(field.type, f"{prefix}{field.name}.")


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column by its name, or a field of a struct by its path; dictionaries are decoded."""
    if name in batch.schema.names:
        column = batch.column(name)
    else:
        outer, *path = name.split(".")
        column = pc.struct_field(batch.column(outer), path)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
