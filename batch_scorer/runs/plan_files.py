"""The files of a plan: written before the work starts, read by the workers, compared when a run is resumed.

`plan.json` is the plan without its shards. These are in pieces, as JSON lines, so that a job need not hold them all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from typing import Any

from batch_scorer import storage
from batch_scorer.config import FILE
from batch_scorer.errors import OutputError
from batch_scorer.escape import counted
from batch_scorer.formats.records import Shard
from batch_scorer.planning.plan import Plan, plan_hash, planned_apart, planned_without_hash
from batch_scorer.planning.shards import Shards
from batch_scorer.runs import layout
from batch_scorer.runs.repaired import repaired
from batch_scorer.storage.parallel import ahead

PIECE_SHARDS = 1_000  # the most shards in one piece of the plan
PIECE_BYTES = 1 << 20  # roughly the most in one piece: a shard of one-review files names thousands of them
WRITERS = 8  # threads: a store is slow for one piece at a time, and all pieces at once may not fit into memory
# The settings of a plan that are not named like their options.
_OPTIONS = {
    "model_id": "the model",
    "after": "what --after names",
    "kept": "--keep",
    "excerpts": "excerpts (--no-excerpt)",
}


_OTHER_SHARDS = (
    "other shards of the same inputs: a file was written again with its old date, or another version of batch-scorer "
    "planned the run"
)
# What follows from the inputs and the options.
_DERIVED = (
    *("run_id", "plan_hash", "inputs", "shards", "reviews", "estimated", "notices", "pieces", "certainty"),
    "earlier_records",
)
# How a change begins that repairing an input may make: in its size or date, or in the types that its columns have.
_OF_INPUTS = ("input ", "types of --keep ")


def write_plan(plan: Plan, shards: Iterable[Shard], output: str) -> None:
    """Writes the pieces, with a few of them in memory at a time, then `plan.json`, which names them."""

    def publish(piece: tuple[int, bytes]) -> str:
        name = layout.piece_name(piece[0])
        storage.publish_bytes(piece[1], storage.join(output, name))
        return name

    names = list(ahead(publish, enumerate(_pieces(shards)), WRITERS))
    document = json.dumps({**plan.to_json(), "pieces": names}, indent=2) + "\n"
    storage.publish_bytes(document.encode(), layout.plan_path(output))
    storage.delete(layout.stray_pieces(output, names))


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
    """The shards of the plan in `output`; one piece is in memory at a time.

    Raises:
        OSError: a piece is missing.
        ValueError: a piece is damaged.
    """
    names, index = map(layout.piece_name, count()), 0
    while index < shard_count:
        for shard in read_piece(output, next(names), index):
            yield shard
            index += 1


def pieces(output: str) -> list[str]:
    """The names of the pieces of the plan in `output`."""
    return list(json.loads(storage.read_bytes(layout.plan_path(output)))["pieces"])


def read_piece(output: str, name: str, first: int | None = None) -> Iterator[Shard]:
    """The shards of one piece of the plan in `output`.

    Args:
        first: the number of the first one, where it is known.

    Raises:
        OSError: the piece is missing.
        ValueError: it is damaged.
    """
    for line in _lines(output, name):
        shard = Shard.from_json(line)
        if first not in (None, shard.index):
            raise ValueError(f"the plan in {output} is damaged: expected shard {first}, got shard {shard.index}")
        yield shard
        first = shard.index + 1


def _lines(output: str, name: str) -> list[str]:
    return storage.read_bytes(storage.join(output, name)).decode().splitlines()


def shard_at(output: str, index: int) -> Shard:
    """Shard `index` of the plan in `output`."""
    # No earlier piece can hold it.
    for number in count(index // PIECE_SHARDS):
        lines = _lines(output, layout.piece_name(number))
        first = Shard.from_json(lines[0]).index
        if index < first + len(lines):
            return Shard.from_json(lines[index - first])
    raise AssertionError  # unreachable: reading a piece that is missing raises an OSError


def resumed(plan: Plan, shards: Shards, output: str, run_id: str | None = None) -> tuple[Plan, Shards]:
    """The plan in `output`, to continue with, and its shards: they are `plan` and `shards`, at most in other words.

    Args:
        run_id: the name that was given for the run, if one was.

    Raises:
        OutputError: an input, the model or an option has changed since.
    """
    earlier = json.loads(storage.read_bytes(layout.plan_path(output)))
    if plan.text_hash and not earlier.get("text_hash") and plan.after_by == FILE:
        plan = planned_without_hash(plan, shards)  # a run that began without the column goes on without it
    changes = [*_changes(earlier, plan.to_json())]
    if run_id not in (None, earlier["run_id"]):
        changes.insert(0, f"--run-id was {earlier['run_id']!r:.80} and is now {run_id!r:.80}")
    elif earlier["plan_hash"] == plan.plan_hash:
        return dataclasses.replace(plan, run_id=earlier["run_id"]), shards
    stored = _stored(earlier, output)
    if any(shard.members for shard in shards) and not any(shard.members for shard in stored or ()):
        plan, shards = planned_apart(plan, shards)
        if run_id in (None, earlier["run_id"]) and earlier["plan_hash"] == plan.plan_hash:
            return dataclasses.replace(plan, run_id=earlier["run_id"]), shards
    if not changes and stored is not None:
        same, as_before = _in_words_of(earlier, stored, plan, shards)
        if earlier["plan_hash"] == plan_hash(same, as_before):
            return dataclasses.replace(same, run_id=earlier["run_id"], plan_hash=earlier["plan_hash"]), as_before
    if stored is not None and all(change.startswith(_OF_INPUTS) for change in changes):
        goes_on = repaired(earlier, stored, plan, shards, output)
        if goes_on is not None:
            return goes_on, shards
    raise OutputError(
        "the run cannot be resumed: it would not be the same run",
        where=layout.plan_path(output),
        expected="the inputs, model and options that it was planned with",
        got="; ".join([*changes, *islice(_lost(stored or (), shards), 1)]) or _OTHER_SHARDS,
        fix="restore them, or start from scratch with --overwrite or another --output",
    )


def _stored(earlier: dict[str, Any], output: str) -> list[Shard] | None:
    """The shards of the plan in `output`; None if they are damaged."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return list(read_shards(output, earlier["shards"]))
    return None


