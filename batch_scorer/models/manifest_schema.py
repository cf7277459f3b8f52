"""The JSON Schema of a model's `manifest.json`: loading a model checks its manifest against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_scorer.models.cells import CELLS, GATES
from batch_scorer.models.json_schema import COUNT, NUMBER, SHA256, SHARE, SHORT, SIZE, Json, list_of, object_of
from batch_scorer.models.network import POST, PRE, QUERIES, VARIANT, Architecture
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.models.splitting import LOWERCASE, Splitting
from batch_scorer.models.tokenizer import LINE_BREAK, PATTERN, RESERVED, Rule, Tokenizer

TEMPERATURE: Json = {"type": "number", "minimum": 1e-6, "maximum": 1e6}


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

_IMPORTED = object_of(
    {
        "file": SHORT,
        "keras": {"type": ["string", "null"], "description": "the version that wrote the file, if it says so"},
        "reading": {**list_of(SHORT), "description": "what was open, and which way was taken"},
        "compared": {**COUNT, "description": "texts whose expected probabilities it meets"},
    },
    description="of a model brought from Keras; data_sha256 is that of its file",
)

# What the tokenizer does, as a model's manifest says it: a model trained with another tokenizer is refused.
TOKENIZER: Json = {
    "pattern": PATTERN,
    "read_as_space": LINE_BREAK,
    "lowercase": "word by word",
    "reserved": list(RESERVED),
}
_TOKENIZER_1: Json = {**{name: {"const": value} for name, value in TOKENIZER.items()}, "max_words": SIZE}
LAST, WINDOWS, FIRST = LONG_TEXTS = ("last", "windows", "first")
MAX_WINDOWS = 10_000
_CHARACTERS: Json = {"type": "string", "maxLength": 500}
_RULES = object_of(
    {
        "separators": {**_CHARACTERS, "minLength": 1, "description": "the characters between words"},
        "removed": {**_CHARACTERS, "description": "characters deleted from words before they are looked up"},
        "lowercase": {"enum": list(LOWERCASE)},
        "start_mark": {"type": "boolean", "description": "whether a review begins with the id 1"},
        "drops_unknown": {"type": "boolean", "description": "whether unknown words are dropped; else they have id 2"},
    },
    additionalProperties=False,
    description="of models brought from Keras: how a tokenizer of Keras splits; pattern follows from it",
)
# What a run's manifest repeats of it.
READS: Json = {
    "type": {"const": "words"},
    "pattern": {
        "type": "string",
        "maxLength": 5_000,
        "description": "one of two, of which the one with a typographic apostrophe looks it up as the plain one; or, "
        "with rules, what follows from them",
    },
}
RULES: Json = {"rules": _RULES}
LONG: Json = {
    "long_texts": {
        "enum": list(LONG_TEXTS),
        "description": "last: the last max_words words are read; windows: the last max_words * max_windows, in windows"
        "; first: the first max_words",
    },
    "max_windows": {**SIZE, "maximum": MAX_WINDOWS},
}


def tokenizer_settings(tokenizer: Tokenizer, format_version: int) -> Json:
    """What a model's manifest says of its tokenizer."""
    settings = {**TOKENIZER, "max_words": tokenizer.max_words}
    if format_version == 1:
        return settings
    more = {"long_texts": long_texts(tokenizer), "max_windows": tokenizer.max_windows}
    rule = tokenizer.pattern
    if isinstance(rule, Splitting):
        settings |= {"read_as_space": None, "lowercase": rule.lowercase}
    return {**settings, **words_settings(rule), **more}


def words_settings(rule: Rule) -> Json:
    """What both manifests say of what a word is."""
    if isinstance(rule, Splitting):
        return {"type": "words", "pattern": rule.pattern, "rules": rule.to_json()}
    return {"type": "words", "pattern": rule}


def rule_of(settings: Mapping[str, Any], reads_first: bool = False) -> Rule:
    """The inverse of `words_settings`."""
    if "rules" in settings:
        return Splitting.from_json(settings["rules"], reads_first)
    return str(settings.get("pattern", PATTERN))


def long_texts(tokenizer: Tokenizer) -> str:
    """How a review of more than `max_words` words is read, one of `LONG_TEXTS`."""
    if isinstance(tokenizer.pattern, Splitting) and tokenizer.pattern.reads_first:
        return FIRST
    return WINDOWS if tokenizer.max_windows > 1 else LAST


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
        "tokenizer": object_of(_TOKENIZER_1),
        "temperature": TEMPERATURE,
        "threshold": SHARE,
        "training_profile": PROFILE,
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
        "tokenizer": object_of(
            {
                **_TOKENIZER_1,
                "read_as_space": {"enum": [LINE_BREAK, None], "description": "null: with rules"},
                "lowercase": {"enum": [TOKENIZER["lowercase"], *LOWERCASE]},
                **READS,
                **LONG,
                **RULES,
            },
            required=list({**_TOKENIZER_1, **READS, **LONG}),
        ),
        "temperature": {**TEMPERATURE, "description": "with a calibration, the median on the validation split"},
        "files": object_of(
            {
                **_FILES,
                "aliases.txt": {**SHA256, "description": "token, tab, id a line; they go before the vocabulary"},
            },
            required=list(_FILES),
            additionalProperties=False,
        ),
        "calibration": _CALIBRATION,
    },
    required=ARTIFACT_1["required"],
)
ARTIFACTS = {1: ARTIFACT_1, 2: ARTIFACT_2}
