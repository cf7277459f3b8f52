"""The plan in files: written before the work starts, read back by the workers, compared when a run is resumed.

`plan.json` is the plan but its shards; those stand in pieces, as JSON lines, so that a job need not hold them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import OutputError
from batch_scorer.formats.records import Shard
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.storage.parallel import ahead

PIECE_SHARDS = 1_000  # shards in one piece of the plan, at most
PIECE_BYTES = 1 << 20  # in one piece, about: a shard of one-review files names thousands of them
WRITERS = 8  # threads: one piece after the other would be slow in a store, and all at once may not fit into memory
# Where a setting of the plan is not called as its option is.
_OPTIONS = {"model_id": "the model", "kept": "--keep", "excerpts": "excerpts (--no-excerpt)"}


def write_plan(plan: Plan, shards: Iterable[Shard], output: str) -> None:
    """Writes the pieces, a few at a time and in memory, then `plan.json`, which names them."""

    def publish(piece: tuple[int, bytes]) -> str:
        name = layout.piece_name(piece[0])
        storage.publish_bytes(piece[1], storage.join(output, name))
        return name

    names = list(ahead(publish, enumerate(_pieces(shards)), WRITERS))
    document = json.dumps({**plan.to_json(), "pieces": names}, indent=2) + "\n"
    storage.publish_bytes(document.encode(), layout.plan_path(output))


def _pieces(shards: Iterable[Shard]) -> Iterator[bytes]:
    lines: list[bytes] = []
    size = 0
    for shard in shards:
        lines.append(shard.to_json().encode() + b"\n")
        size += len(lines[-1])
        if len(lines) == PIECE_SHARDS or size >= PIECE_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    if lines:
        yield b"".join(lines)


def read_shards(output: str, shard_count: int) -> Iterator[Shard]:
    """The shards of the plan in `output`, one piece in memory at a time.

    Raises:
        OSError: a piece is missing.
        ValueError: one is damaged.
    """
    pieces, index = count(), 0
    while index < shard_count:
        for line in _lines(output, next(pieces)):
            shard = Shard.from_json(line)
            if shard.index != index:
                raise ValueError(f"the plan in {output} is damaged: shard {shard.index} where shard {index} should be")
            yield shard
            index += 1


def _lines(output: str, number: int) -> list[str]:
    return storage.read_bytes(storage.join(output, layout.piece_name(number))).decode().splitlines()


def shard_at(output: str, index: int) -> Shard:
    """Shard `index` of the plan in `output`."""
    # No piece before this one can hold it.
    for number in count(index // PIECE_SHARDS):
        lines = _lines(output, number)
        first = Shard.from_json(lines[0]).index
        if index < first + len(lines):
            return Shard.from_json(lines[index - first])
    raise AssertionError  # the piece that would be next is missing, and that is an OSError


def resumed(plan: Plan, output: str) -> Plan:
    """The plan to go on with: `plan`, under the run id of the one that stands in `output`.

    Raises:
        OutputError: an input, the model or an option has changed since.
    """
    stood = json.loads(storage.read_bytes(layout.plan_path(output)))
    if stood["plan_hash"] == plan.plan_hash:
        return dataclasses.replace(plan, run_id=stood["run_id"])
    raise OutputError(
        "the run cannot be resumed: it would not be the same run",
        where=layout.plan_path(output),
        expected="the inputs, model and options that it was planned with",
        got="; ".join(_changes(stood, plan.to_json())) or "other shards: another version of batch-scorer planned it",
        fix="restore them, or start anew with --overwrite or another --output",
    )


def _changes(stood: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What of the plan that stood is not so now, for a person."""
    inputs_then, inputs_now = ({found["input"]: found for found in plan.get("inputs", ())} for plan in (stood, now))
    for name in sorted(inputs_then.keys() | inputs_now.keys()):
        before, after = inputs_then.get(name), inputs_now.get(name)
        if before is None or after is None:
            yield f"input {name} {'was not there' if before is None else 'is not given'}"
        elif before != after:
            then, here = (f"{found['bytes']:,} bytes in {found['files']:,} file(s)" for found in (before, after))
            yield f"input {name} has changed: {then}; now {'of another name or date' if then == here else here}"
    follows = ("run_id", "plan_hash", "inputs", "shards", "reviews", "estimated", "notices")
    for name, value in now.items():
        if name not in follows and value != stood.get(name):
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            yield f"{option} was {stood.get(name)!r:.80} and is now {value!r:.80}"
