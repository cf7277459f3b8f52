"""A run whose unreadable inputs were repaired: whether it can go on, and what of it still holds."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from typing import Any

import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.formats.records import Shard
from batch_scorer.planning.plan import Plan
from batch_scorer.planning.shards import Shards
from batch_scorer.runs import layout
from batch_scorer.schema import printable

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
    touched = {shard.index: _unreadable(shard, output) for shard in stored if not changed.isdisjoint(shard.paths)}
    unreadable = {index for index, paths in touched.items() if not changed.isdisjoint(paths)}
    if is_damaged - was_damaged or not changed <= {path for paths in touched.values() for path in paths}:
        return None
    plan = dataclasses.replace(plan, run_id=earlier["run_id"])
    in_place = len(stored) == len(now) and all(
        before.index in unreadable or _without_words(before) == _without_words(after)
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
    return {path for shard in shards for path, _ in shard.damaged()}


def _without_words(shard: Shard) -> list[Shard]:
    """A shard without what is said of its damage."""
    return [dataclasses.replace(one, damage=one.damage and "damaged") for one in shard.each()]


def _unreadable(shard: Shard, output: str) -> set[str]:
    """The files of a shard of which some could not be read, as planning found or as its marker says."""
    damaged = {path for path, _ in shard.damaged()}
    try:
        marker = json.loads(storage.read_bytes(layout.marker_path(output, shard.index)))
        if int(marker["counts"]["unreadable"]) <= len(damaged):
            return damaged
    except (OSError, ValueError, LookupError, TypeError):
        return damaged
    if len(shard.paths) == 1:
        return {*shard.paths}
    with contextlib.suppress(OSError, ValueError, LookupError):  # a part that is lost: any of them may be meant
        sources = unreadable_sources(storage.join(output, layout.part_name(layout.ERRORS, shard.index)))
        return damaged | {path for path in shard.paths if printable(path) in sources}
    return {*shard.paths}


def unreadable_sources(part: str) -> set[str]:
    """The sources, as `printable` has them, that were not or not wholly readable by a part of `errors`."""
    with storage.open_read(part) as file:
        rows = pq.read_table(file, columns=["source"], filters=[("code", "=", "unreadable")])
    return {*rows["source"].to_pylist()}
