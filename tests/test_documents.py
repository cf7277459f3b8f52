"""The exported schemas are those of the code, and what the job writes fits them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from batch_scorer.artifact import SHIPPED
from batch_scorer.config import ScoreConfig
from batch_scorer.documents import ARTIFACT, MANIFEST, documents
from batch_scorer.schema import ERROR_CODES
from tests.jobs import score_here

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", documents())
def test_exported_schema_is_that_of_the_code(name: str) -> None:
    stored = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
    assert documents()[name] == stored, "run: python -m batch_scorer.documents schemas/"


@pytest.mark.parametrize("schema", [ARTIFACT, MANIFEST])
def test_schema_is_itself_valid(schema: dict[str, object]) -> None:
    Draft202012Validator.check_schema(schema)


def test_manifests_fit_their_schemas(reviews_file: Path, tiny_model: Path, config: Callable[..., ScoreConfig]) -> None:
    job = config(reviews_file, id_column="id")
    score_here(job)
    for path, schema in (
        (Path(job.output) / "manifest.json", MANIFEST),
        (tiny_model / "manifest.json", ARTIFACT),
        (Path(SHIPPED) / "manifest.json", ARTIFACT),
    ):
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(path.read_text()))


def test_every_error_code_is_raised_somewhere() -> None:
    source = "".join(path.read_text() for path in (ROOT / "batch_scorer").rglob("*.py") if path.name != "schema.py")
    assert [] == [code for code in ERROR_CODES if f'"{code}"' not in source]
