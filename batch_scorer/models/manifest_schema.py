"""The JSON Schema of a model's `manifest.json`: loading a model checks its manifest against it."""

from __future__ import annotations

from batch_scorer.models.json_schema import COUNT, NUMBER, SHA256, SHARE, SHORT, SIZE, Json, list_of, object_of
from batch_scorer.models.network import Architecture
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.models.scripts import SCRIPTS
from batch_scorer.models.subwords import WORD_START, SubwordTokenizer
from batch_scorer.models.tokenizer import LINE_BREAK, PATTERN, PATTERNS, RESERVED, Tokenizer
from batch_scorer.models.units import PIECES

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

# What the tokenizer does, as a model's manifest says it: a model trained with another tokenizer is refused.
TOKENIZER: Json = {
    "pattern": PATTERN,
    "read_as_space": LINE_BREAK,
    "lowercase": "word by word",
    "reserved": list(RESERVED),
}
_TOKENIZER_1: Json = {**{name: {"const": value} for name, value in TOKENIZER.items()}, "max_words": SIZE}
LAST, WINDOWS = LONG_TEXTS = ("last", "windows")
MAX_WINDOWS = 10_000
# What a run's manifest repeats of it.
WORDS, SUBWORDS = TYPES = ("words", "subwords")
READS: Json = {
    "type": {"enum": list(TYPES), "description": "what an id stands for: a word, or a piece of one"},
    "pattern": {
        "enum": [*PATTERNS, PIECES],
        "description": "what a word is; with a typographic apostrophe, it is looked up as the plain one. The last is "
        "that of subwords: its first alternative finds runs of scripts without blanks, whose units are pieces",
    },
}
# What else a model says of its tokenizer where ids are pieces.
_PIECES: Json = {
    "model": {"const": "unigram", "description": "the pieces of a word are those with the highest sum of scores"},
    "word_start": {"const": WORD_START, "description": "stands before a word, not before a unit of a run"},
    "normalization": {"const": "NFC", "description": "of a word as it is looked up; offsets are those of the text"},
}
LONG: Json = {
    "long_texts": {
        "enum": list(LONG_TEXTS),
        "description": "last: the last max_words words are read; windows: the last max_words * max_windows, in windows",
    },
    "max_windows": {**SIZE, "maximum": MAX_WINDOWS},
}


def type_of(tokenizer: Tokenizer) -> str:
    """What an id of a tokenizer stands for, one of `TYPES`."""
    return SUBWORDS if isinstance(tokenizer, SubwordTokenizer) else WORDS


def tokenizer_settings(tokenizer: Tokenizer, format_version: int) -> Json:
    """What a model's manifest says of its tokenizer."""
    settings = {**TOKENIZER, "max_words": tokenizer.max_words}
    if format_version == 1:
        return settings
    long_texts = WINDOWS if tokenizer.max_windows > 1 else LAST
    more = {"pattern": tokenizer.pattern, "long_texts": long_texts, "max_windows": tokenizer.max_windows}
    kind = type_of(tokenizer)
    described = {name: part["const"] for name, part in _PIECES.items()} if kind == SUBWORDS else {}
    return {"type": kind, **settings, **more, **described}


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

ARTIFACT_1 = object_of(
    {
        "format_version": {"const": 1},
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
        "tokenizer": object_of(_TOKENIZER_1),
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
        "training_profile": PROFILE,
        "tokenizer": object_of(
            {**_TOKENIZER_1, **READS, **LONG, **_PIECES}, required=list({**_TOKENIZER_1, **READS, **LONG})
        ),
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
