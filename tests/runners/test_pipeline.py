"""The Beam job against the same work done in plain Python, review by review."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.errors import OptionError, PipelineError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import forward, probability
from batch_scorer.models.tokenizer import words
from batch_scorer.planning import plan
from batch_scorer.runners import local, pipeline
from batch_scorer.runners.graph import build
from batch_scorer.runs import manifest, plan_files
from batch_scorer.runs.markers import Summary
from tests.conftest import REVIEWS, save_tiny
from tests.engines import tensorflow_engines
from tests.jobs import part_bytes, rows, score_here

pytestmark = pytest.mark.usefixtures("through_beam")

Config = Callable[..., ScoreConfig]

BAD = [b'{"id": "b1", "text": "cut off', b'{"id": "b2"}', b'{"id": "b3", "text": null}', b'{"id": "b4", "text": "?!"}']


@pytest.fixture
def mixed(jsonl_file: Callable[..., Path]) -> Path:
    """120 good reviews with 4 bad records among them."""
    good = [
        {"id": f"{i}-{name}", "text": f"{text} {'very ' * (i % 7)}", "stars": i}
        for i in range(20)
        for name, text in REVIEWS
    ]
    records: list[Any] = list(good)
    for place, bad in zip((3, 50, 51, 119), BAD, strict=True):
        records.insert(place, bad)
    return jsonl_file(*records)


def oracle(tiny: Artifact, path: Path) -> dict[str, tuple[float, float]]:
    """Logit and P(positive) of each review by the network written out in NumPy; no batches, no Beam."""
    found = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
            ids = tiny.tokenizer.ids(words(record["text"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        if len(ids) > 1:
            logit = forward(tiny.tensors, tiny.architecture, ids).logit
            found[record["id"]] = (logit, float(probability(np.array(logit), tiny.temperature)))
    return found


def test_job_gives_what_plain_python_gives(mixed: Path, config: Config, tiny: Artifact) -> None:
    job = config(mixed, id_column="id", kept=(Kept("stars", "rating"),), shard_rows=25)
    manifest = score_here(job)
    expected, found = oracle(tiny, mixed), rows(job.output.directory)
    assert {"read": 124, "scored": 120, "rejected": 4, "unreadable": 0, "empty": 2} == manifest["counts"]
    assert list(expected) == [row["record_id"] for row in found]
    assert [n for n in range(20) for _ in REVIEWS] == [row["rating"] for row in found]
    for row in found:
        logit, p = expected[row["record_id"]]
        assert logit == pytest.approx(row["logit"], abs=1e-5)
        assert p == pytest.approx(row["probability"], abs=1e-5)
    codes = [row["code"] for row in rows(job.output.directory, "errors")]
    assert ["malformed_json", "missing_text", "missing_text", "no_words"] == codes
    assert "2 of 124" in manifest["not_a_success"]
    assert not (Path(job.output.directory) / "_SUCCESS").exists()


@tensorflow_engines()
def test_workers_and_shards_change_no_row(mixed: Path, config: Config, tmp_path: Path) -> None:
    jobs = [
        config(mixed, id_column="id", run_id="r", output=str(tmp_path / name), workers=workers, shard_rows=size)
        for name, workers, size in (("a", 1, 30), ("b", 2, 30), ("c", 1, 7), ("d", 1, 1000))
    ]
    for job in jobs:
        score_here(job)
    first = rows(jobs[0].output.directory)
    assert part_bytes(jobs[0].output.directory) == part_bytes(jobs[1].output.directory)
    for job in jobs[2:]:
        assert first == rows(job.output.directory)


def test_two_runs_with_one_run_id_are_byte_identical(mixed: Path, config: Config, tmp_path: Path) -> None:
    for name in ("a", "b"):
        score_here(config(mixed, id_column="id", run_id="same", output=str(tmp_path / name)))
    assert part_bytes(tmp_path / "a") == part_bytes(tmp_path / "b")


def test_resume_keeps_what_is_done_and_redoes_what_is_damaged(mixed: Path, config: Config, tmp_path: Path) -> None:
    job = config(mixed, id_column="id", shard_rows=25, max_error_rate=1.0)
    score_here(job)
    output = Path(job.output.directory)
    undisturbed = part_bytes(output)
    kept = output / "predictions/part-00000.parquet"
    before = kept.stat().st_mtime_ns
    (output / "_SUCCESS").unlink()
    (output / "shards/00001.json").unlink()
    (output / "predictions/part-00002.parquet").write_bytes(b"damaged")
    manifest = score_here(job.with_options(resume=True))
    assert undisturbed == part_bytes(output)
    assert before == kept.stat().st_mtime_ns
    assert 120 == manifest["counts"]["scored"]
    assert (output / "_SUCCESS").exists()


def test_job_of_parquet_files_and_lines_together_keeps_the_order_of_the_inputs(
    reviews_file: Path, config: Config, tmp_path: Path
) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    for name in ("z", "a"):
        (letters / f"{name}.txt").write_text(f"a good letter {name}")
    table = pa.table({"id": [7, None], "text": ["bad film", "good film"]})
    pq.write_table(table, tmp_path / "reviews.parquet")
    job = config(tmp_path / "reviews.parquet", letters, reviews_file, id_column="id")
    score_here(job)
    source = str(tmp_path / "reviews.parquet")
    letter_ids = [f"{letters}/{name}.txt#0" for name in ("a", "z")]
    expected = ["7", f"{source}#1", *letter_ids, *(name for name, _ in REVIEWS)]
    assert expected == [row["record_id"] for row in rows(job.output.directory)]


def test_job_over_an_empty_file_is_a_success_without_rows(jsonl_file: Callable[..., Path], config: Config) -> None:
    job = config(jsonl_file())
    manifest = score_here(job)
    assert (0, [0]) == (manifest["counts"]["read"], [part["rows"] for part in manifest["parts"]])
    assert (Path(job.output.directory) / "_SUCCESS").exists()


def test_worker_with_another_model_than_planned_stops_the_job(
    reviews_file: Path, config: Config, tmp_path: Path
) -> None:
    model = save_tiny(tmp_path / "model")
    job = config(reviews_file, model=str(model))
    from batch_scorer.models import artifact
    from batch_scorer.planning import plan

    made, shards = plan.make_plan(job, artifact.load(str(model)).model_id)
    plan_files.write_plan(made, shards, job.output.directory)
    save_tiny(model, seed=8)
    with pytest.raises(PipelineError, match="model is not the one"):
        pipeline.run(made, job, pipeline.options(job))
    assert not (Path(job.output.directory) / "_SUCCESS").exists()


def test_unknown_beam_option_is_refused_by_name(config: Config) -> None:
    with pytest.raises(OptionError, match="no_such_thing"):
        pipeline.options(config("x", beam_options=("--no_such_thing=1",)))


def test_plan_of_many_pieces_is_read_by_several_workers_and_scored_to_the_same_bytes(
    config: Config, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = config(mixed, shard_rows=10, run_id="r")
    score_here(job)
    expected = part_bytes(Path(job.output.directory))
    monkeypatch.setattr(plan_files, "PIECE_SHARDS", 2)
    again = job.with_options(overwrite=True)
    score_here(again)
    names = plan_files.pieces(job.output.directory)
    assert 2 < len(names) == len(list(Path(job.output.directory, "plan").iterdir()))
    assert expected == part_bytes(Path(job.output.directory))
    graph = beam.Pipeline(runner="FnApiRunner")
    build(graph, plan.make_plan(job, "m")[0], job)
    labels = {transform.unique_name for transform in graph.to_runner_api().components.transforms.values()}
    assert {"Spread plan", "Spread shards"} <= labels


def test_job_request_does_not_grow_with_the_plan(config: Config, tiny: Artifact, reviews_file: Path) -> None:
    job = config(reviews_file)
    small, _ = plan.make_plan(job, tiny.model_id)
    sizes = []
    for shards in (10_000, 100_000):
        graph = beam.Pipeline(runner="FnApiRunner")
        build(graph, dataclasses.replace(small, shard_count=shards), job)
        sizes.append(graph.to_runner_api().ByteSize())
    assert abs(sizes[1] - sizes[0]) < 100


@pytest.mark.parametrize(
    ("cause", "scarce"),
    [
        (MemoryError("no more"), True),
        (ImportError("_pywrap.so: failed to map segment from shared object"), True),
        (RuntimeError("can't start new thread"), True),
        (ImportError("no module named x"), False),
    ],
)
def test_want_of_memory_in_a_step_is_told_with_what_helps(
    cause: Exception, scarce: bool, config: Config, reviews_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise cause

    monkeypatch.setattr("batch_scorer.models.engine.load_engine", fails)
    with pytest.raises(PipelineError) as told:
        score_here(config(reviews_file))
    assert f"{type(cause).__name__}: {cause}" in str(told.value.got)
    assert scarce == ("give it more memory, or fewer --workers" in str(told.value.fix))


def test_commit_refuses_when_a_shard_is_missing(config: Config, tiny: Artifact, reviews_file: Path) -> None:
    from batch_scorer.errors import JobError
    from batch_scorer.planning import plan

    job = config(reviews_file)
    made, _ = plan.make_plan(job, tiny.model_id)
    with pytest.raises(JobError, match="not every shard"):
        manifest.commit(Summary(), (), made, tiny, 0.0, job, {}, "", "")


@pytest.mark.parametrize(
    ("workers", "reviews", "shards", "expected"),
    [(None, 100, 9, 1), (None, 10**6, 9, 2), (None, 10**6, 1, 1), (3, 100, 9, 3), (3, 100, 2, 2), (None, 0, 0, 1)],
)
def test_processes_are_as_many_as_asked_for_or_as_the_reviews_keep_busy(
    workers: int | None, reviews: int, shards: int, expected: int, reviews_file: Path, config: Config,
    tiny: Artifact, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from batch_scorer.planning import plan

    monkeypatch.setattr(local.os, "sched_getaffinity", lambda _: {0, 1})
    made, _ = plan.make_plan(config(reviews_file), tiny.model_id)
    made = dataclasses.replace(made, reviews=reviews, shard_count=shards)
    assert expected == local.process_count(made, workers)
