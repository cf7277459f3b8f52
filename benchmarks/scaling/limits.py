"""What grows with the shards besides scoring, and is done in one place: plan, listing, sum, manifest.

In: how many reviews. Out: `Limits`, at the default shard size.
"""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.runs.plan_files import PIECE_SHARDS
from benchmarks.scaling.costs import ROUND_TRIP_S, default_rows

# Measured, as docs/scaling.md says: a Parquet shard's line of the plan, and what it takes to parse; a marker.
LINE_BYTES, LINE_S = 243, 50e-6
MARKER_BYTES = 1_368
# A shard of two parts, as if all had rejected some. The sum's seconds are with those of making what is summed up.
FOLD_S, COMMIT_S = 129 / 200_000, 14.4 / 200_000
MANIFEST_BYTES, FOLD_BYTES = 64_205_319 // 200_000, (573.6 - 195.8) * 2**20 / 200_000
PAGE_NAMES = 1_000  # names in one page of a store's listing


@dataclass(frozen=True)
class Limits:
    """Of one run.

    Args:
        read_plan_s: in one worker, before any shard is scored.
        poll_s: one look at all markers, by the driver.
        fold_s: in one worker, when all shards are done; with the manifest.
        fold_mb: memory of that worker, besides what any has.
    """

    shards: int
    plan_mb: float
    read_plan_s: float
    markers_mb: float
    poll_s: float
    fold_s: float
    fold_mb: float
    manifest_mb: float


def limits(reviews: int, trip_s: float = ROUND_TRIP_S) -> Limits:
    """Those of a run over so many reviews.

    Args:
        trip_s: one request to the store and its answer.
    """
    shards = -(-reviews // default_rows(reviews))
    return Limits(
        shards,
        shards * LINE_BYTES / 1e6,
        -(-shards // PIECE_SHARDS) * trip_s + shards * LINE_S,
        shards * MARKER_BYTES / 1e6,
        -(-shards // PAGE_NAMES) * trip_s,
        shards * (FOLD_S + COMMIT_S),
        shards * FOLD_BYTES / 1e6,
        shards * MANIFEST_BYTES / 1e6,
    )
