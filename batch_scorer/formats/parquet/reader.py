"""Parquet: a shard is a range of rows within one row group."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO, ClassVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.formats.arrow_sizes import row_bytes, table_bytes
from batch_scorer.formats.arrow_types import DOUBLE_INTEGER, WIDE
from batch_scorer.formats.parquet.arrow import Unfit, column, flat, has_column, id_texts, kept_values, places, strings
from batch_scorer.formats.parquet.footer import Footer, read_footer
from batch_scorer.formats.parquet.limits import reach
from batch_scorer.formats.records import EXCERPT_BYTES, Contents, Fields, Record, Shard, encoding_problem, shown
from batch_scorer.formats.text_lines import max_line_bytes
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile

PIECE_BYTES = 8 << 20  # of a batch that are turned into Python strings at a time
_READ_BYTES, _FETCHED_BYTES = 1 << 20, 16 << 20  # of a column that are read at a time, from a disk and from a store


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the footer."""
    with storage.open_read(file.path) as stream:
        names = [fields.text, *([fields.id] if fields.id else []), *(k.name for k in fields.kept)]
        footer, parquet = _opened(read_footer(stream), stream, names)
        with parquet:
            schema = parquet.schema_arrow
            rows = footer.rows(next(iter(places(schema, [fields.text])), None), file.size_bytes)
            kept = [k.name for k in fields.kept]
            columns = pa.schema(
                [_seen(field, schema, footer) if field.name in kept else field for field in flat(schema)]
            )
    return Contents(sum(rows), row_groups=rows, columns=columns)


def _seen(field: pa.Field, schema: pa.Schema, footer: Footer) -> pa.Field:
    """A field, marked if it has integers that are not doubles."""
    if field.type in (pa.int64(), pa.uint64()):
        (place,) = places(schema, [field.name])
        least, largest = footer.extremes(place, signed=field.type == pa.int64())
        if max(-least, largest) > DOUBLE_INTEGER:
            return field.with_metadata(WIDE)
    return field


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The rows `shard.start` to `shard.stop`; offsets are rows of the file."""
    path, longest = shard.paths[0], max_line_bytes(fields.max_text_bytes)
    needed = [fields.text, *([fields.id] if fields.id else [])]
    wanted = list(dict.fromkeys([*needed, *(k.name for k in fields.kept)]))
    file = _OpenFile.at(shard, wanted, needed, beat)
    try:
        for offset, batch in file.rows(shard):
            for first, piece, excess in _pieces(batch, longest):
                if excess:
                    yield _too_large(path, offset + first, piece, fields, excess, longest)
                else:
                    yield from _rows(path, offset + first, piece, fields)
            del batch, piece  # else they would stay in memory while the next batch is decoded
    except BaseException:
        file.close()
        raise
    file.keep()


class _OpenFile:
    """A file that is being decoded.

    Decoding a row means decoding all rows before it in its row group: each shard of a large row group would cost more
    than the one before. So the file that this process read last stays open, and its next shard continues from there.
    """

    _kept: ClassVar[dict[tuple[object, ...], _OpenFile]] = {}

    def __init__(
        self, key: tuple[object, ...], path: str, wanted: list[str], needed: Collection[str], beat: Beat | None
    ) -> None:
        self._key, self._beat = key, beat
        self._group = -1  # none yet
        self._start = self._stop = 0  # the rows of the file that are in `_batch`
        self._batch: Any = None
        self._batches: Any = None
        with ExitStack() as opened:
            stream = opened.enter_context(storage.open_read(path, self._tick))
            remote = storage.is_remote(path)
            # Page headers are read through a stream of their own, without a large buffer that each would fill again.
            # Not in a store, where it takes long to open a file.
            self._headers = stream if remote else opened.enter_context(storage.open_read(path))
            at_once = max(_READ_BYTES, _FETCHED_BYTES // len(wanted)) if remote else _READ_BYTES
            self._footer, parquet = _opened(read_footer(self._headers), stream, wanted, at_once)
            self._parquet = opened.enter_context(parquet)
            schema = self._parquet.schema_arrow
            missing = set(needed) - {field.name for field in flat(schema)}
            if missing:
                raise OSError(f"the file has changed since it was planned: no column {', '.join(sorted(missing))}")
            self._places = places(schema, wanted)
            self._opened = opened.pop_all()

    def _tick(self) -> None:
        if self._beat:
            self._beat()

    @classmethod
    def at(cls, shard: Shard, wanted: list[str], needed: Collection[str], beat: Beat | None) -> _OpenFile:
        """The file of `shard`: the one that was kept, if it is the same."""
        # Size and time are part of the key, so that a file that has been replaced is opened again.
        path = shard.paths[0]
        key = (path, storage.look_at(path), *wanted)
        kept = cls._kept.pop(key, None)
        if kept:
            kept._beat = beat
        return kept or cls(key, path, wanted, needed, beat)

    def keep(self) -> None:
        """Keeps this file, and no other, for later shards."""
        for key in list(self._kept):
            other = self._kept.pop(key, None)  # None: another thread of the worker has just taken it
            if other:
                other.close()
        self._kept[self._key] = self

    def close(self) -> None:
        """Closes the file and frees what was decoded: this object and its stream refer to each other."""
        self._opened.close()
        self._batch = self._batches = self._parquet = None

    def rows(self, shard: Shard) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows of `shard` in pieces, each with the number of its first row."""
        if self._group != shard.row_group or self._start > shard.start:
            self._begin(shard)
        start, stop = shard.start, cast(int, shard.stop)  # the plan sets it for Parquet
        if self._reach.stop is not None and start >= self._first + self._reach.stop:
            raise self._stopped()
        while start < stop:
            while self._stop <= start:
                self._decode(stop)
            last = min(stop, self._stop)
            yield start, self._batch.slice(start - self._start, last - start)
            start = last

    def _begin(self, shard: Shard) -> None:
        self._group, self._batch = shard.row_group, None
        self._first = self._start = self._stop = shard.row_group_start
        group = self._footer.row_group(self._group, self._places)
        self._reach = reach(self._headers, self._parquet.schema, group, self._tick)
        self._batches = _batches(self._parquet, self._reach.rows, self._group, self._places)

    def _decode(self, stop: int) -> None:
        """Decodes the next batch."""
        self._batch = None  # two at a time may not fit into memory
        if self._reach.stop is not None and self._stop - self._first + self._reach.rows > self._reach.stop:
            raise self._stopped()
        batch = next(self._batches, None)
        if batch is None:
            raise OSError(f"row group {self._group} ends at row {self._stop:,}, but was planned up to row {stop:,}")
        self._batch, self._start, self._stop = batch, self._stop, self._stop + batch.num_rows

    def _stopped(self) -> OSError:
        row = self._first + cast(int, self._reach.stop)
        return OSError(f"row group {self._group}, row {row:,} of the file: {self._reach.why}")


