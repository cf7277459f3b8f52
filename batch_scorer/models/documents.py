"""The contracts as documents: the two tables column by column, also for BigQuery, and the two manifests by JSON Schema.

`python -m batch_scorer.models.documents schemas/` writes them to where people look; loading a model holds its
manifest to one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scorer.config import PRECISIONS
from batch_scorer.models.network import Architecture
from batch_scorer.models.profile import LENGTH_EDGES, SHARE_EDGES
from batch_scorer.models.tokenizer import LINE_BREAK, PATTERN, RESERVED
from batch_scorer.schema import DESCRIPTIONS, ERROR_CODES, ERRORS, FORMAT_VERSION, SCHEMA_VERSION, predictions_schema

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_SHORT: Json = {"type": "string", "maxLength": 200}
_COUNT: Json = {"type": "integer", "minimum": 0, "maximum": 10**15}
_SIZE: Json = {"type": "integer", "minimum": 1, "maximum": 10**9}
_NUMBER: Json = {"type": "number", "minimum": -1e300, "maximum": 1e300}
_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
_SHA256: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_MODEL_ID: Json = {"type": "string", "pattern": "^[0-9a-f]{12}$"}
_OBJECT: Json = {"type": "object"}


def _object(properties: Json, **more: Any) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _histogram(lower_edges: tuple[float, ...]) -> Json:
    reviews = {**_list(_COUNT), "minItems": len(lower_edges), "maxItems": len(lower_edges)}
    return _object(
        {"from": {"const": list(lower_edges)}, "reviews": reviews},
        description="lower edges of the bins; reviews in each",
    )


_PROFILE = _object(
    {
        **{name: _COUNT for name in ("reviews", "truncated", "words", "used_words", "oov_words")},
        "length": _histogram(LENGTH_EDGES),
        "oov_rate": _histogram(SHARE_EDGES),
        "probability": _histogram(SHARE_EDGES),
    }
)
_VERSIONS: Json = {"type": "object", "propertyNames": _SHORT, "additionalProperties": _SHORT, "maxProperties": 100}
_METRICS = _object(
    {"reviews": _COUNT, **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high", "auc", "ece"), _SHARE)}
)

# What the tokenizer does, told in a model's manifest: a model that was trained with another one is refused.
TOKENIZER: Json = {
    "pattern": PATTERN,
    "read_as_space": LINE_BREAK,
    "lowercase": "word by word",
    "reserved": list(RESERVED),
}

ARTIFACT = _object(
    {
        "format_version": {"const": FORMAT_VERSION},
        "name": _SHORT,
        "architecture": _object(
            {
                **dict.fromkeys(Architecture().to_json(), _SIZE),
                "batch_norm_epsilon": {"type": "number", "minimum": 1e-9, "maximum": 1},
                "recurrent_activation": {"enum": ["sigmoid", "relu"], "default": "sigmoid"},
                "masked": {"type": "boolean", "default": True, "description": "whether padding is left out"},
            },
            required=list(Architecture().to_json()),  # the rest, only where it is not the default
            additionalProperties=False,
        ),
        "tokenizer": _object({**{name: {"const": value} for name, value in TOKENIZER.items()}, "max_words": _SIZE}),
        "temperature": {"type": "number", "minimum": 1e-6, "maximum": 1e6},
        "threshold": _SHARE,
        "training_profile": _PROFILE,
        "metrics": {"type": "object", "properties": {"validation": _METRICS}},
        "training": _object(
            {"reviews": _COUNT, "epoch": _COUNT, "recipe": _object({"epochs": _COUNT}), "data_sha256": _SHA256}
        ),
        "versions": _VERSIONS,
        "files": _object({"vocabulary.txt": _SHA256, "weights.safetensors": _SHA256}, additionalProperties=False),
        "probe": _object({"text": {"type": "string", "maxLength": 10_000}, "logit": _NUMBER}),
    }
)

MANIFEST = _object(
    {
        "schema_version": {"const": SCHEMA_VERSION},
        "run_id": _TEXT,
        "model_id": _MODEL_ID,
        "model_name": _TEXT,
        "bias": {"type": "number", "description": "the logit before any contribution"},
        "temperature": _NUMBER,
        "threshold": _NUMBER,
        "max_words": _COUNT,
        "top_k": _COUNT,
        "precision": {"enum": list(PRECISIONS), "description": "of the network's products"},
        "counts": _object({name: _COUNT for name in ("read", "scored", "rejected", "unreadable")}),
        "parts": _list(_object({"path": _TEXT, "rows": _COUNT, "sha256": _SHA256})),
        "inputs": _list(
            _object({"input": _TEXT, "formats": _OBJECT, "files": _COUNT, "bytes": _COUNT, "fingerprint": _SHA256})
        ),
        "notices": _list(_TEXT),
        "warnings": {**_list(_TEXT), "description": "how the corpus differs from what the model was trained on"},
        "not_a_success": {"type": ["string", "null"], "description": "why there is no _SUCCESS, if there is none"},
        "started": {"type": "string", "format": "date-time"},
        "finished": {"type": "string", "format": "date-time"},
        "command": _list(_TEXT),
        "versions": _VERSIONS,
        "profile": _object({"run": _PROFILE, "training": _PROFILE}),
        "timings": {
            "type": "object",
            "additionalProperties": _NUMBER,
            "description": "seconds a stage, over all workers",
        },
    }
)


@dataclass(frozen=True)
class Fault:
    """Where a document does not fit its schema, and how."""

    where: str
    expected: str
    got: str


def first_fault(schema: Json, document: Any) -> Fault | None:
    """The fault that explains best why `document` does not fit `schema`, or None if it fits."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    # JSON Schema counts 5.0 among the integers; a size of 5.0 is of no use.
    whole = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    error = best_match(extend(Draft202012Validator, type_checker=whole)(schema).iter_errors(document))
    if error is None:
        return None
    where = ", ".join(f"{key!s:.80}" for key in error.absolute_path) or "the whole"
    in_words = error.validator in ("required", "additionalProperties")  # else the message is the whole instance again
    return Fault(
        where,
        f"{error.validator} {error.validator_value!r:.120}",
        f"{error.message:.200}" if in_words else f"{error.instance!r:.80}",
    )


