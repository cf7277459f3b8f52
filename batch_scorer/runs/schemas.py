"""What leaves a job, as documents: the two tables column by column, also for BigQuery, and both manifests' schemas.

`python -m batch_scorer.runs.schemas schemas/` writes them for people; opening a run checks its manifest against one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scorer.config import PRECISIONS, RECORD
from batch_scorer.models.json_schema import COUNT, NUMBER, SHA256, TEXT, Json, list_of, object_of
from batch_scorer.models.manifest_schema import ARTIFACTS, PROFILE, VERSIONS
from batch_scorer.models.tokenizer_schema import LONG, READS, RULES
from batch_scorer.runs import layout
from batch_scorer.runs.caveats import CAVEATS
from batch_scorer.runs.printed import CHECK, DRY_RUN, INSPECT, SUMMARY
from batch_scorer.schema import (
    DESCRIPTIONS,
    ERROR_CODES,
    ERRORS,
    OPTIONAL_COLUMNS,
    SCHEMA_VERSIONS,
    Segments,
    predictions_schema,
    schema_version,
)

_FILES = object_of({"files": COUNT, "bytes": COUNT})
_PASSED = object_of(
    {"files": COUNT, "bytes": COUNT, "records": {**COUNT, "description": "of other files, with --after-by record"}},
    required=["files", "bytes"],
)
_INPUT: Json = {"input": TEXT, "formats": {"type": "object"}, "files": COUNT, "bytes": COUNT, "fingerprint": SHA256}
# What the manifests of older versions do not have. Their models read the last words, and words by the first pattern.
_SINCE: Json = {
    "sentences": {"const": True, "description": "predictions lists every sentence; absent where it does not"},
    "spans": {**COUNT, "minimum": 1, "description": "phrases in a list; absent where there is no such list"},
    "columns": {**list_of(TEXT), "description": "our columns in predictions, without the kept ones"},
    **LONG,
    "after": {
        **list_of(object_of({"output": TEXT, "run_id": TEXT})),
        "description": "with --after: earlier runs, oldest first, whose files were passed over",
    },
    "passed_over": {
        **_PASSED,
        "description": "with --after: files that were not opened, since earlier runs had read them",
    },
    "after_by": {"const": RECORD, "description": "records were passed over too; absent where only files were"},
    "tokenizer": object_of({**READS, **RULES}, required=list(READS)),
    **CAVEATS,
    "workers": {
        "type": "object",
        "additionalProperties": COUNT,
        "description": "how many shards each worker process did, by its host and process id",
    },
}
_ALWAYS: Json = {
    "schema_version": {"enum": list(SCHEMA_VERSIONS)},
    "run_id": TEXT,
    "model_id": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
    "model_name": TEXT,
    "bias": {"type": "number", "description": "the logit before any contribution"},
    "temperature": {**NUMBER, "description": "of every review; the median, where predictions has it by review"},
    "threshold": NUMBER,
    "max_words": COUNT,
    "top_k": COUNT,
    "precision": {"enum": list(PRECISIONS), "description": "of the network's products"},
    "counts": object_of(
        {
            **{name: COUNT for name in ("read", "scored", "rejected", "unreadable")},
            "empty": {**COUNT, "description": "of the rejected: with a text that is blank, null or without words"},
            "passed_over": {**COUNT, "description": "with --after-by record: those of earlier runs; not in read"},
        },
        required=["read", "scored", "rejected", "unreadable"],
    ),
    "parts": list_of(object_of({"path": TEXT, "rows": COUNT, "sha256": SHA256})),
    "inputs": list_of(
        object_of(
            {**_INPUT, "passed_over": {**_FILES, "description": "of those that the input matches"}},
            required=list(_INPUT),
        )
    ),
    "notices": list_of(TEXT),
    "warnings": {**list_of(TEXT), "description": "how the corpus differs from what the model was trained on"},
    "not_a_success": {"type": ["string", "null"], "description": "why there is no _SUCCESS, if there is none"},
    "started": {"type": "string", "format": "date-time"},
    "finished": {"type": "string", "format": "date-time"},
    "command": list_of(TEXT),
    "versions": VERSIONS,
    "profile": object_of({"run": PROFILE, "training": PROFILE}),
    "timings": {
        "type": "object",
        "additionalProperties": NUMBER,
        "description": "seconds a stage, over all workers",
    },
}
MANIFEST = object_of({**_ALWAYS, **_SINCE}, required=list(_ALWAYS))


_ONLY = {
    "temperature": "where the model has a calibration that depends on the review",
    **dict.fromkeys(Segments(sentences=True).columns, "with --sentences"),
    **dict.fromkeys(Segments(spans=1).columns, "with --spans"),
    "decided": "with --target-accuracy",
    "unusual": "with --unusual",
    "text_hash": "unless --no-text-hash",
}


def table(schema: pa.Schema, title: str) -> Json:
    """An Arrow schema as a document."""
    columns = [
        {
            **{"name": f.name, "type": str(f.type), "nullable": f.nullable, "description": DESCRIPTIONS[f.name]},
            **({"only": _ONLY[f.name], "since": schema_version([f.name])} if f.name in OPTIONAL_COLUMNS else {}),
        }
        for f in schema
    ]
    return {"title": title, "format": "Parquet, zstd", "schema_version": max(SCHEMA_VERSIONS), "columns": columns}


_BIGQUERY_TYPES = {
    **{"string": "STRING", "int64": "INTEGER", "int32": "INTEGER"},
    **{"float": "FLOAT", "bool": "BOOLEAN", "uint64": "INTEGER"},
}


def bigquery(fields: Iterable[pa.Field]) -> list[Json]:
    """Arrow fields as a table schema for `bq mk`, in which a list of structs is a repeated record.

    Nothing is REQUIRED: BigQuery treats the columns of Parquet files as nullable, and refuses to append them to
    required ones.
    """
    columns = []
    for field in fields:
        column: Json = {"name": field.name, "description": DESCRIPTIONS[field.name]}
        if pa.types.is_list(field.type):
            # Loaded with list inference, which drops the Parquet levels `list` and `element`.
            column |= {"type": "RECORD", "mode": "REPEATED", "fields": bigquery(field.type.value_type)}
        else:
            column |= {"type": _BIGQUERY_TYPES[str(field.type)], "mode": "NULLABLE"}
        columns.append(column)
    return columns


def documents() -> dict[str, Any]:
    """File name -> content of everything under `schemas/`."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    codes = {code: {"stage": stage, "meaning": meaning} for code, (stage, meaning) in ERROR_CODES.items()}
    ours = predictions_schema(pa.schema([]), "", "", OPTIONAL_COLUMNS)
    predictions = table(ours, f"{layout.PREDICTIONS}/part-*.parquet: a row a scored review")
    predictions["kept_columns"] = "those named with --keep come after rest_contribution, with the types they came in"
    errors = table(ERRORS, f"{layout.ERRORS}/part-*.parquet: a row a record that was not scored")
    return {
        "predictions.json": predictions,
        "errors.json": {**errors, "codes": codes},
        "predictions.bigquery.json": bigquery(ours),
        "errors.bigquery.json": bigquery(ERRORS),
        "manifest.json": {**draft, "title": f"{layout.MANIFEST} of a run", **MANIFEST},
        "dry_run.json": {**draft, "title": "what score --dry-run --json prints", **DRY_RUN},
        "summary.json": {**draft, "title": "what score --json prints at the end", **SUMMARY},
        "check.json": {**draft, "title": "what check --json prints", **CHECK},
        "inspect.json": {**draft, "title": "what inspect --json prints", **INSPECT},
        "artifact.json": {**draft, "title": "manifest.json of a model artefact", "oneOf": [*ARTIFACTS.values()]},
    }


def export(directory: Path) -> None:
    """Writes all documents."""
    for name, content in documents().items():
        (directory / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    export(Path(sys.argv[1]))