def _opened(
    footer: Footer, stream: BinaryIO, names: Sequence[str], buffer_bytes: int = 1 << 20
) -> tuple[Footer, pq.ParquetFile]:
    """A file whose schema can be read, if necessary without the columns that are not in `names`, and its footer.

    Args:
        names: that of the text column first.
    """
    try:
        parquet = footer.open(stream, buffer_bytes)
        _ = parquet.schema_arrow  # which raises
        return footer, parquet
    except MemoryError:
        raise
    except (pa.ArrowException, UnicodeDecodeError, OSError):
        footer = footer.only(names)
        parquet = footer.open(stream, buffer_bytes)
        if not has_column(parquet.schema_arrow, names[0]):
            raise
        return footer, parquet


def _batches(parquet: pq.ParquetFile, rows: int, group: int, columns: list[int]) -> Iterator[pa.RecordBatch]:
    """The batches of a row group. `ParquetFile.iter_batches` has only names, and takes `a` for every `a.b` as well."""
    batches: Iterator[pa.RecordBatch] = parquet.reader.iter_batches(rows, row_groups=[group], column_indices=columns)
    return batches


def _pieces(batch: pa.RecordBatch, longest: int) -> Iterator[tuple[int, pa.RecordBatch, int]]:
    """A batch in pieces of bounded size: first row, piece, and 0 or, for a single row over `longest`, its size."""
    if batch.nbytes <= min(PIECE_BYTES, longest):
        yield 0, batch, 0
        return
    sizes = table_bytes(batch)
    too_large, piece = sizes > longest, np.cumsum(sizes) // PIECE_BYTES
    cut = too_large[1:] | too_large[:-1] | (piece[1:] > piece[:-1])
    for first, last in itertools.pairwise([0, *(np.flatnonzero(cut) + 1).tolist(), batch.num_rows]):
        yield first, batch.slice(first, last - first), int(sizes[first]) if too_large[first] else 0


def _too_large(path: str, offset: int, row: pa.RecordBatch, fields: Fields, size: int, longest: int) -> Rejection:
    """Rejects a row; no more of it than an excerpt is turned into a string."""
    record_id = None
    if fields.id and row_bytes(column(row, fields.id))[0] <= EXCERPT_BYTES:
        (record_id,) = id_texts(column(row, fields.id))
    text = column(row, fields.text)[0]
    text = text.value if isinstance(text, (pa.DictionaryScalar, pa.ExtensionScalar)) else text
    excerpt = shown(text.as_buffer()[:EXCERPT_BYTES].to_pybytes()) if text.is_valid else None
    message = f"a row of {size:,} bytes, more than {longest:,}"
    return Rejection(path, offset, record_id, "text_too_large", message, excerpt)


def _rows(path: str, offset: int, batch: pa.RecordBatch, fields: Fields) -> Iterator[Record | Rejection]:
    ids = id_texts(column(batch, fields.id)) if fields.id else itertools.repeat(None)
    kept = [_kept(batch, k.name, f.type) for k, f in zip(fields.kept, fields.kept_schema, strict=True)]
    rest = zip(*kept, strict=True) if kept else itertools.repeat(())
    texts = strings(column(batch, fields.text))
    for at, text, record_id, others in zip(itertools.count(offset), texts, ids, rest, strict=False):
        if text is None:
            yield Rejection(path, at, record_id, "missing_text", "the text is null", is_empty=True)
        elif not isinstance(text, str):
            yield Rejection(path, at, record_id, "invalid_utf8", encoding_problem(text), shown(text.object))
        elif unfit := [(k.name, v.why) for k, v in zip(fields.kept, others, strict=True) if isinstance(v, Unfit)]:
            message = f"the column {unfit[0][0]!r}: {unfit[0][1]}"
            yield Rejection(path, at, record_id, "kept_value_mismatch", message, text[:EXCERPT_BYTES])
        else:
            yield Record(path, at, record_id, text, others)


def _kept(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> Iterable[Any]:
    """The values of a kept column, nulls if this file has none: it may be newer than the file."""
    if not has_column(batch.schema, name):
        return itertools.repeat(None, batch.num_rows)
    return kept_values(column(batch, name), kind)
