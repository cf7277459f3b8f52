"""Plan: the inputs, listed and cut into shards that any worker can take.

In: the config. Out: a `Plan` (small, sent to every worker) and its `Shard`s (which `stored_plan` puts into files). Both
follow from the inputs and the options alone, never from the workers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import pyarrow as pa

from batch_scorer import columns, inputs, read
from batch_scorer.config import ScoreConfig
from batch_scorer.formats.inflate import is_compressed
from batch_scorer.records import DAMAGE, Fields, InputFile, Shard

SHARDS_AT_LEAST = 64  # so that the shards of a middling corpus fill a cluster
SHARD_ROWS_MIN, SHARD_ROWS_MAX = 1_000, 50_000


@dataclass(frozen=True)
class Plan:
    """Everything about the run but its shards.

    Args:
        run_id: `--run-id`, or the first 12 hex digits of `plan_hash`.
        plan_hash: sha256 over inputs, options, model and shards.
        model_id: of the model that is to score.
        fields: the columns to read.
        top_k: tokens in each list.
        precision: of the network's products.
        excerpts: whether rows of `errors` begin with some of the record.
        limit: how many records were asked for, the first.
        shard_rows: reviews in a shard, about, as asked for.
        shard_count: how many shards.
        reviews: how many there are, or (`estimated`) about how many.
        inputs: per argument: what it matched, in files and bytes, and a fingerprint.
        notices: what the user should know of the inputs.
    """

    run_id: str
    plan_hash: str
    model_id: str
    fields: Fields
    top_k: int
    precision: str
    excerpts: bool
    limit: int | None
    shard_rows: int | None
    shard_count: int
    reviews: int
    estimated: bool
    inputs: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """`plan.json`, without the pieces' names."""
        f = self.fields
        return {
            "run_id": self.run_id,
            "plan_hash": self.plan_hash,
            "model_id": self.model_id,
            "text_column": f.text,
            "id_column": f.id,
            "kept": [
                {**dataclasses.asdict(kept), "type": str(kind.type)}
                for kept, kind in zip(f.kept, f.kept_schema, strict=True)
            ],
            "max_text_bytes": f.max_text_bytes,
            "encoding": f.encoding,
            "delimiter": f.delimiter,
            "top_k": self.top_k,
            "precision": self.precision,
            "excerpts": self.excerpts,
            "limit": self.limit,
            "shard_rows": self.shard_rows,
            "shards": self.shard_count,
            "reviews": self.reviews,
            "estimated": self.estimated,
            "inputs": list(self.inputs),
            "notices": list(self.notices),
        }


def wanted_fields(config: ScoreConfig) -> Fields:
    """The fields asked for; the types of the kept ones follow when the inputs have been looked into."""
    c, no_types_yet = config, pa.schema([])
    return Fields(c.text_column, c.id_column, c.kept, no_types_yet, c.max_text_bytes, c.encoding, c.delimiter)


def make_plan(config: ScoreConfig, model_id: str) -> tuple[Plan, list[Shard]]:
    """Lists the inputs and cuts them into shards.

    Raises:
        InputError: nothing matches, a column is missing or has a wrong type, or a format cannot be told.
        OutputError: the output lies inside an input.
    """
    listing = inputs.list_inputs(config)
    fields = wanted_fields(config)
    files = [columns.inspect(file, fields) for file in listing.files]
    fields = dataclasses.replace(fields, kept_schema=columns.kept_schema(files, fields))
    reviews = sum(file.reviews for file in files)
    rows = config.shard_rows or min(max(reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)
    cut: Iterable[Shard] = _cut(files, rows)
    if config.limit is not None:
        cut, reviews = _limit(cut, fields, config.limit), min(reviews, config.limit)
    stamp = {file.path: (file.size_bytes, file.modified) for file, _ in listing.files}
    shards = [
        dataclasses.replace(shard, index=i, stamps=tuple(stamp[path] for path in shard.paths))
        for i, shard in enumerate(cut)
    ]
    plan = Plan(
        run_id="",
        plan_hash="",
        model_id=model_id,
        fields=fields,
        top_k=config.top_k,
        precision=config.precision,
        excerpts=config.excerpts,
        limit=config.limit,
        shard_rows=config.shard_rows,
        shard_count=len(shards),
        reviews=reviews,
        estimated=any(file.estimated for file in files),
        inputs=listing.summaries,
        notices=listing.notices,
    )
    digest = hashlib.sha256(json.dumps(plan.to_json(), sort_keys=True).encode())
    for shard in shards:
        digest.update(shard.to_json().encode() + b"\n")
    plan_hash = digest.hexdigest()
    return dataclasses.replace(plan, run_id=config.run_id or plan_hash[:12], plan_hash=plan_hash), shards


def _cut(files: Sequence[InputFile], rows: int) -> Iterator[Shard]:
    """Shards of about `rows` reviews, in the order of the inputs; indices are given afterwards."""
    for (kind, partitions, damaged), group in groupby(files, lambda f: (f.format, f.partitions, f.damage is not None)):
        if kind == "files" and not damaged:
            while paths := tuple(file.path for file in islice(group, rows)):
                yield Shard(0, "files", paths, partitions=partitions)
            continue
        for file in group:
            whole = Shard(0, file.format, (file.path,), partitions=partitions, damage=file.damage)
            yield from [whole] if damaged else _cut_file(file, rows, whole)


def _cut_file(file: InputFile, rows: int, whole: Shard) -> Iterator[Shard]:
    if file.format == "parquet":
        first = 0
        for index, count in enumerate(file.row_groups):
            for start, stop in _ranges(count, rows):
                yield dataclasses.replace(
                    whole, start=first + start, stop=first + stop, row_group=index, row_group_start=first
                )
            first += count
    elif file.format == "csv" or is_compressed(file.path):
        # A quoted field may hold line ends, and a compressed file begins at its beginning: neither can be cut.
        if file.reviews:
            yield whole
    else:
        bytes_a_shard = max(1, round(rows * file.size_bytes / max(file.reviews, 1)))
        for start, stop in _ranges(file.size_bytes, bytes_a_shard):
            yield dataclasses.replace(whole, start=start, stop=stop)


def _limit(shards: Iterable[Shard], fields: Fields, limit: int) -> Iterator[Shard]:
    """The shards of the first `limit` records. Where only reading tells how many there are, it reads so many."""
    left = limit
    for shard in shards:
        if not left:
            return
        if shard.damage:
            yield shard
        elif shard.format == "parquet":
            assert shard.stop is not None
            stop = min(shard.stop, shard.start + left)
            yield dataclasses.replace(shard, stop=stop)
            left -= stop - shard.start
        elif shard.format == "files":
            yield dataclasses.replace(shard, paths=shard.paths[:left])
            left -= min(left, len(shard.paths))
        else:
            yield dataclasses.replace(shard, max_records=left)
            with contextlib.suppress(*DAMAGE):
                for _ in islice(read.records(shard, fields), left):
                    left -= 1


def _ranges(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of nearly equal size, `size` at most, that cover 0 to `total`."""
    count = -(-total // size)
    for i in range(count):
        yield total * i // count, total * (i + 1) // count
