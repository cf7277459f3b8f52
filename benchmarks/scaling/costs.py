"""What a job's work is made of: seconds a review and a shard, as measured on one machine, and what is assumed of others.

In: `job.json` of `benchmarks.job`. Out: `Costs`, a `Cluster`, and the shards that the planner would cut.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_scorer.errors import InputError
from batch_scorer.plan import SHARD_ROWS_MAX, SHARD_ROWS_MIN, SHARDS_AT_LEAST

ROUND_TRIPS = 12  # of a shard in a store: marker looked for, input found and read, looked at again, two parts, marker


@dataclass(frozen=True)
class Costs:
    """Seconds of one vCPU.

    Args:
        review_s: all stages of one review; measured.
        process_s: from a worker process's start until it scores: imports, compilation; measured.
        trip_s: one request to a store and its answer; assumed.
    """

    review_s: float
    process_s: float
    trip_s: float = 0.08

    @property
    def shard_s(self) -> float:
        """What a shard costs, however many reviews it has."""
        return ROUND_TRIPS * self.trip_s


@dataclass(frozen=True)
class Cluster:
    """Machines, as they are rented: one worker is one process on one vCPU.

    Args:
        workers: how many.
        machine_s: from the request for a machine until its process starts; assumed.
        spread: standard deviation of the logarithm of a worker's speed.
        slow_share: share of the workers that are stragglers.
        slow_factor: how many times longer a straggler takes.
        preempted_an_hour: how often a worker is taken away; another one then starts.
        price: of a vCPU-hour.
    """

    workers: int
    machine_s: float = 120.0
    spread: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 2.0
    preempted_an_hour: float = 0.0
    price: float = 0.05


def measured(path: Path) -> Costs:
    """The seconds that `benchmarks.job` found.

    Raises:
        InputError: the file is not its `job.json`, with two sizes at least.
    """
    try:
        found = json.loads(path.read_text())
        return costs_of(found)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            "the measured times cannot be read",
            where=str(path),
            expected="job.json of benchmarks.job, of two sizes at least",
            got=f"{type(error).__name__}: {error}",
        ) from error


def costs_of(found: Mapping[str, Any]) -> Costs:
    """From the two largest runs: the rate of the reviews that the last added, and what is left of the one before."""
    few, many = sorted(found["growth"], key=lambda run: int(run["reviews"]))[-2:]
    rate = (many["reviews"] - few["reviews"]) / (many["seconds"] - few["seconds"]) / many["processes"]
    return Costs(1 / rate, few["seconds"] - few["reviews"] / rate / few["processes"])


def default_rows(reviews: int) -> int:
    """Reviews in a shard of a corpus, as the planner decides."""
    return min(max(reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)


def cut(reviews: int, rows: int) -> list[int]:
    """Reviews of each shard, nearly equal and `rows` at most."""
    count = -(-reviews // rows)
    return [b - a for a, b in itertools.pairwise(reviews * i // count for i in range(count + 1))]


def closed_form(reviews: int, rows: int, costs: Costs, cluster: Cluster) -> float:
    """Seconds of a job on workers that are all alike and never go: the start, then waves of equal shards."""
    waves = -(-(-(-reviews // rows)) // cluster.workers)
    largest = max(cut(reviews, rows))
    return cluster.machine_s + costs.process_s + waves * (costs.shard_s + largest * costs.review_s)
