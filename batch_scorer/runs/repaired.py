"""A run whose unreadable inputs were repaired: whether it can go on, and what of it still holds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from batch_scorer import storage
from batch_scorer.formats.records import Shard
from batch_scorer.planning.plan import Plan
from batch_scorer.planning.shards import Shards
from batch_scorer.runs import layout

_Stamps = dict[str, tuple[int, float]]


def repaired(earlier: dict[str, Any], stored: list[Shard], plan: Plan, shards: Shards, output: str) -> Plan | None:
    """The plan to go on with, if nothing has changed but files that could not be read.

    If each shard is the one that it was, except for those that could not be read, the others need not be scored again.
    Otherwise all are, and the run keeps its name.

    Args:
        earlier: the plan in `output`, which is about the same options.
        stored: its shards.
        plan, shards: as they would be planned now.
    """
    now = list(shards)
    before_stamps, stamps = _stamps(stored), _stamps(now)
    if before_stamps.keys() != stamps.keys():
        return None
    was_damaged, is_damaged = _damaged(stored), _damaged(now)
    changed = {path for path, stamp in stamps.items() if stamp != before_stamps[path]} | (was_damaged - is_damaged)
    unreadable = {shard.index for shard in stored if changed & set(shard.paths) and _is_unreadable(shard, output)}
    if is_damaged - was_damaged or changed != {path for i in unreadable for path in stored[i].paths} & changed:
        return None
    plan = dataclasses.replace(plan, run_id=earlier["run_id"])
    in_place = len(stored) == len(now) and all(
        before.index in unreadable or dataclasses.replace(before, damage=after.damage) == after
        for before, after in zip(stored, now, strict=True)
    )
    if in_place and earlier["kept"] == plan.to_json()["kept"]:
        return dataclasses.replace(plan, plan_hash=earlier["plan_hash"])
    return plan if changed else None


def _stamps(shards: Iterable[Shard]) -> _Stamps:
    return {
        path: (size, modified)
        for shard in shards
        for path, (size, modified) in zip(shard.paths, shard.stamps, strict=True)
    }


def _damaged(shards: Iterable[Shard]) -> set[str]:
    return {shard.paths[0] for shard in shards if shard.damage is not None}


def _is_unreadable(shard: Shard, output: str) -> bool:
    """Whether some of a shard could not be read, as planning found or as its marker says."""
    if shard.damage is not None:
        return True
    try:
        marker = json.loads(storage.read_bytes(layout.marker_path(output, shard.index)))
        return int(marker["counts"]["unreadable"]) > 0
    except (OSError, ValueError, LookupError, TypeError):
        return False
