"""Runs to compare: two real ones by tiny models, and any that a test writes down row by row."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from batch_scorer.cli.main import main
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.models.profile import measure
from batch_scorer.schema import predictions_schema
from tests.conftest import REVIEWS, save_tiny
from tests.finished_runs import seal
from tests.jobs import score_here

Rows = list[dict[str, Any]]
WriteRun = Callable[..., str]


@pytest.fixture(scope="session")
def scored(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[str, str]:
    """The outputs of two runs: the same reviews, scored by two tiny models; the second rejects the longest review."""
    folder = tmp_path_factory.mktemp("scored")
    lines = [json.dumps({"id": i, "text": text, "label": n % 2}) for n, (i, text) in enumerate(REVIEWS)]
    (folder / "reviews.jsonl").write_text("\n".join(lines))
    other = save_tiny(folder / "other", seed=11)
    shared: dict[str, Any] = {"id_column": "id", "kept": (Kept("label", "truth"),), "workers": 1}
    inputs = (str(folder / "reviews.jsonl"),)
    score_here(ScoreConfig.of(inputs, str(folder / "a"), model=str(tiny_model), **shared))
    score_here(
        ScoreConfig.of(inputs, str(folder / "b"), model=str(other), max_text_bytes=100, max_error_rate=1, **shared)
    )
    return str(folder / "a"), str(folder / "b")


@pytest.fixture
def write_run(tmp_path: Path, scored: tuple[str, str]) -> WriteRun:
    """Writes a finished run and returns its output; a row needs a record_id and a probability, the rest is optional."""
    manifest, plan = (json.loads(Path(scored[0], name).read_text()) for name in ("manifest.json", "plan.json"))

    def write(name: str, rows: Rows, kept: tuple[str, ...] = (), **changes: Any) -> str:
        output = tmp_path / name
        (output / "predictions").mkdir(parents=True)
        threshold, temperature = changes.get("threshold", 0.5), changes.setdefault("temperature", 1.0)
        table = [
            {
                "source": "reviews.jsonl",
                "offset": at,
                "logit": temperature * math.log(row["probability"] / (1 - row["probability"])),
                "predicted_label": "positive" if row["probability"] >= threshold else "negative",
                **{"n_tokens": 4, "n_tokens_used": 4, "truncated": False, "oov_rate": 0.0, "rest_contribution": 0.0},
                **{"top_attended": [], "top_contributing": [], "model_id": "0" * 12, "run_id": "r"},
                **row,
            }
            for at, row in enumerate(rows)
        ]
        schema = predictions_schema(pa.schema([(column, pa.string()) for column in kept]), "r", "0" * 12)
        pq.write_table(pa.Table.from_pylist(table, schema), output / "predictions/part-00000.parquet")
        ones = np.ones(len(rows), np.int32)
        probability = np.array([row["probability"] for row in rows], np.float32)
        profile = {"run": measure(4 * ones, 4 * ones, 0 * ones, probability).to_json()}
        parts = [{"path": "predictions/part-00000.parquet", "rows": len(rows), "sha256": "0" * 64}]
        counts = {"read": len(rows), "scored": len(rows), "rejected": 0, "unreadable": 0}
        document = {**manifest, "run_id": "r", "model_id": "0" * 12, "parts": parts, "counts": counts, **changes}
        document["profile"] = {**manifest["profile"], **profile}
        (output / "manifest.json").write_text(json.dumps(document))
        seal(output)
        names = [{"name": column, "output_name": column, "type": "string"} for column in kept]
        (output / "plan.json").write_text(json.dumps({**plan, "kept": names}))
        (output / "_SUCCESS").write_text("")
        return str(output)

    return write


def listed(*words: tuple[str, int, float]) -> Rows:
    """Words as a row lists them, given as token, position and contribution."""
    return [
        {"token": token, "position": at, "char_start": at, "char_end": at, "attention": 0.1, "contribution": adds}
        for token, at, adds in words
    ]


def scores(**probabilities: float) -> Rows:
    """Rows of these ids and probabilities."""
    return [{"record_id": name, "probability": p} for name, p in probabilities.items()]


def run(*arguments: object) -> Result:
    """`batch-scorer compare`, in this process."""
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])
