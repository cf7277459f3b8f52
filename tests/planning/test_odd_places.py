"""Odd names, odd values and odd places: no record is lost to them, and no traceback is shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.runners import failure, local
from batch_scorer.runners.progress import ShardCounter
from tests.cli.test_main import run, score
from tests.jobs import rows, score_here

Config = Callable[..., ScoreConfig]


def test_kept_csv_value_that_is_not_utf8_is_replaced_and_its_review_scored(tmp_path: Path, config: Config) -> None:
    (tmp_path / "in.csv").write_bytes(b"text,who\ngood film,Jos\xe9\nbad film,Ann\n")
    job = config(tmp_path / "in.csv", kept=(Kept("who", "who"),))
    score_here(job)
    assert ["Jos�", "Ann"] == [row["who"] for row in rows(job.output.directory)]


def test_partition_beside_a_column_of_floats_becomes_a_float(tmp_path: Path, config: Config) -> None:
    (tmp_path / "year=2024").mkdir()
    pq.write_table(pa.table({"text": ["good"], "year": [2022.5]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["bad"]}), tmp_path / "year=2024" / "b.parquet")
    job = config(tmp_path / "a.parquet", tmp_path / "year=2024", kept=(Kept("year", "year"),))
    score_here(job)
    assert [2022.5, 2024.0] == [row["year"] for row in rows(job.output.directory)]


def test_partition_whose_name_is_not_utf8_is_kept_as_far_as_it_can_be_shown(tmp_path: Path, config: Config) -> None:
    folder = os.fsencode(tmp_path) + b"/in/k=v\xfe"
    os.makedirs(folder)
    Path(os.fsdecode(folder + b"/a.txt")).write_text("good film")
    job = config(tmp_path / "in", kept=(Kept("k", "k"),))
    score_here(job)
    assert ["v�"] == [row["k"] for row in rows(job.output.directory)]


def test_large_integers_beside_a_file_of_floats_keep_their_digits(tmp_path: Path, config: Config) -> None:
    pq.write_table(pa.table({"text": ["good"], "n": [2**60 + 1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["bad"], "n": [0.5]}), tmp_path / "b.parquet")
    job = config(tmp_path / "a.parquet", tmp_path / "b.parquet", kept=(Kept("n", "n"),), max_error_rate=1.0)
    counts = score_here(job)["counts"]
    assert (1, 1, 0) == (counts["scored"], counts["rejected"], counts["unreadable"])
    assert [2**60 + 1] == [row["n"] for row in rows(job.output.directory)]  # 0.5 would not fit beside it


def test_kept_integers_beyond_64_bits_come_as_their_digits(jsonl_file: Callable[..., Path], config: Config) -> None:
    job = config(jsonl_file({"text": "good", "n": 2**63}, {"text": "bad", "n": 1}), kept=(Kept("n", "n"),))
    score_here(job)
    assert [str(2**63), "1"] == [row["n"] for row in rows(job.output.directory)]


def test_csv_file_that_lost_a_kept_column_since_planning_has_none_of_its_values(tmp_path: Path, config: Config) -> None:
    from batch_scorer.planning import plan
    from batch_scorer.scoring.read import read

    (tmp_path / "in.csv").write_text("text,who\ngood,ann\n")
    made, (shard,) = plan.make_plan(config(tmp_path / "in.csv", kept=(Kept("who", "who"),)), "m")
    (tmp_path / "in.csv").write_text("text\ngood\n")
    (chunk,) = read(shard, made.fields)
    assert ([], [None]) == ([*chunk.rejected], chunk.reviews["who"].to_pylist())


def test_progress_counts_in_an_output_with_brackets_and_passes_over_what_is_no_marker(tmp_path: Path) -> None:
    shards = tmp_path / "out [1]" / "shards"
    shards.mkdir(parents=True)
    for name in (
        "00000.json",
        "00002.json",
        "00003.json",
        "notes.json",
        "\u0661.json",
        ".00001.json.1.draft",
        "-1.json",
    ):
        (shards / name).touch()
    assert 3 + 5 == ShardCounter(str(tmp_path / "out [1]"), [3, 4, 5])()


@pytest.mark.parametrize("option", ["--output", "--model", "--text-column", "--id-column", "--run-id"])
def test_empty_option_is_refused_by_name(option: str, reviews_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    result = score(reviews_file, tiny_model, tmp_path / "out", option, "")
    assert 2 == result.exit_code
    assert f"{option} is empty" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["plain/out", "x" * 300])
def test_output_that_cannot_be_made_is_refused_without_a_traceback(
    place: str, reviews_file: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("")
    result = score(reviews_file, tiny_model, tmp_path / place)
    assert 2 == result.exit_code
    assert "the output" in result.stderr
    assert ("the file" if place == "plain/out" else "File name too long") in result.stderr


def test_inspect_of_a_run_that_lost_a_part_says_so(reviews_file: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert 0 == score(reviews_file, tiny_model, tmp_path / "out").exit_code
    (tmp_path / "out/predictions/part-00000.parquet").unlink()
    result = run("inspect", tmp_path / "out")
    assert (2, True) == (result.exit_code, "the output of the run is damaged" in result.stderr)


def test_cores_are_counted_where_the_system_cannot_say_which_are_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert 3 == local._usable_cores()


def test_cause_of_a_failure_keeps_its_message() -> None:
    def name(error: Exception) -> str:
        try:
            raise error
        except Exception as raised:
            return failure._cause(failure.text_of(raised))

    assert "pyarrow.lib.ArrowInvalid: no double" == name(pa.ArrowInvalid("no double"))
    assert "MemoryError" == name(MemoryError())
