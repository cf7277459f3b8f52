"""The watch over local workers: who gets on is left alone; who dies or hangs is named, and nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_scorer.errors import WorkerError
from batch_scorer.runners import heartbeat
from batch_scorer.runners.heartbeat import LOADING, Pulse, Watch, worker_file
from tests.processes import GUARD_S, tied

pytestmark = pytest.mark.usefixtures("through_beam")


class Child:
    """A process that does nothing, told of as if it were a worker."""

    def __init__(self, eye: Watch) -> None:
        self.process = subprocess.Popen(tied(["sleep", "3600"]))
        self._path, self._shown = Path(eye.directory) / str(self.process.pid), 0
        self._path.touch()

    def tell(self, shard: int, steps: int) -> None:
        self._path.write_text(f"{shard} {steps}")

    def show_life(self) -> None:
        self._shown += 1
        os.utime(self._path, ns=(self._shown, self._shown))

    def end(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait()

    def leave(self) -> None:
        self._path.unlink()
        self.end()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `watch` sees, as a list of one number."""
    now = [1_000.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def usual_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit for loading a model as the product has it: other tests raise it."""
    monkeypatch.setattr(heartbeat, "LOADING_SECONDS", 45.0)
    monkeypatch.setattr(heartbeat, "SILENT_SECONDS", 45.0)


@pytest.fixture
def eye(clock: list[float], tmp_path: Path) -> Iterator[Watch]:
    """A watch that allows three seconds a step."""
    with Watch(str(tmp_path / "staging"), 3.0, lambda index: f"shard {index}: in.jsonl") as made:
        yield made


@pytest.fixture
def child(eye: Watch) -> Iterator[Child]:
    """A worker of that watch."""
    made = Child(eye)
    yield made
    made.process.kill()
    made.process.wait()


def check_for(seconds: float, eye: Watch, clock: list[float], *living: Child) -> None:
    """Checks every half second; the children in `living` show that they run."""
    for _ in range(round(seconds / heartbeat.CHECK_SECONDS)):
        clock[0] += heartbeat.CHECK_SECONDS
        for child in living:
            child.show_life()
        eye.check()


def test_worker_that_takes_steps_is_left_alone(eye: Watch, clock: list[float], child: Child) -> None:
    for steps in range(5):
        child.tell(7, steps)
        check_for(2.5, eye, clock, child)


def test_worker_that_takes_no_step_is_named_with_its_shard_when_the_time_is_over(
    eye: Watch, clock: list[float], child: Child
) -> None:
    child.tell(7, 1)
    check_for(3.5, eye, clock, child)  # half a second until it is seen for the first time
    with pytest.raises(WorkerError) as raised:
        check_for(0.5, eye, clock, child)
    error = raised.value
    assert ("a worker stopped responding", "shard 7: in.jsonl") == (error.what, error.where)
    assert f"no step from process {child.process.pid}" == error.got
    assert "3 s (--worker-timeout)" in str(error.expected)


def test_worker_that_waits_for_work_may_wait_for_ever(eye: Watch, clock: list[float], child: Child) -> None:
    child.tell(heartbeat.IDLE, 1)
    check_for(60, eye, clock, child)


def test_worker_that_waits_for_work_but_was_stopped_is_named(eye: Watch, clock: list[float], child: Child) -> None:
    child.tell(heartbeat.IDLE, 1)
    with pytest.raises(WorkerError, match="between two shards"):
        check_for(60, eye, clock)


def test_worker_that_never_gets_to_load_the_model_is_named(eye: Watch, clock: list[float], child: Child) -> None:
    with pytest.raises(WorkerError, match="loading the model"):
        check_for(60, eye, clock, child)


@pytest.mark.parametrize("told", [True, False], ids=["loading", "starting"])
def test_worker_that_loads_may_take_minutes_and_one_that_does_not_run_may_not(
    told: bool, eye: Watch, clock: list[float], child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LOADING_SECONDS", 180.0)
    if told:
        child.tell(LOADING, 1)
    check_for(130, eye, clock, child)
    check_for(45, eye, clock)  # now it is stopped
    with pytest.raises(WorkerError, match="loading the model") as raised:
        check_for(1, eye, clock)
    assert "45 s" in str(raised.value.expected)


@pytest.mark.parametrize(("shard", "place"), [(7, "shard 7: in.jsonl"), (LOADING, "loading the model")])
def test_worker_that_was_killed_is_named_at_once(
    shard: int, place: str, eye: Watch, clock: list[float], child: Child
) -> None:
    child.tell(shard, 1)
    child.end()
    with pytest.raises(WorkerError) as raised:
        eye.check()
    assert ("a worker died", place) == (raised.value.what, raised.value.where)
    assert f"process {child.process.pid} was killed" in str(raised.value.got)


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (-9, "was killed by SIGKILL, perhaps because memory ran out: fewer --workers need less"),
        (-11, "was killed by SIGSEGV"),
        (3, "exited with code 3"),
    ],
)
def test_way_in_which_a_worker_died_is_told_and_the_thread_that_knew_is_silent(
    code: int, how: str, eye: Watch, child: Child, capfd: pytest.CaptureFixture[str]
) -> None:
    def raise_as_beam_does() -> None:
        raise RuntimeError(f"Worker subprocess exited with return code {code}")

    thread = threading.Thread(target=raise_as_beam_does)
    thread.start()
    thread.join()
    child.end()
    with pytest.raises(WorkerError) as raised:
        eye.check()
    assert f"process {child.process.pid} {how}" == raised.value.got
    assert ("", "") == tuple(capfd.readouterr())


@pytest.mark.parametrize(("awaits", "raised"), [(2, "no worker started"), (0, None)])
def test_driver_that_never_starts_a_worker_ends_where_workers_are_to_come(
    awaits: int, raised: str | None, clock: list[float], tmp_path: Path
) -> None:
    with Watch(str(tmp_path), 3.0, str, awaits) as eye:
        check_for(44, eye, clock)
        if raised is None:
            check_for(60, eye, clock)
        else:
            with pytest.raises(WorkerError, match=raised):
                check_for(60, eye, clock)


def test_worker_that_never_starts_is_missed_beside_one_that_waits_for_it(
    clock: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LOADING_SECONDS", 180.0)
    with Watch(str(tmp_path), 3.0, str, awaits=2) as eye:
        check_for(170, eye, clock)  # Beam prepares the job
        child = Child(eye)
        child.tell(heartbeat.IDLE, 1)
        check_for(44, eye, clock, child)
        with pytest.raises(WorkerError) as raised:
            check_for(2, eye, clock, child)
        assert ("a worker did not start", "2", "1") == (raised.value.what, raised.value.expected, raised.value.got)
        child.end()


def test_worker_that_ended_in_peace_is_not_missed(eye: Watch, clock: list[float], child: Child) -> None:
    child.tell(7, 1)
    eye.check()
    child.leave()
    check_for(60, eye, clock)


def test_driver_that_stood_still_blames_no_worker(eye: Watch, clock: list[float], child: Child) -> None:
    child.tell(7, 1)
    check_for(1, eye, clock, child)
    clock[0] += 3_600  # Ctrl-Z, and fg after an hour
    check_for(1, eye, clock, child)
    child.tell(7, 2)
    check_for(3, eye, clock, child)


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_watch_that_ends_with_an_error_leaves_no_worker_and_no_file(stopped: bool, tmp_path: Path) -> None:
    with pytest.raises(KeyError), Watch(str(tmp_path), 3.0, str) as eye:
        child = Child(eye)
        if stopped:
            child.process.send_signal(signal.SIGSTOP)
        threading.Thread(target=child.process.wait).start()  # as Beam does: else it would stay as a zombie
        raise KeyError
    assert -signal.SIGKILL == child.process.wait()
    assert [] == list(tmp_path.iterdir())


def test_pulse_tells_the_shard_and_the_steps_and_not_too_often(eye: Watch, clock: list[float]) -> None:
    told = Path(worker_file(eye.directory))
    pulse = Pulse(eye.directory)
    with pulse.doing(12):
        assert ["12", "1"] == told.read_text().split()
        for _ in range(10):
            pulse()
        assert ["12", "1"] == told.read_text().split()
        clock[0] += 1
        pulse()
        assert ["12", "12"] == told.read_text().split()
    assert ["-1", "12"] == told.read_text().split()
    assert 0o600 == told.stat().st_mode & 0o777
    assert 0o700 == Path(eye.directory).stat().st_mode & 0o777


def test_pulse_that_cannot_write_or_has_nobody_to_tell_goes_on(tmp_path: Path) -> None:
    for directory in (None, str(tmp_path / "gone")):
        with Pulse(directory).doing(1):
            pass


# However long a busy machine takes to load TensorFlow, it is not that which hangs.
HANGS = """
import sys, threading
from batch_scorer.cli import main as cli
from batch_scorer.models import engine
from batch_scorer.runners import heartbeat
heartbeat.LOADING_SECONDS = heartbeat.SILENT_SECONDS = 3600.0
load = engine.load_engine
def load_engine(*args):
    made = load(*args)
    made.run = lambda ids: threading.Event().wait()
    return made
engine.load_engine = load_engine
cli.main(sys.argv[1:])
"""


def test_job_in_one_process_that_hangs_ends_with_the_shard_and_the_way_on(
    tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    out = tmp_path / "out"
    words = ("score", reviews_file, "--output", out, "--model", tiny_model, "--workers", 1, "--worker-timeout", 2)
    command = [sys.executable, "-c", HANGS, *map(str, words)]
    job = subprocess.run(command, check=False, capture_output=True, text=True, timeout=GUARD_S)
    assert 1 == job.returncode
    where = f"  where:    shard 0: {reviews_file}, bytes 0 to 502"
    assert ["error: a worker stopped responding", where] == job.stderr.splitlines()[:2]
    assert f"batch-scorer {' '.join(map(str, words))} --resume" in job.stderr
    assert {"plan.json", "plan"} == {path.name for path in out.iterdir()}


def test_long_line_without_an_end_is_progress_all_the_same(tmp_path: Path) -> None:
    from batch_scorer.config import ScoreConfig
    from batch_scorer.planning.plan import make_plan
    from batch_scorer.scoring.read import read

    source = tmp_path / "in.jsonl"
    source.write_bytes(json.dumps({"text": "good"}).encode() + b"\n" + b"x" * 30_000_000 + b"\n" * 3_000_000)
    made, (shard,) = make_plan(ScoreConfig.of((str(source),), str(tmp_path / "out")), "m")
    beats: list[int] = []
    (chunk,) = read(shard, made.fields, lambda: beats.append(1))
    assert (1, ["text_too_large"]) == (len(chunk.texts), [r.code for r in chunk.rejected])
    assert 100 < len(beats)


def test_worker_that_cannot_start_says_why_in_the_message_and_prints_nothing(
    tmp_path: Path, tiny_model: Path, reviews_file: Path
) -> None:
    (tmp_path / "broken").mkdir()
    # Found on the path of the workers and of the driver alike, and of no consequence to the driver.
    (tmp_path / "broken/sitecustomize.py").write_text(
        "import sys\nif 'batch_scorer.runners.worker' in sys.orig_argv:\n    sys.modules['apache_beam'] = None\n"
    )
    words = ("score", reviews_file, "--output", tmp_path / "out", "--model", tiny_model)
    command = [
        sys.executable,
        "-m",
        "batch_scorer",
        *map(str, words),
        "--workers",
        "2",
        "--shard-rows",
        "1",
        "--worker-timeout",
        "600",
    ]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "broken")}
    job = subprocess.run(command, check=False, capture_output=True, text=True, env=env, timeout=GUARD_S)
    assert (1, "error: a worker died") == (job.returncode, job.stderr.splitlines()[0])
    assert "exited with code 1: ModuleNotFoundError: " in job.stderr
    assert "Traceback" not in job.stderr
