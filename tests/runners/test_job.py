"""A whole job as a function: what it returns, which events it passes on, and what it leaves alone."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OutputError, StoppedError, UnavailableError
from batch_scorer.events import Event
from batch_scorer.runners import job as jobs
from batch_scorer.runners.job import plan_job, run_job
from tests.jobs import part_bytes

pytestmark = pytest.mark.usefixtures("through_beam")

MakeConfig = Callable[..., ScoreConfig]


def test_job_returns_what_it_did_and_passes_on_each_event_in_order(config: MakeConfig, reviews_file: Path) -> None:
    events: list[Event] = []
    result = run_job(config(reviews_file, shard_rows=3, run_id="r"), events.append, describe_shards=True)
    assert result is not None and result.is_success
    assert (6, 1, 0) == (result.manifest["counts"]["scored"], result.processes, result.reviews_before)
    names = [event.name for event in events if event.name not in ("progress", "step")]
    assert ["planned", "versions", "input", "columns", "workers", "shard", "shard", "finished"] == names
    steps = [event.message for event in events if event.name == "step"]
    assert ["listing the inputs", "looking into 1 file, 0 done"] == steps[:2] and "writing the plan" == steps[-1]
    planned, finished = events[[e.name for e in events].index("planned")], events[-1]
    assert planned.message.startswith("6 reviews in 2 shards; model tiny ") and planned.message.endswith("; run r")
    assert result.sentence == finished.message


def test_job_that_is_refused_writes_nothing(config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no input file matches"):
        run_job(config(tmp_path / "*.jsonl"))
    assert not (tmp_path / "out").exists()


def test_planned_job_writes_nothing(config: MakeConfig, reviews_file: Path, tmp_path: Path) -> None:
    job = plan_job(config(reviews_file))
    assert (6, 1) == (job.plan.reviews, job.processes)
    assert not (tmp_path / "out").exists()


def test_job_that_resumes_counts_what_was_there_before(config: MakeConfig, reviews_file: Path, tmp_path: Path) -> None:
    settings = config(reviews_file, shard_rows=2)
    run_job(settings)
    before = part_bytes(tmp_path / "out")
    (tmp_path / "out/shards/00000.json").unlink()
    result = run_job(settings.with_options(resume=True))
    assert result is not None and 0 < result.reviews_before < 6
    assert before == part_bytes(tmp_path / "out")


def test_second_job_on_the_same_output_is_refused(config: MakeConfig, reviews_file: Path) -> None:
    run_job(config(reviews_file))
    with pytest.raises(OutputError, match="not empty"):
        run_job(config(reviews_file))


@pytest.mark.parametrize("options", [(), ("--runner=FnApiRunner",)])
def test_interrupted_job_says_how_to_continue(
    options: tuple[str, ...], config: MakeConfig, reviews_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "_run_pipeline", interrupted)
    with pytest.raises(StoppedError) as stopped:
        run_job(config(reviews_file, beam_options=options))
    assert "run the same command with --resume" in str(stopped.value.fix)
    assert bool(options) == ("on a service" in str(stopped.value.got))


def test_store_that_does_not_answer_is_told_how_to_continue(
    config: MakeConfig, reviews_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> bool:
        raise UnavailableError("no answer", fix="check the network")

    monkeypatch.setattr(jobs, "_run_pipeline", unavailable)
    with pytest.raises(UnavailableError) as failed:
        run_job(config(reviews_file))
    assert str(failed.value.fix).startswith("check the network; then run the same command with --resume")


def process_state() -> dict[str, Any]:
    """What belongs to the whole process and a job in it may borrow, but not keep."""
    return {
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "hooks": (sys.excepthook, threading.excepthook),
        "temporary": tempfile.tempdir,
        "directory": os.getcwd(),
        "root": (logging.getLogger().level, list(logging.getLogger().handlers)),
    }


def test_job_returns_what_it_borrowed_of_the_process(config: MakeConfig, reviews_file: Path) -> None:
    run_job(config(reviews_file, output=str(reviews_file.parent / "first")))  # imports Beam, which sets up a logger
    before = process_state()
    run_job(config(reviews_file, output=str(reviews_file.parent / "second")))
    assert before == process_state()
