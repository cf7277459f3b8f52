"""How long a plan would take, here or on Dataflow: its first reviews are scored here, and the rest is arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from batch_scorer.formats.records import Shard
from batch_scorer.models.engine import load_engine
from batch_scorer.planning.plan import Plan
from batch_scorer.scoring.caveats import Caveats
from batch_scorer.scoring.chunk import Scorer, score_chunk
from batch_scorer.scoring.read import read
from batch_scorer.scoring.write import predictions

if TYPE_CHECKING:
    from batch_scorer.runners.dataflow import Pool
    from batch_scorer.runners.job import PlannedJob

SAMPLE_RECORDS = 1_024
# Assumed, not measured. On most machines a vCPU is a hyperthread, and two of them share a core.
VCPU_SHARE = 0.5
DATAFLOW_START_S = 300.0  # until machines run and have installed what they need


@dataclass(frozen=True)
class Estimate:
    """What a local run would take.

    Args:
        processes: how many would score.
        start_s: seconds until the first review is scored.
        reviews_per_s: all processes together.
        total_s: start and scoring.
        vcpu_hours: of all processes for all that time; each keeps a vCPU busy.
        cost: of these hours, at the given price.
    """

    processes: int
    start_s: float
    reviews_per_s: float
    total_s: float
    vcpu_hours: float
    cost: float | None


def estimate(job: PlannedJob, processes: int, elapsed_s: float, price: float | None = None) -> Estimate | None:
    """Estimates a local run; None where none of the first records can be scored, so that nothing can be timed.

    Args:
        elapsed_s: what planning took, since a run plans too.
        price: of a vCPU for an hour, in any currency.
    """
    begin = time.perf_counter()
    scorer = _scorer(job)
    load_s = time.perf_counter() - begin
    # A worker process imports Beam again, alongside the others, before it loads the model.
    start_s = elapsed_s + (job.import_s if processes > 1 else 0.0) + load_s
    seconds = _seconds_a_record(job.plan, job.shards, scorer)
    if seconds is None:
        return None
    rate = processes / seconds
    total_s = start_s + job.plan.reviews / rate
    hours = processes * total_s / 3600
    return Estimate(processes, start_s, rate, total_s, hours, None if price is None else price * hours)


def _scorer(job: PlannedJob) -> Scorer:
    plan = job.plan
    caveats = Caveats.of(job.model, plan.target_accuracy, plan.unusual)
    return Scorer(job.model, load_engine(job.model, plan.precision), caveats)


def _seconds_a_record(
    plan: Plan, shards: Iterable[Shard], scorer: Scorer, clock: Callable[[], float] = time.perf_counter
) -> float | None:
    """The mean over the first records, rejected ones included, as the plan counts them; None where all are rejected."""
    begin, reviews, records = clock(), 0, 0
    chunks = (chunk for shard in shards for chunk in read(shard, plan.fields))
    pieces = (score_chunk(chunk, scorer, plan.top_k, segments=plan.segments) for chunk in chunks)
    for explained in chain.from_iterable(pieces):
        predictions(explained, plan, scorer.artifact, scorer.caveats)
        reviews += len(explained)
        records += len(explained) + len(explained.rejected)
        if records >= SAMPLE_RECORDS:
            break
    return (clock() - begin) / records if reviews else None


@dataclass(frozen=True)
class DataflowEstimate:
    """What a run on Dataflow would take.

    Args:
        here_per_s: reviews a second of one process of this machine, waiting not counted, measured.
        start_s: seconds until workers score, assumed.
        total_s: start and scoring.
        vcpu_hours: of all workers, for all that time.
        cost: of these hours, at the given price.
    """

    here_per_s: float
    start_s: float
    total_s: float
    vcpu_hours: float
    cost: float | None


def estimate_on_dataflow(job: PlannedJob, pool: Pool, price: float | None) -> DataflowEstimate | None:
    """Estimates a run on Dataflow with all of the pool's workers; None as in `estimate`.

    Args:
        price: of a vCPU for an hour, in any currency.
    """
    # In processor time, since a worker's connection to the store is not this machine's.
    plan, scorer = job.plan, _scorer(job)
    here_s = _seconds_a_record(plan, job.shards, scorer, time.process_time)
    if here_s is None:
        return None
    vcpus = pool.workers_max * pool.vcpus_each
    # A vCPU takes one shard at a time, and the last shards keep only some of them busy.
    rounds = -(-plan.shard_count // vcpus)
    total_s = DATAFLOW_START_S + rounds * plan.reviews / plan.shard_count * here_s / VCPU_SHARE
    hours = vcpus * total_s / 3600
    return DataflowEstimate(1 / here_s, DATAFLOW_START_S, total_s, hours, None if price is None else price * hours)
