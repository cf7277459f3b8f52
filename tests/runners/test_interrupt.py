"""A job that is stopped: Ctrl-C, SIGTERM and SIGKILL leave no worker behind, and the run can be resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from click.testing import CliRunner

from batch_scorer.cli import framework
from batch_scorer.cli.main import main
from batch_scorer.config import ScoreConfig
from batch_scorer.runners import job as jobs
from tests.chaos.gate import COMMAND, ROOT, Gate
from tests.jobs import part_bytes, score_here
from tests.processes import GUARD_S, running, sessions, wait_until

REVIEWS_A_SHARD, SHARDS = 25, 12


@contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """What a shell runs in the background ignores Ctrl-C, and so would the commands that a test starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """Tests and what they start heed Ctrl-C."""
    with heeding_ctrl_c():
        yield


@dataclass(frozen=True)
class Stopped:
    """How a job ended that was stopped.

    Args:
        done: shards that were done by then.
        succeeded: whether there was a `_SUCCESS`.
    """

    code: int
    said: str
    done: int
    succeeded: bool


@dataclass(frozen=True)
class Story:
    """A run that is stopped in one way after another, each time resumed, and at last finished."""

    output: Path
    stopped: dict[signal.Signals, Stopped]
    undisturbed: dict[str, bytes]


def stop(command: list[str], number: signal.Signals, gate: Gate, output: Path) -> Stopped:
    """Runs a job of two workers and stops it while both wait at the gate, so that the signal cannot be late."""
    environment = {**os.environ, **gate.environment}
    with (
        heeding_ctrl_c(),
        running(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, text=True) as job,
    ):
        wait_until(lambda: len(gate.waiting()) == 2, job)
        # Ctrl-C reaches the whole process group, a `kill` the driver alone.
        (os.killpg if number == signal.SIGINT else os.kill)(job.pid, number)
        _, said = job.communicate(timeout=GUARD_S)
        wait_until(lambda: job.pid not in sessions())
    done = len(list(output.glob("shards/*.json")))
    return Stopped(job.returncode, said, done, (output / "_SUCCESS").exists())


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Story:
    """A run that SIGKILL stops while it scores, then Ctrl-C and SIGTERM, each while its workers load the model.

    `tests/api/test_job.py` has Ctrl-C stop a job while it scores.
    """
    folder = tmp_path_factory.mktemp("stopped")
    source, output = folder / "in.jsonl", folder / "out"
    reviews = ({"text": f"good film {i}"} for i in range(SHARDS * REVIEWS_A_SHARD))
    source.write_text("".join(json.dumps(review) + "\n" for review in reviews))
    options = ("--model", tiny_model, "--shard-rows", REVIEWS_A_SHARD, "--run-id", "r", "--output", output)
    command = [*COMMAND, "score", *map(str, (source, *options)), "--workers", "2"]
    killed = stop(command, signal.SIGKILL, Gate(folder / "1", "scoring"), output)
    interrupted = stop([*command, "--resume"], signal.SIGINT, Gate(folder / "2", "loading"), output)
    terminated = stop([*command, "--resume"], signal.SIGTERM, Gate(folder / "3", "loading"), output)

    common: dict[str, Any] = {"model": str(tiny_model), "shard_rows": REVIEWS_A_SHARD, "run_id": "r"}
    score_here(ScoreConfig.of((str(source),), str(output), resume=True, **common))
    score_here(ScoreConfig.of((str(source),), str(folder / "undisturbed"), **common))
    stopped = {signal.SIGINT: interrupted, signal.SIGTERM: terminated, signal.SIGKILL: killed}
    return Story(output, stopped, part_bytes(folder / "undisturbed"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the workers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_job_leaves_no_worker_and_resumes_to_the_same_bytes(number: signal.Signals, story: Story) -> None:
    job = story.stopped[number]  # and `story` waited until no process of it was left
    if number == signal.SIGKILL:
        assert -signal.SIGKILL == job.code
    else:
        assert 1 == job.code
        assert ["error: interrupted", f"  where:    {story.output}"] == job.said.splitlines()[:2]
        assert "--resume" in job.said and "Traceback" not in job.said
    assert 0 < job.done < SHARDS
    assert not job.succeeded
    assert story.undisturbed == part_bytes(story.output)


def score_words(source: Path, output: Path, model: Path) -> list[str]:
    """`score` in one process, which may take as long as it likes to load TensorFlow."""
    options = ("--output", output, "--model", model, "--workers", 1, "--worker-timeout", GUARD_S)
    return ["score", *map(str, (source, *options))]


def test_interrupted_overwrite_is_told_to_resume_instead_of_overwriting() -> None:
    hint = ScoreConfig.of(("in",), "out", overwrite=True).how_to_resume()
    assert "run the same command with --resume instead of --overwrite: finished work is kept" == hint


STOPPED_WHILE_LOADING = """
import os, signal, sys, threading
from batch_scorer import silence
from batch_scorer.cli import main as cli
from batch_scorer.models import engine
def load_engine(*args):
    with silence.hushed():
        os.write(2, b"a greeting")
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()
engine.load_engine = load_engine
cli.main(sys.argv[1:])
"""


def test_job_stopped_while_tensorflow_is_hushed_says_so_all_the_same(
    tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    words = score_words(reviews_file, tmp_path / "out", tiny_model)
    command = [sys.executable, "-c", STOPPED_WHILE_LOADING, *words]
    job = subprocess.run(command, check=False, capture_output=True, text=True, timeout=GUARD_S)
    assert (1, "error: interrupted") == (job.returncode, job.stderr.splitlines()[0])
    assert "greeting" not in job.stderr


STOPPED_WHEN_DONE = """
import os, signal, sys, threading
from batch_scorer.cli import main as cli
from batch_scorer.runs import manifest
commit = manifest.commit
def commits_and_is_stopped(*args):
    made = commit(*args)
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait()
    return made
manifest.commit = commits_and_is_stopped
cli.main(sys.argv[1:])
"""


def test_job_stopped_when_all_is_written_is_done(tmp_path: Path, tiny_model: Path, reviews_file: Path) -> None:
    words = score_words(reviews_file, tmp_path / "out", tiny_model)
    command = [sys.executable, "-c", STOPPED_WHEN_DONE, *words]
    job = subprocess.run(command, check=False, capture_output=True, text=True, timeout=GUARD_S)
    assert (0, "") == (job.returncode, job.stderr)
    assert "6 reviews scored" in job.stdout and (tmp_path / "out/_SUCCESS").exists()


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_job_stopped_while_some_import_swallows_that_ends_all_the_same(
    number: signal.Signals, tmp_path: Path, tiny_model: Path, reviews_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_plan = jobs.make_plan

    def swallows(*arguments: Any) -> Any:
        with suppress(BaseException):
            os.kill(os.getpid(), number)
        return make_plan(*arguments)

    monkeypatch.setattr(jobs, "make_plan", swallows)
    monkeypatch.setattr(framework.os, "_exit", sys.exit)  # or it would be the end of the tests
    job = CliRunner().invoke(main, score_words(reviews_file, tmp_path / "out", tiny_model))
    assert (1, "error: interrupted") == (job.exit_code, job.stderr.splitlines()[0])
    assert not (tmp_path / "out").exists()
