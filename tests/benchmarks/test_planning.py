"""The benchmark of planning: corpora are what they are called, and the whole of it with a few files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.planning.listing import list_inputs
from benchmarks.planning import __main__ as command
from benchmarks.planning import corpora

MakeConfig = Callable[..., ScoreConfig]


@pytest.mark.parametrize("kind", corpora.CORPORA)
def test_make_gives_so_many_files_of_the_format_in_folders(
    kind: str, tmp_path: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "FILES_A_FOLDER", 3)
    monkeypatch.setattr(corpora, "FOLDERS_A_FOLDER", 2)

    corpora.make(kind, 10, tmp_path / "made")

    (summary,) = list_inputs(config(tmp_path / "made")).summaries
    assert {kind: 10} == summary["formats"]
    folders = ["000/000000", "000/000001", "001/000002", "001/000003"]
    assert folders == sorted({str(path.parent.relative_to(tmp_path / "made")) for path in tmp_path.rglob("*.*")})


def test_benchmark_of_a_few_files_plans_and_folds_all_of_them_and_leaves_none(tmp_path: Path) -> None:
    on = Console(file=io.StringIO(), width=200)

    command.benchmark({"files": 7, "jsonl": 0, "parquet": 5}, 30, tmp_path / "scratch", tmp_path / "results", on)

    found = json.loads((tmp_path / "results" / "planning.json").read_text())
    assert [("files", 7, 1), ("parquet", 5, 1)] == [(p["what"], p["files"], p["shards"]) for p in found["plans"]]
    assert [30] == [fold["shards"] for fold in found["folds"]]
    for ran in (*found["plans"], *found["folds"]):
        assert 0 < sum(ran["steps"].values()) <= ran["seconds"] + 0.1
        assert 0 < ran["start_mib"] <= ran["peak_mib"]
    assert [] == list((tmp_path / "scratch").iterdir())
    written = (tmp_path / "results" / "planning.md").read_text()
    assert 2 == written.count("| what | ")
    assert "| parquet | 5 | 1 | " in written


def test_measurement_that_fails_says_why() -> None:
    with pytest.raises(JobError, match="no input file matches"):
        command._run("plan", "nowhere", "out")
