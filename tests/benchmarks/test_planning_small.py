"""The benchmark of small files: both sides hold the same reviews, and what either takes is the least of its rounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring.read import read
from benchmarks.planning import small

pytestmark = pytest.mark.slow

TEXTS = ["a good film,\nwith a comma", 'so "bad"', "слово"] * 3


def asked(options: list[str]) -> dict[str, str]:
    return dict(zip((name.removeprefix("--").replace("-", "_") for name in options[::2]), options[1::2], strict=True))


def texts_of(inputs: Path, options: list[str], tmp_path: Path) -> list[str]:
    """The texts that a run with these options would score."""
    plan, shards = make_plan(ScoreConfig.of((str(inputs),), str(tmp_path / "out"), **asked(options)), "0" * 12)
    return [
        text for shard in shards for chunk in read(shard, plan.fields) for text in (one.strip() for one in chunk.texts)
    ]


@pytest.mark.parametrize("kind", small.KINDS)
def test_many_files_and_one_hold_the_same_reviews(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "FILES_A_FOLDER", 4)
    reviews = [" ".join(text.split()) for text in TEXTS]
    small.make(kind, reviews, tmp_path)
    *_, many, one = small.KINDS[kind]
    assert len(reviews) == sum(path.is_file() for path in (tmp_path / "many").rglob("*"))
    assert 3 == len(list((tmp_path / "many").iterdir()))
    assert reviews == texts_of(tmp_path / "one", one, tmp_path)
    assert reviews == texts_of(tmp_path / "many", many, tmp_path)
    assert [1, 1] == [
        small.read(tmp_path / name, tmp_path / "out", o)["parts"] for name, o in (("many", many), ("one", one))
    ]


def test_benchmark_keeps_the_least_of_its_rounds_and_writes_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in.parquet")
    costs = iter([(9.0, 3.0), (4.0, 1.0), (6.0, 2.0), (5.0, 4.0)])

    def score(inputs: Path, output: Path, options: list[str]) -> dict[str, float]:
        assert any(path.is_file() for path in inputs.rglob("*"))
        cpu_s, seconds = next(costs)
        return {"parts": 2, "cpu_s": cpu_s, "seconds": seconds}

    monkeypatch.setattr(small, "score", score)
    options = ("--data", tmp_path / "in.parquet", "--files", 5, "--kind", "csv", "--texts", "short", "--rounds", 2)
    result = CliRunner().invoke(small.main, [str(word) for word in (*options, "--output", tmp_path / "results")])
    assert 0 == result.exit_code, result.output
    assert "| csv | short | 2 | 2 | 6.0 | 4.0 | 1.50 | 2 | 1 |" in (tmp_path / "results/small.md").read_text()
    found: dict[str, Any] = json.loads((tmp_path / "results/small.json").read_text())
    assert {"parts": 2, "cpu_s": 6.0, "seconds": 2.0} == found["runs"][0]["many"]


def test_run_that_fails_is_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small.sys, "executable", "false")
    with pytest.raises(JobError, match=r"a run failed[\s\S]*-m batch_scorer score"):
        small.score(tmp_path / "nothing", tmp_path / "out", [])
