"""The JSON Schema of a model's `manifest.json`: loading a model checks its manifest against it."""

from __future__ import annotations

from batch_scorer.models.cells import CELLS, GATES
from batch_scorer.models.json_schema import COUNT, NUMBER, SHA256, SHARE, SHORT, SIZE, Json, list_of, object_of
from batch_scorer.models.network import POST, PRE, QUERIES, VARIANT, Architecture
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.models.scripts import SCRIPTS
from batch_scorer.models.tokenizer_schema import TOKENIZER_1, TOKENIZER_2

TEMPERATURE: Json = {"type": "number", "minimum": 1e-6, "maximum": 1e6}


def _histogram(lower_edges: tuple[float, ...]) -> Json:
    reviews = {**list_of(COUNT), "minItems": len(lower_edges), "maxItems": len(lower_edges)}
    return object_of(
        {"from": {"const": list(lower_edges)}, "reviews": reviews},
        description="lower edges of the bins; reviews in each",
    )


# A run's manifest holds these too.
_PROFILE: Json = object_of(
    {
        **{name: COUNT for name in ("reviews", "truncated", "words", "used_words", "oov_words")},
        "length": _histogram(LENGTH_EDGES),
        "oov_rate": _histogram(SHARE_EDGES),
        "probability": _histogram(SHARE_EDGES),
    }
)
PROFILE: Json = object_of(
    {
        **_PROFILE["properties"],
        "scripts": {
            "type": "object",
            "propertyNames": {"enum": list(SCRIPTS)},
            "additionalProperties": COUNT,
            "description": "words in each script other than Latin that any is in",
        },
    },
    required=_PROFILE["required"],
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

_IMPORTED = object_of(
    {
        "file": SHORT,
        "keras": {"type": ["string", "null"], "description": "the version that wrote the file, if it says so"},
        "reading": {**list_of(SHORT), "description": "what was open, and which way was taken"},
        "compared": {**COUNT, "description": "texts whose expected probabilities it meets"},
    },
    description="of a model brought from Keras; data_sha256 is that of its file",
)

_CALIBRATION = object_of(
    {
        "words": {**list_of(COUNT), "minItems": 1, "maxItems": 100},
        "oov_rate": {**list_of(SHARE), "minItems": 1, "maxItems": 100},
        "temperature": {
            **list_of(list_of(TEMPERATURE)),
            "description": "a row a bin of words, a value a bin of shares",
        },
    },
    description="a temperature by words read and share of unknown words: lower edges of bins, and a grid",
)
_CURVE = object_of(
    {"from": list_of(SHARE), "reviews": list_of(COUNT), "correct": list_of(COUNT)},
    description="validation: lower edges of bins of confidence; reviews in each; those of them labelled rightly",
)
_FILES: Json = {"vocabulary.txt": SHA256, "weights.safetensors": SHA256}


def _variant(name: str, schema: Json, description: str = "") -> Json:
    described = {"description": description} if description else {}
    return {name: {**schema, "default": getattr(Architecture, name), **described}}


_BOOLEAN: Json = {"type": "boolean"}
_SIZES: Json = {
    **dict.fromkeys(Architecture().to_json(), SIZE),
    "batch_norm_epsilon": {"type": "number", "minimum": 1e-9, "maximum": 1},
}
_VARIANT_1: Json = {
    **_variant("recurrent_activation", {"enum": ["sigmoid", "relu"]}),
    **_variant("masked", _BOOLEAN, "whether padding is left out"),
}
_VARIANT_2: Json = {
    **_variant("recurrent_activation", {"enum": list(GATES)}),
    **_variant("masked", _BOOLEAN, "whether padding is left out"),
    **_variant("cell", {"enum": list(CELLS)}),
    **_variant("query", {"enum": list(QUERIES)}, "which last states the attention is asked with: h, c, both, none"),
    **_variant("attention_activation", {"enum": ["tanh", "linear"]}),
    **_variant("attention_masked", _BOOLEAN, "whether the softmax leaves padding out, where the states do"),
    **_variant("position_bias", _BOOLEAN, "whether the attention adds a bias by position"),
    **_variant("batch_norm", _BOOLEAN, "whether there is one that is not part of the head"),
    **_variant("padding", {"enum": [PRE, POST]}),
}
assert _VARIANT_2.keys() == set(VARIANT)


def _architecture(variant: Json) -> Json:
    """Sizes are always there; what the variant is, only where it is not the default."""
    return object_of({**_SIZES, **variant}, required=list(_SIZES), additionalProperties=False)


ARTIFACT_1 = object_of(
    {
        "format_version": {"const": 1},
        "name": SHORT,
        "architecture": _architecture(_VARIANT_1),
        "tokenizer": object_of(TOKENIZER_1),
        "temperature": TEMPERATURE,
        "threshold": SHARE,
        "training_profile": _PROFILE,
        "metrics": {"type": "object", "properties": {"validation": _METRICS, "confidence_curve": _CURVE}},
        "training": object_of(
            {
                "reviews": COUNT,
                "epoch": COUNT,
                "recipe": object_of({"epochs": COUNT}),
                "data_sha256": SHA256,
                "split_by": SHORT,
                "labels": _LABELS,
                "imported": _IMPORTED,
            },
            required=["reviews", "epoch", "recipe", "data_sha256"],  # models from before there were the rest have none
        ),
        "versions": VERSIONS,
        "files": object_of(_FILES, additionalProperties=False),
        "probe": object_of({"text": {"type": "string", "maxLength": 10_000}, "logit": NUMBER}),
    }
)
ARTIFACT_2 = object_of(
    {
        **ARTIFACT_1["properties"],
        "format_version": {"const": 2},
        "architecture": _architecture(_VARIANT_2),
        "training_profile": PROFILE,
        "tokenizer": TOKENIZER_2,
        "temperature": {**TEMPERATURE, "description": "with a calibration, the median on the validation split"},
        "files": object_of(
            {
                **_FILES,
                "aliases.txt": {**SHA256, "description": "token, tab, id a line; they go before the vocabulary"},
                "scores.txt": {**SHA256, "description": "log probability a line, by id, where ids are pieces"},
            },
            required=list(_FILES),
            additionalProperties=False,
        ),
        "calibration": _CALIBRATION,
    },
    required=ARTIFACT_1["required"],
)
ARTIFACTS = {1: ARTIFACT_1, 2: ARTIFACT_2}
