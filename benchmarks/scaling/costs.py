"""What the work of a job consists of: times measured on one machine, and assumptions about others.

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

# Sequential requests for a shard in an object store: checking for its marker; finding the input, reading its footer and
# its columns (4), checking it again; uploading two parts, the larger one in three pieces and a completion; uploading
# the marker.
ROUND_TRIPS = 12
ROUND_TRIP_S = 0.08


@dataclass(frozen=True)
class Costs:
    """Times on one vCPU, in seconds.

    Args:
        review_s: all stages of one review.
        process_s: from the start of a worker process until it scores: imports, compilation.
        shard_s: the cost of a shard regardless of its number of reviews.
    """

    review_s: float
    process_s: float
    shard_s: float


@dataclass(frozen=True)
class Cluster:
    """The rented workers; each is one process on one vCPU.

    Args:
        workers: number of workers.
        machine_s: time from requesting a machine until its process starts.
        spread: standard deviation of the logarithm of a worker's speed.
        slow_share: share of the workers that are stragglers.
        slow_factor: how many times longer a straggler takes.
        preempted_an_hour: preemptions per worker and hour; a replacement is then requested.
    """

    workers: int
    machine_s: float = DATAFLOW_START_S
    spread: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 2.0
    preempted_an_hour: float = 0.0


def measured(path: Path, vcpu_share: float = VCPU_SHARE, trip_s: float = ROUND_TRIP_S) -> Costs:
    """The times that `benchmarks.job` measured, converted to a slower vCPU with an object store.

    Args:
        path: `job.json`.
        vcpu_share: speed of a vCPU relative to a process on the measured machine.
        trip_s: time for a request to the store and its response.

    Raises:
        InputError: the file is not a `job.json` with at least two sizes.
    """
    try:
        return costs_of(json.loads(path.read_text()), vcpu_share, trip_s)
    except (OSError, ValueError, LookupError, TypeError, ZeroDivisionError) as error:
        raise InputError(
            "the measured times cannot be read",
            where=str(path),
            expected="job.json of benchmarks.job, with at least two sizes",
            got=f"{type(error).__name__}: {error}",
            fix="check --measured",
        ) from error


def costs_of(results: Mapping[str, Any], vcpu_share: float, trip_s: float) -> Costs:
    """From the two largest runs: the rate at which the additional reviews were scored, and from it the start-up."""
    few, many = sorted(results["growth"], key=lambda run: int(run["reviews"]))[-2:]
    rate = (many["reviews"] - few["reviews"]) / (many["seconds"] - few["seconds"]) / many["processes"]
    start_s = few["seconds"] - few["reviews"] / rate / few["processes"]
    return Costs(1 / rate / vcpu_share, start_s / vcpu_share, ROUND_TRIPS * trip_s)


def default_rows(reviews: int) -> int:
    """Reviews per shard, as decided by the planner."""
    return min(max(reviews // SHARDS_AT_LEAST, SHARD_ROWS_MIN), SHARD_ROWS_MAX)


def default_workers(reviews: int) -> int:
    """How many vCPUs a plan gets on Dataflow by default."""
    wanted = min(reviews / (VCPU_REVIEWS_PER_S * RUN_SECONDS), -(-reviews // default_rows(reviews)))
    return MACHINE_VCPUS * max(1, min(-int(-wanted // MACHINE_VCPUS), WORKERS_MAX))


def cut(reviews: int, rows: int) -> list[int]:
    """Numbers of reviews per shard, nearly equal and at most `rows`."""
    count = -(-reviews // rows)
    return [b - a for a, b in itertools.pairwise(reviews * i // count for i in range(count + 1))]


def ideal_hours(reviews: int, costs: Costs) -> float:
    """vCPU-hours for scoring the reviews and nothing else."""
    return reviews * costs.review_s / 3600


def closed_form(reviews: int, rows: int, costs: Costs, cluster: Cluster) -> float:
    """Seconds of a job with equal shards on identical workers without preemption: the start, then rounds of shards."""
    shards = -(-reviews // rows)
    rounds = -(-shards // cluster.workers)
    return cluster.machine_s + costs.process_s + rounds * (costs.shard_s + rows * costs.review_s)
