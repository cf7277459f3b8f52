"""A job that is stopped: Ctrl-C, SIGTERM and SIGKILL leave no worker behind, and the run can be resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_scorer.config import ScoreConfig
from tests.jobs import part_bytes


def sessions() -> list[int]:
    """The session of each process that is not a zombie."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        found += [] if state == "Z" else [int(session)]
    return found


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """What a shell runs in the background ignores Ctrl-C, and so would the commands that a test starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> list[str]:
    """Scores 10,000 reviews in 100 shards; what is missing is the output."""
    source = tmp_path_factory.mktemp("stopped") / "in.jsonl"
    source.write_text("".join(json.dumps({"text": f"good film {i}"}) + "\n" for i in range(10_000)))
    options = ("--model", tiny_model, "--shard-rows", 100, "--run-id", "r")
    return [sys.executable, "-m", "batch_scorer", "score", *map(str, (source, *options))]


@pytest.fixture(scope="module")
def undisturbed(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The parts of a run that nobody stops."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    subprocess.run([*command, "--workers", "1", "--output", str(output)], check=True, capture_output=True)
    return part_bytes(output)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the workers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_job_leaves_no_worker_and_resumes_to_the_same_bytes(
    number: signal.Signals, command: list[str], undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    job = subprocess.Popen(
        [*command, "--workers", "2", "--output", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 90
    while not list(output.glob("shards/*.json")):
        assert job.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    # Ctrl-C reaches the whole process group, a `kill` the driver alone.
    (os.killpg if number == signal.SIGINT else os.kill)(job.pid, number)
    _, err = job.communicate(timeout=60)

    if number != signal.SIGKILL:
        assert 1 == job.returncode
        assert ["error: interrupted", f"  where:    {output}"] == err.splitlines()[:2]
        assert "--resume" in err and "Traceback" not in err
    end = time.monotonic() + 10
    while job.pid in sessions() and time.monotonic() < end:
        time.sleep(0.1)
    assert job.pid not in sessions()
    assert not (output / "_SUCCESS").exists()

    again = [*command, "--workers", "1", "--output", str(output), "--resume"]
    assert 0 == subprocess.run(again, check=False, capture_output=True).returncode
    assert undisturbed == part_bytes(output)


def test_interrupted_overwrite_is_told_to_resume_instead_of_overwriting() -> None:
    hint = ScoreConfig.of(("in",), "out", overwrite=True).how_to_resume()
    assert "run the same command with --resume instead of --overwrite: finished work is kept" == hint


STOPPED_WHILE_LOADING = """
import os, signal, sys, threading, time
from batch_scorer import silence
from batch_scorer.cli import main as cli
from batch_scorer.models import engine
def load_engine(*args):
    with silence.hushed():
        os.write(2, b"a greeting")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
engine.load_engine = load_engine
cli.main(sys.argv[1:])
"""


def test_job_stopped_while_tensorflow_is_hushed_says_so_all_the_same(
    tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    words = ("score", reviews_file, "--output", tmp_path / "out", "--model", tiny_model, "--workers", 1)
    command = [sys.executable, "-c", STOPPED_WHILE_LOADING, *map(str, words)]
    job = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (1, "error: interrupted") == (job.returncode, job.stderr.splitlines()[0])
    assert "greeting" not in job.stderr


STOPPED_WHEN_DONE = """
import os, signal, sys, time
from batch_scorer.cli import main as cli
from batch_scorer.runs import manifest
commit = manifest.commit
def commits_and_is_stopped(*args):
    made = commit(*args)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    return made
manifest.commit = commits_and_is_stopped
cli.main(sys.argv[1:])
"""


def test_job_stopped_when_all_is_written_is_done(tmp_path: Path, tiny_model: Path, reviews_file: Path) -> None:
    words = ("score", reviews_file, "--output", tmp_path / "out", "--model", tiny_model, "--workers", 1)
    command = [sys.executable, "-c", STOPPED_WHEN_DONE, *map(str, words)]
    job = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert (0, "") == (job.returncode, job.stderr)
    assert "6 reviews scored" in job.stdout and (tmp_path / "out/_SUCCESS").exists()


STOPPED_DEAF = """
import os, signal, sys
from batch_scorer.cli import main as cli
from batch_scorer.planning import plan
make_plan = plan.make_plan
def swallows(*args):
    try:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    except BaseException:
        pass
    return make_plan(*args)
plan.make_plan = swallows
cli.main(sys.argv[2:])
"""


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_job_stopped_while_some_import_swallows_that_ends_all_the_same(
    name: str, tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    words = ("score", reviews_file, "--output", tmp_path / "out", "--model", tiny_model, "--workers", 1)
    command = [sys.executable, "-c", STOPPED_DEAF, name, *map(str, words)]
    job = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (1, "error: interrupted") == (job.returncode, job.stderr.splitlines()[0])
    assert not (tmp_path / "out").exists()
