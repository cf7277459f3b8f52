"""What the manifest of a run says of how far its scores can be trusted, where that was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.certainty import certainty_for
from batch_scorer.models.json_schema import COUNT, SHARE, Json, object_of
from batch_scorer.planning.plan import Plan

# What `Summary.caveats` counts.
POSITIVE, NEGATIVE, UNDECIDED = DECISIONS = ("positive", "negative", "undecided")

CAVEATS: Json = {
    "certainty": object_of(
        {
            "target_accuracy": SHARE,
            "threshold": {**SHARE, "description": "the least max(p, 1 - p) of a decided review"},
            "expected_accuracy": {**SHARE, "description": "of the decided, on the model's validation reviews"},
            "expected_share": {**SHARE, "description": "that it decides of these"},
            "validation_reviews": COUNT,
            POSITIVE: {**COUNT, "description": "reviews decided to be positive"},
            NEGATIVE: COUNT,
            UNDECIDED: COUNT,
        },
        description="with --target-accuracy",
    ),
}


def stated(plan: Plan, artifact: Artifact, counts: Mapping[str, int]) -> dict[str, Any]:
    """The entries of the manifest: what was asked, what follows from it by the model, and how many rows say what.

    Args:
        counts: `markers.Summary.caveats` of all shards.
    """
    if plan.target_accuracy is None:
        return {}
    decisions = {name: counts.get(name, 0) for name in DECISIONS}
    return {"certainty": {**certainty_for(artifact, plan.target_accuracy).to_json(), **decisions}}