def _lost(stored: Iterable[Shard], shards: Iterable[Shard]) -> Iterator[str]:
    """Inputs that cannot be read now, and could be when the run was planned."""
    readable = {path for shard in stored for path in {*shard.paths} - dict(shard.damaged()).keys()}
    for path, damage in (file for shard in shards for file in shard.damaged()):
        if path in readable:
            yield f"{path} can no longer be read: {damage}"


def _in_words_of(earlier: dict[str, Any], stored: Iterable[Shard], plan: Plan, shards: Shards) -> tuple[Plan, Shards]:
    """The plan with the notices of an earlier one, and with what its shards say of damage.

    Both are part of the hash, and another version may word them differently.
    """
    with contextlib.suppress(LookupError, TypeError):  # what is damaged is not the same plan
        damage = dict(file for shard in stored for file in shard.damaged())
        return dataclasses.replace(plan, notices=tuple(earlier["notices"])), shards.with_damage(damage)
    return plan, shards


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """What has changed in a plan, for a person."""
    inputs_before, inputs_now = ({one["input"]: one for one in plan.get("inputs", ())} for plan in (before, now))
    for name in sorted(inputs_before.keys() | inputs_now.keys()):
        old, new = inputs_before.get(name), inputs_now.get(name)
        if old is None or new is None:
            yield f"the input {name} is {'new' if old is None else 'no longer given'}"
        elif old != new:
            then, here = (f"{counted(one['bytes'], 'byte')} in {counted(one['files'], 'file')}" for one in (old, new))
            if old["formats"] != new["formats"] and old["fingerprint"] == new["fingerprint"]:
                then, here = (", ".join(one["formats"]) for one in (old, new))
                yield f"the format of {name} (--input-format) was {then} and is now {here}"
                continue
            now_is = "with other names or times" if then == here else here
            yield f"{_OF_INPUTS[0]}{name} has changed: {then}; now {now_is}"
    yield from changed_settings(before, now)


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """The model and the options that differ between two plans, as `plan.json` has them, for a person."""
    kept_before, kept_now = ([{**kept, "type": ""} for kept in plan["kept"]] for plan in (before, now))
    for name in dict.fromkeys([*now, *before]):
        if name == "kept" and before[name] != now[name] and kept_before == kept_now:
            types = (", ".join(f"{kept['name']} {kept['type']}" for kept in plan["kept"]) for plan in (before, now))
            yield f"{_OF_INPUTS[1]}were {next(types):.200} and are now {next(types):.200}"
        elif name not in _DERIVED and now.get(name) != before.get(name):
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            yield f"{option} was {before.get(name)!r:.80} and is now {now.get(name)!r:.80}"
