"""The contracts as files: `python -m batch_scorer.documents schemas/` writes what stands there.

The two tables are described column by column; the two manifests by JSON Schema (draft 2020-12).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scorer.artifact import FORMAT_VERSION
from batch_scorer.model import Architecture
from batch_scorer.schema import DESCRIPTIONS, ERROR_CODES, ERRORS, SCHEMA_VERSION, predictions_schema

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_NUMBER: Json = {"type": "number"}
_SHA256: Json = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_MODEL_ID: Json = {"type": "string", "pattern": "^[0-9a-f]{12}$"}
_OBJECT: Json = {"type": "object"}


def _object(properties: Json, **more: Any) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_HISTOGRAM = _object(
    {"from": _list(_NUMBER), "reviews": _list(_COUNT)}, description="lower edge of each bin; reviews in it"
)
_PROFILE = _object(
    {
        **{name: _COUNT for name in ("reviews", "truncated", "words", "used_words", "oov_words")},
        **{name: _HISTOGRAM for name in ("length", "oov_rate", "probability")},
    }
)
_VERSIONS: Json = {"type": "object", "additionalProperties": _TEXT}

ARTIFACT = _object(
    {
        "format_version": {"const": FORMAT_VERSION},
        "name": _TEXT,
        "architecture": _object(
            {
                name: _NUMBER if name == "batch_norm_epsilon" else {"type": "integer", "minimum": 1}
                for name in vars(Architecture())
            }
        ),
        "tokenizer": _object(
            {
                "pattern": _TEXT,
                "read_as_space": _TEXT,
                "lowercase": _TEXT,
                "reserved": _list(_TEXT),
                "max_words": {"type": "integer", "minimum": 1},
            }
        ),
        "temperature": {"type": "number", "exclusiveMinimum": 0},
        "threshold": {"type": "number", "minimum": 0, "maximum": 1},
        "training_profile": _PROFILE,
        "metrics": _OBJECT,
        "training": _OBJECT,
        "versions": _VERSIONS,
        "files": {"type": "object", "additionalProperties": _SHA256},
        "probe": _object({"text": _TEXT, "logit": _NUMBER}),
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
        "counts": _object({name: _COUNT for name in ("read", "scored", "rejected", "unreadable")}),
        "parts": _list(_object({"path": _TEXT, "rows": _COUNT, "sha256": _SHA256})),
        "inputs": _list(
            _object({"input": _TEXT, "formats": _OBJECT, "files": _COUNT, "bytes": _COUNT, "fingerprint": _SHA256})
        ),
        "notices": _list(_TEXT),
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


def table(schema: pa.Schema, title: str) -> Json:
    """An Arrow schema as a document."""
    columns = [
        {"name": f.name, "type": str(f.type), "nullable": f.nullable, "description": DESCRIPTIONS[f.name]}
        for f in schema
    ]
    return {"title": title, "format": "Parquet, zstd", "schema_version": SCHEMA_VERSION, "columns": columns}


def documents() -> dict[str, Json]:
    """File name -> content of everything under `schemas/`."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    codes = {code: {"stage": stage, "meaning": meaning} for code, (stage, meaning) in ERROR_CODES.items()}
    predictions = table(predictions_schema(pa.schema([]), "", ""), "predictions/part-*.parquet: a row a scored review")
    predictions["kept_columns"] = "those named with --keep stand before model_id, with the types they came in"
    return {
        "predictions.json": predictions,
        "errors.json": {**table(ERRORS, "errors/part-*.parquet: a row a record that was not scored"), "codes": codes},
        "manifest.json": {**draft, "title": "manifest.json of a run", **MANIFEST},
        "artifact.json": {**draft, "title": "manifest.json of a model artefact", **ARTIFACT},
    }


def export(directory: Path) -> None:
    """Writes all documents."""
    for name, content in documents().items():
        (directory / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    export(Path(sys.argv[1]))
