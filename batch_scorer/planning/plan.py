"""Plan: the inputs, listed and cut into shards that any worker can take.

In: the config. Out: a `Plan` (small, sent to every worker) and its `Shards` (which `stored_plan` puts into files). Both
follow from the inputs and the options alone, never from the workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batch_scorer.config import InputConfig, ScoreConfig
from batch_scorer.formats.records import Fields
from batch_scorer.planning import columns
from batch_scorer.planning.columns import Say, say_nothing
from batch_scorer.planning.listing import list_inputs
from batch_scorer.planning.shards import Files, Shards

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


def wanted_fields(config: InputConfig) -> Fields:
    """The fields asked for; the types of the kept ones follow when the inputs have been looked into."""
    c, no_types_yet = config, pa.schema([])
    return Fields(c.text_column, c.id_column, c.kept, no_types_yet, c.max_text_bytes, c.encoding, c.delimiter)


def make_plan(config: ScoreConfig, model_id: str, say: Say = say_nothing) -> tuple[Plan, Shards]:
    """Lists the inputs and cuts them into shards.

    Args:
        say: is told now and then what goes on.

    Raises:
        InputError: nothing matches, a column is missing or has a wrong type, or a format cannot be told.
        OutputError: the output lies inside an input.
    """
    say("listing the inputs")
    listing = list_inputs(config)
    fields, files = wanted_fields(config.input), Files(listing)
    looked_into = (files.add(file) for file in columns.look_into(listing, fields, say))
    fields = dataclasses.replace(fields, kept_schema=columns.kept_schema(looked_into, fields))
    rows = config.job.shard_rows or min(max(files.reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)
    say("cutting the inputs into shards")
    shards = Shards(files, rows, fields, config.input.limit)
    plan = Plan(
        run_id="",
        plan_hash="",
        model_id=model_id,
        fields=fields,
        top_k=config.scoring.top_k,
        precision=config.scoring.precision,
        excerpts=config.output.excerpts,
        limit=config.input.limit,
        shard_rows=config.job.shard_rows,
        shard_count=len(shards),
        reviews=files.reviews if config.input.limit is None else min(files.reviews, config.input.limit),
        estimated=files.estimated,
        inputs=listing.summaries,
        notices=listing.notices,
    )
    digest = hashlib.sha256(json.dumps(plan.to_json(), sort_keys=True).encode())
    for shard in shards:
        digest.update(shard.to_json().encode() + b"\n")
    plan_hash = digest.hexdigest()
    return dataclasses.replace(plan, run_id=config.output.run_id or plan_hash[:12], plan_hash=plan_hash), shards
