"""The work that grows with the number of shards and is done in one place: plan, listing, sum, manifest.

In: the number of reviews. Out: `Limits`, at the default shard size.
"""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.runs.markers import MARKERS_AT_ONCE
from batch_scorer.runs.plan_files import PIECE_SHARDS
from benchmarks.scaling.costs import ROUND_TRIP_S, default_rows, default_workers

# Measured, see docs/scaling.md: a Parquet shard's line in the plan and the time to parse it; the size of a marker.
LINE_BYTES, LINE_S = 243, 50e-6
MARKER_BYTES = 1_395
MARK_S = 181e-6  # to parse a marker
# A shard of two parts, as if every shard had rejections. The seconds of the sum include creating the summaries.
FOLD_S, COMMIT_S = 3.47 / 20_000, 0.82 / 20_000
MANIFEST_BYTES, FOLD_BYTES = 6_405_723 // 20_000, (259.7 - 226.7) * 2**20 / 20_000
PAGE_NAMES = 1_000  # names per page of a store's listing


@dataclass(frozen=True)
class Limits:
    """The costs of these steps in one run.

    Args:
        read_plan_s: before any shard is scored; the pieces are spread over the workers.
        poll_s: one listing of all markers, in the driver.
        parts_s: the names of the parts, from the markers, in one worker, when all shards are done.
        fold_s: the sum and the manifest, in the same worker.
        fold_mb: memory of that worker beyond what every worker needs.
    """

    shards: int
    plan_mb: float
    read_plan_s: float
    markers_mb: float
    poll_s: float
    parts_s: float
    fold_s: float
    fold_mb: float
    manifest_mb: float


def limits(reviews: int, trip_s: float = ROUND_TRIP_S) -> Limits:
    """The limits of a run over `reviews` reviews.

    Args:
        trip_s: time for a request to the store and its response.
    """
    shards = -(-reviews // default_rows(reviews))
    pieces = -(-shards // PIECE_SHARDS)
    of_a_worker = -(-pieces // default_workers(reviews))
    return Limits(
        shards,
        shards * LINE_BYTES / 1e6,
        (1 + of_a_worker) * trip_s + min(shards, of_a_worker * PIECE_SHARDS) * LINE_S,
        shards * MARKER_BYTES / 1e6,
        -(-shards // PAGE_NAMES) * trip_s,
        -(-shards // MARKERS_AT_ONCE) * trip_s + shards * MARK_S,
        shards * (FOLD_S + COMMIT_S),
        shards * FOLD_BYTES / 1e6,
        shards * MANIFEST_BYTES / 1e6,
    )
