"""The benchmark of the three ways: what it compares, refuses and tells. Its servers run in `test_portable`."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from batch_scorer.errors import EngineError, JobError
from benchmarks.job.reviews import Source
from benchmarks.portability import __main__ as command
from benchmarks.portability import run as measurement
from benchmarks.portability.run import IN_PROCESS, SIDES, Settings, Side, compare
from tests.jobs import part_bytes

COUNTS = {"read": 8, "scored": 7, "rejected": 1, "unreadable": 0}
PARTS = {"predictions/part-00000.parquet": "a" * 64, "errors/part-00000.parquet": "b" * 64}


def side(name: str, parts: Mapping[str, str] = PARTS, counts: Mapping[str, int] = COUNTS) -> Side:
    return Side(name, "--workers 2", 2.0, parts, counts)


def test_sides_with_the_same_parts_and_counts_agree() -> None:
    compare([side(name) for name in SIDES])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (side("b", {**PARTS, "errors/part-00000.parquet": "c" * 64}), "1 different or missing of 2"),
        (side("b", {"predictions/part-00000.parquet": "a" * 64}), "1 different or missing of 1"),
        (side("b", {**PARTS, "predictions/part-00001.parquet": "c" * 64}), "0 different or missing of 3"),
        (side("b", counts={**COUNTS, "scored": 6}), "'scored': 6"),
    ],
)
def test_side_with_other_parts_or_counts_is_refused(other: Side, told: str) -> None:
    with pytest.raises(EngineError) as refused:
        compare([side("a"), side("a"), other])
    assert told in str(refused.value.got)
    assert "b, compared with a" == refused.value.where


def test_side_is_a_whole_command_and_its_parts_are_hashed_as_they_lie(
    tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    output = tmp_path / "out"
    found = measurement.score(
        IN_PROCESS, reviews_file, output, str(tiny_model), ("--workers", "1", "--worker-timeout", "1200")
    )
    assert {path: hashlib.sha256(data).hexdigest() for path, data in part_bytes(output).items()} == found.parts
    assert (6, 6) == (found.counts["read"], found.counts["scored"])
    assert 6 / found.seconds == found.rate
    assert "portability" == json.loads((output / "manifest.json").read_text())["run_id"]


def test_server_that_does_not_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho it broke\nexit 3\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(JobError, match="job-server does not start") as told, measurement.servers(2, tmp_path):
        pass
    assert "it broke" == told.value.got


def test_table_has_a_line_a_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = [dataclasses.replace(side(name), seconds=4.0 / (1 + number)) for number, name in enumerate(SIDES)]
    found = {"workers": 2, "sides": [each.to_json() for each in sides]}
    monkeypatch.setattr(command, "run", lambda settings, say: found)
    console = Console(file=io.StringIO(), width=110)
    command.measure(Settings(Source("none"), "model", 8, 2), tmp_path / "results", console)
    lines = (tmp_path / "results/portability.md").read_text().splitlines()
    assert "| in process | 1 | 4.0 | 2 | 7 | 1 | 2 |" == lines[2]
    assert "| multi_processing | 2 | 2.0 | 4 | 7 | 1 | 2 |" == lines[3]
    assert 5 == len(lines)
    assert found == json.loads((tmp_path / "results/portability.json").read_text())
    assert "all parts are identical, byte for byte" in console.file.getvalue()  # type: ignore[attr-defined]


def test_reviews_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    said = CliRunner().invoke(command.main, ["--data", str(tmp_path / "none.parquet")])
    assert 2 == said.exit_code
    assert "the reviews cannot be read" in said.stderr
