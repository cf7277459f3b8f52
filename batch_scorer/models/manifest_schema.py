"""The JSON Schema of a model's `manifest.json`: loading a model checks its manifest against it."""

from __future__ import annotations

from batch_scorer.models.json_schema import COUNT, NUMBER, SHA256, SHARE, SHORT, SIZE, Json, list_of, object_of
from batch_scorer.models.network import Architecture
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.models.tokenizer import LINE_BREAK, PATTERN, RESERVED
from batch_scorer.schema import FORMAT_VERSION


def _histogram(lower_edges: tuple[float, ...]) -> Json:
    reviews = {**list_of(COUNT), "minItems": len(lower_edges), "maxItems": len(lower_edges)}
    return object_of(
        {"from": {"const": list(lower_edges)}, "reviews": reviews},
        description="lower edges of the bins; reviews in each",
    )


# A run's manifest holds these too.
PROFILE = object_of(
    {
        **{name: COUNT for name in ("reviews", "truncated", "words", "used_words", "oov_words")},
        "length": _histogram(LENGTH_EDGES),
        "oov_rate": _histogram(SHARE_EDGES),
        "probability": _histogram(SHARE_EDGES),
    }
)
VERSIONS: Json = {"type": "object", "propertyNames": SHORT, "additionalProperties": SHORT, "maxProperties": 100}

_METRICS = object_of(
    {"reviews": COUNT, **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "auc", "ece"), SHARE)}
)

_LABELS = object_of(
    {
        "column": {"type": ["string", "null"]},
        "positive": list_of(SHORT),
        "negative": list_of(SHORT),
        "counts": object_of(dict.fromkeys(("positive", "negative", "neither", "missing"), COUNT)),
    },
    description="the column of the labels (null: folders), what means positive and what negative (nothing: all others)",
)

# What the tokenizer does, as a model's manifest says it: a model trained with another tokenizer is refused.
TOKENIZER: Json = {
    "pattern": PATTERN,
    "read_as_space": LINE_BREAK,
    "lowercase": "word by word",
    "reserved": list(RESERVED),
}

ARTIFACT = object_of(
    {
        "format_version": {"const": FORMAT_VERSION},
        "name": SHORT,
        "architecture": object_of(
            {
                **dict.fromkeys(Architecture().to_json(), SIZE),
                "batch_norm_epsilon": {"type": "number", "minimum": 1e-9, "maximum": 1},
                "recurrent_activation": {"enum": ["sigmoid", "relu"], "default": "sigmoid"},
                "masked": {"type": "boolean", "default": True, "description": "whether padding is left out"},
            },
            required=list(Architecture().to_json()),  # the rest, only where it is not the default
            additionalProperties=False,
        ),
        "tokenizer": object_of({**{name: {"const": value} for name, value in TOKENIZER.items()}, "max_words": SIZE}),
        "temperature": {"type": "number", "minimum": 1e-6, "maximum": 1e6},
        "threshold": SHARE,
        "training_profile": PROFILE,
        "metrics": {"type": "object", "properties": {"validation": _METRICS}},
        "training": object_of(
            {
                "reviews": COUNT,
                "epoch": COUNT,
                "recipe": object_of({"epochs": COUNT}),
                "data_sha256": SHA256,
                "split_by": SHORT,
                "labels": _LABELS,
            },
            required=["reviews", "epoch", "recipe", "data_sha256"],  # models from before there were the rest have none
        ),
        "versions": VERSIONS,
        "files": object_of({"vocabulary.txt": SHA256, "weights.safetensors": SHA256}, additionalProperties=False),
        "probe": object_of({"text": {"type": "string", "maxLength": 10_000}, "logit": NUMBER}),
    }
)