def table(schema: pa.Schema, title: str) -> Json:
    """An Arrow schema as a document."""
    columns = [
        {"name": f.name, "type": str(f.type), "nullable": f.nullable, "description": DESCRIPTIONS[f.name]}
        for f in schema
    ]
    return {"title": title, "format": "Parquet, zstd", "schema_version": SCHEMA_VERSION, "columns": columns}


_BIGQUERY_TYPES = {
    **{"string": "STRING", "int64": "INTEGER", "int32": "INTEGER"},
    **{"float": "FLOAT", "bool": "BOOLEAN"},
}


def bigquery(fields: Iterable[pa.Field]) -> list[Json]:
    """Arrow fields as a table's schema for `bq mk`, in which a list of structs is a repeated record.

    Nothing is REQUIRED: BigQuery takes the columns of Parquet files for nullable, and refuses to append them to others.
    """
    columns = []
    for field in fields:
        told: Json = {"name": field.name, "description": DESCRIPTIONS[field.name]}
        if pa.types.is_list(field.type):
            # Loaded with list inference, in which the Parquet levels `list` and `element` are no fields.
            told |= {"type": "RECORD", "mode": "REPEATED", "fields": bigquery(field.type.value_type)}
        else:
            told |= {"type": _BIGQUERY_TYPES[str(field.type)], "mode": "NULLABLE"}
        columns.append(told)
    return columns


def documents() -> dict[str, Any]:
    """File name -> content of everything under `schemas/`."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    codes = {code: {"stage": stage, "meaning": meaning} for code, (stage, meaning) in ERROR_CODES.items()}
    predictions = table(predictions_schema(pa.schema([]), "", ""), "predictions/part-*.parquet: a row a scored review")
    predictions["kept_columns"] = "those named with --keep stand before model_id, with the types they came in"
    return {
        "predictions.json": predictions,
        "errors.json": {**table(ERRORS, "errors/part-*.parquet: a row a record that was not scored"), "codes": codes},
        "predictions.bigquery.json": bigquery(predictions_schema(pa.schema([]), "", "")),
        "errors.bigquery.json": bigquery(ERRORS),
        "manifest.json": {**draft, "title": "manifest.json of a run", **MANIFEST},
        "artifact.json": {**draft, "title": "manifest.json of a model artefact", **ARTIFACT},
    }


def export(directory: Path) -> None:
    """Writes all documents."""
    for name, content in documents().items():
        (directory / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    export(Path(sys.argv[1]))
