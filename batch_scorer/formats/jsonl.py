"""JSON lines: one object per line; a shard is a range of bytes, or a whole compressed file.

A file whose objects do not lie one on a line is passed on to `json_values`.
"""

from __future__ import annotations

from collections.abc import Iterator

from batch_scorer.formats import json_values
from batch_scorer.formats.compression import open_text
from batch_scorer.formats.first_bytes import check_json, check_text
from batch_scorer.formats.json_records import SEARCHED_BYTES, columns_of, objects, record
from batch_scorer.formats.json_tables import check_objects
from batch_scorer.formats.records import Contents, Fields, Record, Shard
from batch_scorer.formats.text_lines import BLANK, max_line_bytes, read_lines, sample, shard_lines
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the first lines, for the columns and the mean size of a record; more of them where fields appear later."""
    head = sample(file)
    check_text(file.path, head)
    check_json(file.path, head, fields.text)
    if json_values.is_other_than_lines(head, fields):
        return json_values.inspect(file, fields)
    check_objects(file.path, head, fields)
    later = [] if head.is_whole else _lines(file, fields)
    columns = columns_of(objects(head.lines), later, fields, head.is_damaged)
    return Contents(head.estimate(head.count_filled()), estimated=not head.is_whole, columns=columns)


def _lines(file: StoredFile, fields: Fields) -> Iterator[bytes]:
    with open_text(file.path) as (stream, _):
        for offset, line in read_lines(stream, 0, None, max_line_bytes(fields.max_text_bytes), BLANK):
            if offset > SEARCHED_BYTES:
                return
            if line is not None:
                yield line


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, without blank ones; offsets are bytes of the (decompressed) file."""
    for line in shard_lines(shard, fields, beat):
        yield line if isinstance(line, Rejection) else record(shard.paths[0], *line, fields)
