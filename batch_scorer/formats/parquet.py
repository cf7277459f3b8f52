"""Parquet: a shard is a range of rows within one row group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, ClassVar, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.records import Fields, InputFile, Record, Shard, encoding_problem, shown
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile

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


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The rows `shard.start` to `shard.stop`; offsets are rows of the file."""
    path = shard.paths[0]
    wanted = list(dict.fromkeys([fields.text, *([fields.id] if fields.id else []), *(k.name for k in fields.kept)]))
    stop = cast(int, shard.stop)  # the plan gives Parquet shards their end
    group = _RowGroup.at(shard, wanted, beat)
    try:
        for offset, batch in group.rows(shard.start, stop):
            yield from _rows(path, offset, batch, fields)
    except BaseException:
        group.close()
        raise
    group.keep()


class _RowGroup:
    """A row group in the course of being decoded.

    To decode a row is to decode all before it, so that each shard of a large row group would cost more than the last.
    The row group that this process read last is therefore kept open: a shard further on goes on from there.
    """

    _kept: ClassVar[dict[tuple[object, ...], _RowGroup]] = {}

    def __init__(self, key: tuple[object, ...], shard: Shard, wanted: list[str], beat: Beat | None) -> None:
        self._key, self._number = key, shard.row_group
        self._start = self._stop = shard.row_group_start  # rows of the file that `_batch` holds
        self._batch: Any = None
        with ExitStack() as opened:
            stream = opened.enter_context(storage.open_read(shard.paths[0], beat))
            parquet = opened.enter_context(pq.ParquetFile(stream))
            gone = set(wanted) - {field.name for field in _flat(parquet.schema_arrow)}
            if gone:
                raise OSError(f"the file has changed since it was planned: no column {', '.join(sorted(gone))}")
            self._batches = parquet.iter_batches(BATCH_ROWS, row_groups=[shard.row_group], columns=wanted)
            self._opened = opened.pop_all()

    @classmethod
    def at(cls, shard: Shard, wanted: list[str], beat: Beat | None) -> _RowGroup:
        """The row group of `shard`: the one that was kept, if it is that and has not passed the shard's start."""
        # With its size and date, so that a file that was replaced is opened anew.
        key = (*storage.match(shard.paths[0]), shard.row_group, *wanted)
        kept = cls._kept.pop(key, None)
        if kept and kept._start > shard.start:
            kept.close()
            kept = None
        return kept or cls(key, shard, wanted, beat)

    def keep(self) -> None:
        """Keeps this row group for the shards to come, and no other."""
        for key in list(self._kept):
            other = self._kept.pop(key, None)  # None: another thread of the worker has just taken it
            if other:
                other.close()
        self._kept[self._key] = self

    def close(self) -> None:
        """Closes the file."""
        self._opened.close()

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows `start` to `stop` of the file, in pieces, each with the number of its first."""
        while start < stop:
            while self._stop <= start:
                batch = next(self._batches, None)
                if batch is None:
                    where = f"row group {self._number} ends at row {self._stop:,}"
                    raise OSError(f"{where}, before row {stop:,} as its plan has it")
                self._batch, self._start, self._stop = batch, self._stop, self._stop + batch.num_rows
            last = min(stop, self._stop)
            yield start, self._batch.slice(start - self._start, last - start)
            start = last


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
