"""What each shard did: a summary, kept in a marker, which is written after everything else.

OUT/shards/00000.json: by it a shard counts as done, when the run is resumed and when it is committed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import JobError
from batch_scorer.models import profile
from batch_scorer.models.profile import Profile
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.runs.layout import Part
from batch_scorer.storage.parallel import ahead

MARKERS_AT_ONCE = 128  # threads that read markers from a store: each waits for a round trip
STAGES = ("read", "encode", "score", "explain", "write")


@dataclass(frozen=True)
class Counts:
    """``read = scored + rejected``; a damaged file or range only counts in `unreadable`.

    Of `rejected`, `empty` had nothing to score: the text is blank, null or without words. `passed_over` are the records
    that were not read again, since an earlier run had read them (`--after-by record`): they are not in `read`.
    """

    read: int = 0
    scored: int = 0
    rejected: int = 0
    unreadable: int = 0
    empty: int = 0
    passed_over: int = 0

    def to_json(self) -> dict[str, int]:
        """The counts by name; without `passed_over` where that is 0, as earlier versions had them."""
        counts = dataclasses.asdict(self)
        return counts if self.passed_over else {name: n for name, n in counts.items() if name != "passed_over"}

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.read + other.read,
            self.scored + other.scored,
            self.rejected + other.rejected,
            self.unreadable + other.unreadable,
            self.empty + other.empty,
            self.passed_over + other.passed_over,
        )


@dataclass(frozen=True)
class Summary:
    """What some shards did, together.

    Args:
        shards: the number of shards.
        parts: the files that a single shard wrote. A sum names none: those of a large run might be more than a runner
            passes on in one piece, so that whoever needs them reads the markers (`parts_of`).
        timings: seconds in each stage, summed over the workers.
        workers: how many of the shards each worker process did, by its name.
        caveats: how many rows say what of how far to trust them (`scoring.caveats`), where that was asked.
    """

    shards: int = 0
    counts: Counts = Counts()
    parts: tuple[Part, ...] = ()
    profile: Profile = profile.EMPTY
    timings: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    workers: Mapping[str, int] = dataclasses.field(default_factory=dict)
    caveats: Mapping[str, int] = dataclasses.field(default_factory=dict)


class Total:
    """Adds up in place, as Beam allows."""

    def __init__(self) -> None:
        self.shards, self.counts, self.profile = 0, Counts(), profile.EMPTY
        self.timings = dict.fromkeys(STAGES, 0.0)
        self.workers, self.caveats = Counter[str](), Counter[str]()

    def add(self, other: Summary | Total) -> Total:
        """Adds `other`, which does not change; returns itself."""
        self.shards += other.shards
        self.counts += other.counts
        self.profile += other.profile
        for stage in STAGES:
            self.timings[stage] += other.timings[stage]
        self.workers.update(other.workers)
        self.caveats.update(other.caveats)
        return self

    def summary(self) -> Summary:
        """The sum so far."""
        more = dict(self.timings), dict(self.workers), dict(self.caveats)
        return Summary(self.shards, self.counts, (), self.profile, *more)


def this_worker() -> dict[str, int]:
    """`Summary.workers` of a shard that this process did."""
    return {f"{socket.gethostname()}-{os.getpid()}": 1}


def write_marker(summary: Summary, index: int, plan: Plan, output: str) -> None:
    """Marks shard `index` as done. Its marker is written after everything else."""
    document = {
        "shard": index,
        "plan_hash": plan.plan_hash,
        "run_id": plan.run_id,
        "counts": summary.counts.to_json(),
        "parts": [dataclasses.asdict(part) for part in summary.parts],
        "profile": summary.profile.to_json(),
        "timings": {stage: round(seconds, 4) for stage, seconds in summary.timings.items()},
        "workers": dict(summary.workers),
        **({"caveats": dict(summary.caveats)} if summary.caveats else {}),
    }
    document["sha256"] = _digest(document)
    storage.publish_bytes((json.dumps(document) + "\n").encode(), layout.marker_path(output, index))


def _digest(document: Mapping[str, Any]) -> str:
    """sha256 of the rest of a marker: without it, damage that leaves valid JSON would be believed."""
    return hashlib.sha256(json.dumps({**document, "sha256": ""}).encode()).hexdigest()


def _marked(index: int, plan: Plan, output: str) -> Summary | None:
    """What the marker of shard `index` says, if it belongs to this run."""
    try:
        document = json.loads(storage.read_bytes(layout.marker_path(output, index)))
        if document["sha256"] != _digest(document) or document["shard"] != index:
            return None
        if (document["plan_hash"], document["run_id"]) != (plan.plan_hash, plan.run_id):
            return None
        parts = tuple(Part(**part) for part in document["parts"])
        profile_, counts = Profile.from_json(document["profile"]), Counts(**document["counts"])
        more = document["timings"], document.get("workers", {}), document.get("caveats", {})
        return Summary(1, counts, parts, profile_, *more)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # the marker is missing or damaged: the shard is done again


def finished_shard(index: int, plan: Plan, output: str) -> Summary | None:
    """What shard `index` did, if its marker belongs to this run and its parts are still as the marker says."""
    summary = _marked(index, plan, output)
    if summary is None or summary.counts.unreadable:
        return None  # try again: it may have been the disk or the network, else the rows will be the same
    with contextlib.suppress(OSError):
        for part in summary.parts:
            with storage.open_read(storage.join(output, part.path)) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != part.sha256:  # type: ignore[arg-type]
                    return None
        return summary
    return None


def parts_of(plan: Plan, output: str) -> tuple[Part, ...]:
    """The parts of a run whose shards are all done, in the order of the shards, as their markers name them.

    Raises:
        JobError: a marker is missing, damaged or of another run.
    """

    def of_shard(index: int) -> tuple[Part, ...]:
        summary = _marked(index, plan, output)
        if summary is None:
            where, fix = layout.marker_path(output, index), "run the same command with --resume"
            raise JobError("not every shard is done", where=where, expected="a marker of this run", got="none", fix=fix)
        return summary.parts

    threads = MARKERS_AT_ONCE if storage.is_remote(output) else 1
    return tuple(chain.from_iterable(ahead(of_shard, range(plan.shard_count), threads)))
