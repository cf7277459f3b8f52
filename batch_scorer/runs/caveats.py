"""What the manifest of a run says of how far its scores can be trusted, where that was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.certainty import certainty_for
from batch_scorer.models.json_schema import COUNT, SHARE, TEXT, Json, list_of, object_of
from batch_scorer.models.unusual import REASONS, usual_for
from batch_scorer.planning.plan import Plan

# What `Summary.caveats` counts.
POSITIVE, NEGATIVE, UNDECIDED = DECISIONS = ("positive", "negative", "undecided")
UNUSUAL = "unusual"  # and `REASONS`

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

_WORDS_OR_NULL: Json = {"type": ["integer", "null"], "minimum": 0}
CAVEATS["unusual"] = object_of(
    {
        "usual": object_of(
            {
                "fewest_words": COUNT,
                "most_words": {**_WORDS_OR_NULL, "description": "null: there is no limit"},
                "unknown_words": {"type": ["number", "null"], "description": "the share that is no longer usual"},
                "scripts": list_of(TEXT),
            },
            description="by the training profile of the model",
        ),
        "reviews": {**COUNT, "description": "unusual ones"},
        "reasons": {
            "type": "object",
            "additionalProperties": COUNT,
            "description": "reviews by each, some by several",
        },
    },
    description="with --unusual",
)


def stated(plan: Plan, artifact: Artifact, counts: Mapping[str, int]) -> dict[str, Any]:
    """The entries of the manifest: what was asked, what follows from it by the model, and how many rows say what.

    Args:
        counts: `markers.Summary.caveats` of all shards.
    """
    entries: dict[str, Any] = {}
    if plan.target_accuracy is not None:
        decisions = {name: counts.get(name, 0) for name in DECISIONS}
        entries["certainty"] = {**certainty_for(artifact, plan.target_accuracy).to_json(), **decisions}
    if plan.unusual:
        reasons = {name: counts.get(name, 0) for name in REASONS}
        reviews = counts.get(UNUSUAL, 0)
        entries["unusual"] = {"usual": usual_for(artifact).to_json(), "reviews": reviews, "reasons": reasons}
    return entries
