"""Plan: the inputs, listed and cut into shards that any worker can take.

In: the config. Out: a `Plan` (small, sent to every worker) and its `Shard`s (written as JSON lines, read back by the
workers). Both follow from the inputs and the options alone, never from the workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batch_scorer import inputs, storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OutputError
from batch_scorer.records import Fields, InputFile, Shard

SHARDS_AT_LEAST = 64  # so that the shards of a middling corpus fill a cluster
SHARD_ROWS_MIN, SHARD_ROWS_MAX = 1_000, 50_000
PIECE_SHARDS = 1_000  # shards in one piece of the plan


@dataclass(frozen=True)
class Plan:
    """Everything about the run but its shards.

    Args:
        run_id: `--run-id`, or the first 12 hex digits of `plan_hash`.
        plan_hash: sha256 over inputs, options, model and shards.
        model_id: of the model that is to score.
        fields: the columns to read.
        top_k: tokens in each list.
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
            "top_k": self.top_k,
            "shards": self.shard_count,
            "reviews": self.reviews,
            "estimated": self.estimated,
            "inputs": list(self.inputs),
            "notices": list(self.notices),
        }


def make_plan(config: ScoreConfig, model_id: str) -> tuple[Plan, list[Shard]]:
    """Lists the inputs and cuts them into shards.

    Raises:
        InputError: nothing matches, a column is missing or has a wrong type, or a format cannot be told.
        OutputError: the output lies inside an input.
    """
    listing = inputs.list_inputs(config)
    files = [inputs.inspect(file, config) for file in listing.files]
    kept_schema = inputs.kept_schema(files, config)
    reviews = sum(file.reviews for file in files)
    rows = config.shard_rows or min(max(reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)
    shards = [dataclasses.replace(shard, index=i) for i, shard in enumerate(_cut(files, rows))]
    plan = Plan(
        run_id="",
        plan_hash="",
        model_id=model_id,
        fields=Fields(config.text_column, config.id_column, config.kept, kept_schema, config.max_text_bytes),
        top_k=config.top_k,
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
    group: list[str] = []
    for file in files:
        if file.format == "files" and not file.damage:
            group.append(file.path)
            if len(group) == rows:
                yield Shard(0, "files", tuple(group))
                group = []
            continue
        if group:
            yield Shard(0, "files", tuple(group))
            group = []
        if file.damage:
            yield Shard(0, file.format, (file.path,), damage=file.damage)
        elif file.format == "parquet":
            first = 0
            for index, count in enumerate(file.row_groups):
                for start, stop in _ranges(count, rows):
                    yield Shard(0, "parquet", (file.path,), first + start, first + stop, index, first)
                first += count
        else:
            bytes_a_shard = max(1, round(rows * file.size_bytes / max(file.reviews, 1)))
            for start, stop in _ranges(file.size_bytes, bytes_a_shard):
                yield Shard(0, file.format, (file.path,), start, stop)
    if group:
        yield Shard(0, "files", tuple(group))


def _ranges(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of nearly equal size, `size` at most, that cover 0 to `total`."""
    count = -(-total // size)
    for i in range(count):
        yield total * i // count, total * (i + 1) // count


def write_plan(plan: Plan, shards: Sequence[Shard], output: str) -> None:
    """Writes the pieces, then `plan.json`, which names them."""
    names = []
    for number, start in enumerate(range(0, len(shards), PIECE_SHARDS)):
        names.append(_piece_name(number))
        lines = "".join(shard.to_json() + "\n" for shard in shards[start : start + PIECE_SHARDS])
        storage.publish_bytes(lines.encode(), storage.join(output, names[-1]))
    document = json.dumps({**plan.to_json(), "pieces": names}, indent=2) + "\n"
    storage.publish_bytes(document.encode(), storage.join(output, "plan.json"))


def read_shards(output: str, shard_count: int) -> Iterator[Shard]:
    """The shards of the plan in `output`, one piece in memory at a time."""
    for number in range(-(-shard_count // PIECE_SHARDS)):
        for line in storage.read_bytes(storage.join(output, _piece_name(number))).decode().splitlines():
            yield Shard.from_json(line)


def _piece_name(number: int) -> str:
    return f"plan/{number:05d}.jsonl"


def resumed(plan: Plan, output: str) -> Plan:
    """The plan to go on with: `plan`, under the run id of the one that stands in `output`.

    Raises:
        OutputError: an input, the model or an option has changed since.
    """
    stood = json.loads(storage.read_bytes(storage.join(output, "plan.json")))
    if stood["plan_hash"] == plan.plan_hash:
        return dataclasses.replace(plan, run_id=stood["run_id"])
    now = plan.to_json()
    changed = [name for name in now if name not in ("run_id", "plan_hash") and now[name] != stood.get(name)]
    raise OutputError(
        "the run cannot be resumed: it would not be the same run",
        where=storage.join(output, "plan.json"),
        expected="the inputs, model and options that it was planned with",
        got=f"changed: {', '.join(changed) or 'the shards'}",
        fix="restore them, or start anew with --overwrite or another --output",
    )
