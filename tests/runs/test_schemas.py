"""The exported schemas match the code, and what a job writes fits them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from batch_scorer.config import ScoreConfig
from batch_scorer.models.artifact import SHIPPED
from batch_scorer.models.manifest_schema import ARTIFACTS
from batch_scorer.runs.schemas import MANIFEST, documents
from batch_scorer.schema import ERROR_CODES, ERRORS, OPTIONAL_COLUMNS, predictions_schema
from tests.finished_runs import Original
from tests.jobs import score_here

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", documents())
def test_exported_schema_is_that_of_the_code(name: str) -> None:
    stored = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
    assert documents()[name] == stored, "run: python -m batch_scorer.runs.schemas schemas/"


@pytest.mark.parametrize("schema", [documents()["artifact.json"], *ARTIFACTS.values(), MANIFEST])
def test_schema_is_itself_valid(schema: dict[str, object]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("name", "schema"),
    [("predictions", predictions_schema(pa.schema([]), "", "", OPTIONAL_COLUMNS)), ("errors", ERRORS)],
)
def test_schema_for_bigquery_has_every_column_of_the_parquet_files_in_its_type(name: str, schema: pa.Schema) -> None:
    def arrow(column: dict[str, Any]) -> pa.DataType:
        if column["mode"] == "REPEATED":
            return pa.list_(pa.struct([(field["name"], arrow(field)) for field in column["fields"]]))
        kinds = {"STRING": pa.string(), "INTEGER": pa.int64(), "FLOAT": pa.float64(), "BOOLEAN": pa.bool_()}
        return kinds[column["type"]]

    loaded = pa.schema([(column["name"], arrow(column)) for column in documents()[f"{name}.bigquery.json"]])
    assert schema.names == loaded.names
    assert schema.empty_table().cast(loaded).num_rows == 0  # raises where a type does not fit
    for expected, field in zip(schema, loaded, strict=True):
        if pa.types.is_list(expected.type):
            assert [f.name for f in expected.type.value_type] == [f.name for f in field.type.value_type]
        else:
            assert pa.types.is_floating(expected.type) == pa.types.is_floating(field.type)
            assert pa.types.is_integer(expected.type) == pa.types.is_integer(field.type)


def test_lists_are_laid_out_as_bigquery_expects_them(original: Original) -> None:
    columns = pq.ParquetFile(original.output / "predictions/part-00000.parquet").schema
    paths = {columns.column(at).path for at in range(len(columns))}
    assert {"top_attended.list.element.token", "top_contributing.list.element.contribution"} <= paths


def test_manifests_fit_their_schemas(
    reviews_file: Path, tiny_model: Path, tiny_model_2: Path, config: Callable[..., ScoreConfig]
) -> None:
    job = config(reviews_file, id_column="id")
    score_here(job)
    models = documents()["artifact.json"]
    for path, schema in (
        (Path(job.output.directory) / "manifest.json", MANIFEST),
        (tiny_model / "manifest.json", models),
        (tiny_model_2 / "manifest.json", models),
        (Path(SHIPPED) / "manifest.json", models),
    ):
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(path.read_text()))


def test_every_error_code_is_raised_somewhere() -> None:
    source = "".join(path.read_text() for path in (ROOT / "batch_scorer").rglob("*.py") if path.name != "schema.py")
    assert [] == [code for code in ERROR_CODES if f'"{code}"' not in source]
