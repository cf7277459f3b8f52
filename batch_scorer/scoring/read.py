"""Read: a shard, or texts -> chunks of reviews, and of records that cannot be scored.

A chunk is full when it holds `CHUNK_REVIEWS` records or, counting ids and kept values, `CHUNK_CHARACTERS` of text; its
size does not depend on the size of the file. The readers of files are imported where they are used: texts need none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

import pyarrow as pa

from batch_scorer.config import InputConfig
from batch_scorer.formats.records import DAMAGE, EXCERPT_BYTES, Fields, Record, Shard, first_line
from batch_scorer.schema import Rejection, printable
from batch_scorer.storage import Beat

CHUNK_REVIEWS = 8_192
CHUNK_CHARACTERS = 32 << 20


@dataclass(frozen=True)
class Chunk:
    """Some reviews, in the order of the input.

    Args:
        reviews: N rows: record_id, source, offset, and the kept columns under their output names.
        texts: N texts, each of which can be written as UTF-8.
        rejected: records that could be told apart but hold no text to score; damage.
    """

    reviews: pa.Table
    texts: list[str]
    rejected: list[Rejection]


@dataclass
class _Draft:
    records: list[Record] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    characters: int = 0

    def add(self, record: Record | Rejection, fields: Fields) -> None:
        """Takes a record, or the reason why it cannot be scored; a rejected one has taken up memory all the same."""
        if isinstance(record, Record):
            self.characters += len(record.text)
            if record.kept:
                self.characters += sum(map(_size, record.kept))
            record = _checked(record, fields)
        if record.record_id:
            self.characters += len(record.record_id)
        if isinstance(record, Record):
            self.records.append(record)
        else:
            self.rejected.append(record)

    def is_full(self) -> bool:
        return len(self.records) + len(self.rejected) >= CHUNK_REVIEWS or self.characters >= CHUNK_CHARACTERS


def _size(value: Any) -> int:
    """Characters of a kept value, or its bytes where it is not text."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, pa.Array) and not pa.types.is_temporal(value.type):  # of one value
        from batch_scorer.formats.arrow_sizes import row_bytes

        return int(row_bytes(value)[0])
    return 0  # a number: the count of the records bounds those


def read(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Chunk]:
    """The reviews of `shard`, chunk by chunk.

    Damage is never an exception: it ends the file (in Parquet, the row group) with one `unreadable` rejection.

    Args:
        beat: called at each read from the disk or the store.
    """
    return _chunks(_of_each(shard, fields, beat), fields)


def read_texts(texts: Iterable[Any], max_text_bytes: int = InputConfig.max_text_bytes) -> Iterator[Chunk]:
    """Texts that come from no file, chunk by chunk: text i has the offset i, the source ``-`` and the id ``-#i``.

    What a reader of files would reject is rejected with the same code: None is `missing_text`, anything else that is
    not a string `text_not_a_string`.

    Args:
        max_text_bytes: larger texts are rejected, measured in UTF-8.
    """
    fields = Fields("text", None, (), pa.schema([]), max_text_bytes)
    return _chunks((_of_no_file(i, text) for i, text in enumerate(texts)), fields)


def _of_no_file(index: int, text: Any) -> Record | Rejection:
    if isinstance(text, str):
        return Record("-", index, None, text, ())
    if text is None:
        return Rejection("-", index, None, "missing_text", "the text is None", is_empty=True)
    return Rejection("-", index, None, "text_not_a_string", f"the text is of type {type(text).__name__}")


def _chunks(records: Iterable[Record | Rejection], fields: Fields) -> Iterator[Chunk]:
    draft = _Draft()
    for record in records:
        draft.add(record, fields)
        if draft.is_full():
            yield _chunk(draft, fields)
            draft = _Draft()
    if draft.records or draft.rejected:
        yield _chunk(draft, fields)


def _of_each(shard: Shard, fields: Fields, beat: Beat | None) -> Iterator[Record | Rejection]:
    """The records of each file of a shard, up to its limit; one that cannot be read does no harm to the others."""
    if not shard.members:
        yield from _until_damage(shard, fields, beat)
        return
    left = math.inf if shard.max_records is None else shard.max_records
    for one in shard.each():
        for record in _until_damage(one, fields, beat):
            yield record
            left -= record.offset is not None  # else it is damage, and no record
            if not left:
                return


def _until_damage(shard: Shard, fields: Fields, beat: Beat | None) -> Iterator[Record | Rejection]:
    from batch_scorer.formats.partitions import records

    problem = shard.damage
    if problem is None:
        try:
            yield from islice(records(shard, fields, beat), shard.max_records)
            return
        except MemoryError:
            raise  # Arrow's own MemoryError is one of `DAMAGE`, but the fault is this machine's
        except DAMAGE as error:
            problem = first_line(error)
    yield Rejection(shard.paths[0], None, None, "unreadable", problem)


def _checked(record: Record, fields: Fields) -> Record | Rejection:
    """The record, or why its text cannot be scored."""
    try:
        size_bytes = len(record.text) if record.text.isascii() else len(record.text.encode("utf-8"))
    except UnicodeEncodeError as error:
        return _rejected(record, "lone_surrogate", f"character {error.start} is half of a surrogate pair")
    if size_bytes > fields.max_text_bytes:
        message = f"{size_bytes:,} bytes of text, more than {fields.max_text_bytes:,}"
        return _rejected(record, "text_too_large", message)
    if fields.null_values and record.text.strip() in fields.null_values:
        return _rejected(record, "missing_text", "the text is one of --null-values", is_empty=True)
    return record


def _rejected(record: Record, code: str, message: str, is_empty: bool = False) -> Rejection:
    # Not the whole text: a chunk of rejections would hold gigabytes of it.
    excerpt = record.text[:EXCERPT_BYTES]
    return Rejection(record.source, record.offset, record.record_id, code, message, excerpt, is_empty)


def _kept_column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """The values of a column: as Arrow has them, each an array of one, or in Python; a chunk may have both kinds."""
    arrays: list[pa.Array] = []
    for is_array, some in groupby(values, lambda value: isinstance(value, pa.Array)):
        alike = list(some)
        if is_array:
            arrays += [array if array.type.equals(kind) else array.cast(kind) for array in alike]
        elif any(value is not None for value in alike):
            arrays.append(pa.array(alike, kind))
        else:
            arrays.append(pa.nulls(len(alike), kind))
    return pa.concat_arrays(arrays) if arrays else pa.nulls(0, kind)


def _chunk(draft: _Draft, fields: Fields) -> Chunk:
    records = draft.records
    ids = [f"{r.source}#{r.offset}" if r.record_id is None else r.record_id for r in records]
    columns = [
        pa.array([printable(i) for i in ids], pa.string()),
        pa.array([printable(r.source) for r in records], pa.string()),
        pa.array([r.offset for r in records], pa.int64()),
        *(_kept_column([r.kept[i] for r in records], kind.type) for i, kind in enumerate(fields.kept_schema)),
    ]
    table = pa.table(columns, names=["record_id", "source", "offset", *fields.kept_schema.names])
    return Chunk(table, [r.text for r in records], draft.rejected)
