"""Columns in the path of a file, `year=2024/month=02`, as Hive and Spark write them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from batch_scorer.formats.records import Fields, Record, Shard
from batch_scorer.formats.table import FORMATS
from batch_scorer.schema import Rejection, printable
from batch_scorer.storage import Beat

_PARTITION = re.compile(r"([^=]+)=(.*)")


def columns_in(path: str) -> dict[str, str | None]:
    """The columns in the names of a path's directories; None for what Hive writes for a null."""
    matches = (_PARTITION.fullmatch(part) for part in path.split("/")[:-1])
    values = {match[1]: unquote(match[2]) for match in matches if match}
    return {name: None if value == "__HIVE_DEFAULT_PARTITION__" else value for name, value in values.items()}


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The records of `shard` as its format reads them, with the columns in its path added.

    Raises:
        One of `records.DAMAGE`.
    """
    in_path = dict(shard.partitions)
    if not in_path:
        yield from FORMATS[shard.format].records(shard, fields, beat)
        return
    columns = list(zip(fields.kept, fields.kept_schema, strict=True))
    in_file = [(kept, kind) for kept, kind in columns if kept.name not in in_path]
    wanted = dataclasses.replace(
        fields,
        id=None if fields.id in in_path else fields.id,
        kept=tuple(kept for kept, _ in in_file),
        kept_schema=pa.schema([kind for _, kind in in_file]),
    )
    given = {kept.name: _typed(in_path[kept.name], kind.type) for kept, kind in columns if kept.name in in_path}
    for record in FORMATS[shard.format].records(shard, wanted, beat):
        if isinstance(record, Record):
            rest = iter(record.kept)
            values = tuple(given[kept.name] if kept.name in given else next(rest) for kept, _ in columns)
            yield record._replace(kept=values, record_id=in_path.get(fields.id or "", record.record_id))
        else:
            yield record


def _typed(value: str | None, kind: pa.DataType) -> Any:
    return value if value is None else pa.array([printable(value)]).cast(kind)
