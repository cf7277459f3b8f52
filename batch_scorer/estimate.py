"""How long a plan would take on this machine: its first reviews are scored, and the rest is arithmetic."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from batch_scorer.artifact import Artifact
from batch_scorer.config import ScoreConfig
from batch_scorer.engine import load_engine
from batch_scorer.plan import Plan
from batch_scorer.read import read
from batch_scorer.records import Shard
from batch_scorer.shard import Scorer, score_chunk
from batch_scorer.write import predictions

SAMPLE_REVIEWS = 1_024


@dataclass(frozen=True)
class Estimate:
    """What a local run would take.

    Args:
        processes: how many would score.
        start_s: seconds until the first review is scored.
        reviews_per_s: all processes together.
        total_s: start and scoring.
    """

    processes: int
    start_s: float
    reviews_per_s: float
    total_s: float


def estimate(plan: Plan, shards: Iterable[Shard], model: Artifact, config: ScoreConfig, elapsed_s: float) -> Estimate:
    """Estimates a local run.

    Args:
        elapsed_s: what planning took; a run plans too.
    """
    begin = time.perf_counter()
    from batch_scorer import pipeline

    beam_s = time.perf_counter() - begin
    processes = pipeline.process_count(plan, config.workers)

    begin = time.perf_counter()
    scorer = Scorer(model, load_engine(model, plan.precision))
    load_s = time.perf_counter() - begin

    # A worker process imports Beam again, beside the others, before it loads the model.
    start_s = elapsed_s + beam_s + (beam_s if processes > 1 else 0.0) + load_s
    rate = processes / _seconds_a_review(plan, shards, scorer)
    return Estimate(processes, start_s, rate, start_s + plan.reviews / rate)


def _seconds_a_review(plan: Plan, shards: Iterable[Shard], scorer: Scorer) -> float:
    begin, reviews = time.perf_counter(), 0
    for chunk in (chunk for shard in shards for chunk in read(shard, plan.fields)):
        encoded, explanation, chosen, _ = score_chunk(chunk, scorer, plan.top_k)
        predictions(encoded, explanation, chosen, plan, scorer.artifact)
        reviews += len(chosen)
        if reviews >= SAMPLE_REVIEWS:
            break
    return (time.perf_counter() - begin) / max(reviews, 1)
