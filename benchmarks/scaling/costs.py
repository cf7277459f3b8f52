"""What a job's work is made of: times as measured on one machine, and what is assumed of others.

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
from batch_scorer.planning.plan import SHARD_ROWS_MAX, SHARD_ROWS_MIN, SHARDS_AT_LEAST
from batch_scorer.runners.dataflow import MACHINE_VCPUS, RUN_SECONDS, VCPU_REVIEWS_PER_S, WORKERS_MAX
from batch_scorer.runners.estimate import DATAFLOW_START_S, VCPU_SHARE

# Of a shard in a store, one after the other: its marker is looked for; the input is found, its footer and its columns
# are read (4), it is looked at again; two parts are sent, the larger in three pieces and an end; the marker is sent.
ROUND_TRIPS = 12
ROUND_TRIP_S = 0.08


@dataclass(frozen=True)
class Costs:
    """Seconds of one vCPU.

    Args:
        review_s: all stages of one review.
        process_s: from a worker process's start until it scores: imports, compilation.
        shard_s: what a shard costs, however many reviews it has.
    """

    review_s: float
    process_s: float
    shard_s: float


@dataclass(frozen=True)
class Cluster:
    """Workers, as they are rented: one is one process on one vCPU.

    Args:
        workers: how many.
        machine_s: from the request for a machine until its process starts.
        spread: standard deviation of the logarithm of a worker's speed.
        slow_share: share of the workers that are stragglers.
        slow_factor: how many times longer a straggler takes.
        preempted_an_hour: how often a worker is taken away; another one is then requested.
    """

    workers: int
    machine_s: float = DATAFLOW_START_S
    spread: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 2.0
    preempted_an_hour: float = 0.0


def measured(path: Path, vcpu_share: float = VCPU_SHARE, trip_s: float = ROUND_TRIP_S) -> Costs:
    """The seconds that `benchmarks.job` found, on a slower vCPU and with a store.

    Args:
        vcpu_share: what a vCPU does of the work of a process on the measured machine.
        trip_s: one request to the store and its answer.

    Raises:
        InputError: the file is not `job.json` with two sizes at least.
    """
    try:
        return costs_of(json.loads(path.read_text()), vcpu_share, trip_s)
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise InputError(
            "the measured times cannot be read",
            where=str(path),
            expected="job.json of benchmarks.job, of two sizes at least",
            got=f"{type(error).__name__}: {error}",
        ) from error


def costs_of(found: Mapping[str, Any], vcpu_share: float, trip_s: float) -> Costs:
    """From the two largest runs: the rate of the reviews that the last added, and what is left of the one before."""
    few, many = sorted(found["growth"], key=lambda run: int(run["reviews"]))[-2:]
    rate = (many["reviews"] - few["reviews"]) / (many["seconds"] - few["seconds"]) / many["processes"]
    start_s = few["seconds"] - few["reviews"] / rate / few["processes"]
    return Costs(1 / rate / vcpu_share, start_s / vcpu_share, ROUND_TRIPS * trip_s)


def default_rows(reviews: int) -> int:
    """Reviews in a shard of a corpus, as the planner decides."""
    return min(max(reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)


def default_workers(reviews: int) -> int:
    """How many vCPUs a plan gets on Dataflow where the user asks for none."""
    wanted = min(reviews / (VCPU_REVIEWS_PER_S * RUN_SECONDS), -(-reviews // default_rows(reviews)))
    return MACHINE_VCPUS * max(1, min(-int(-wanted // MACHINE_VCPUS), WORKERS_MAX))


def cut(reviews: int, rows: int) -> list[int]:
    """Reviews of each shard, nearly equal and `rows` at most."""
    count = -(-reviews // rows)
    return [b - a for a, b in itertools.pairwise(reviews * i // count for i in range(count + 1))]


def ideal_hours(reviews: int, costs: Costs) -> float:
    """vCPU-hours if there were nothing but reviews to score."""
    return reviews * costs.review_s / 3600


def closed_form(reviews: int, rows: int, costs: Costs, cluster: Cluster) -> float:
    """Seconds of a job on workers that are all alike and never go, if all shards are equal: the start, then waves."""
    shards = -(-reviews // rows)
    waves = -(-shards // cluster.workers)
    return cluster.machine_s + costs.process_s + waves * (costs.shard_s + rows * costs.review_s)
