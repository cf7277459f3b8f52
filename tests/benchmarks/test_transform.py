"""The benchmark of the Beam transform: both sides score the same reviews, all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batch_scorer.cli.main import main as batch_scorer
from benchmarks.job.sides import ENVIRONMENT, ROOT
from benchmarks.transform.__main__ import FILES, JOB, TRANSFORM, Measured, command, main, measure, write_corpus
from tests.jobs import rows

pytestmark = pytest.mark.slow


@pytest.fixture
def data(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"text": [f"A wonderful film, take {i}." for i in range(30)]}), tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def test_sides_score_the_same_reviews_to_the_same_probabilities(data: Path, tmp_path: Path) -> None:
    write_corpus(str(data), "text", 40, tmp_path / "corpus")
    assert FILES == len(list((tmp_path / "corpus").iterdir()))
    job_words, transform_words = (command(side, tmp_path / "corpus", tmp_path / side) for side in (JOB, TRANSFORM))
    # The job runs here, and the pipeline with a single worker: each process more would import and compile the same.
    assert [sys.executable, "-m", "batch_scorer"] == job_words[:3]
    assert 0 == CliRunner().invoke(batch_scorer, job_words[3:]).exit_code
    assert "--direct_num_workers=2" == transform_words[-1]
    transform_words[-1] = "--direct_num_workers=1"
    subprocess.run(transform_words, check=True, cwd=ROOT, env={**os.environ, **ENVIRONMENT}, capture_output=True)
    job = {row["record_id"]: row["probability"] for row in rows(tmp_path / JOB)}
    lines = [line for path in tmp_path.glob(f"{TRANSFORM}-*.jsonl") for line in path.read_text().splitlines()]
    transform = {str(row["id"]): row["probability"] for row in map(json.loads, lines)}
    assert {str(i) for i in range(40)} == job.keys() and job == transform


def test_rates_are_of_the_reviews_that_the_larger_corpus_has_more(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seconds_of(words: list[str]) -> float:
        many, is_job = "/40" in " ".join(words), "score" in words
        return 10.0 + (2.0 if is_job else 4.0) * many

    monkeypatch.setattr("benchmarks.transform.__main__.seconds_of", seconds_of)
    results = measure(str(data), "text", 20, 40, 2)
    assert {JOB: [Measured(10.0, 12.0, 10.0)] * 2, TRANSFORM: [Measured(10.0, 14.0, 5.0)] * 2} == results
    shown = CliRunner().invoke(main, ["--data", str(data), "--few", "20", "--many", "40", "--rounds", "1"])
    assert "ScoreTexts / job: 0.50 (0.50 to 0.50)" in shown.output
