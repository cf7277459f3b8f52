"""A job: the real command, in a session of its own, and what can be seen of it from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.corpora import RUN_ID, Corpus
from tests.processes import processes_with, tied

POLL_SECONDS = 0.01
GONE_SECONDS = 60.0  # by then nothing of a job that has ended may be left, on a busy machine
ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "batch_scorer")


@dataclass(frozen=True)
class Order:
    """How to score a corpus.

    Args:
        shard_rows: reviews in a shard, about.
    """

    corpus: Corpus
    model: Path
    shard_rows: int
    workers: int

    def command(self, output: Path | str, *more: str, program: Sequence[str] = PROGRAM) -> list[str]:
        """The command line."""
        given = ("--model", self.model, "--run-id", RUN_ID, "--shard-rows", self.shard_rows, "--workers", self.workers)
        options = ("--output", output, *given, "--max-error-rate", 0.1, *self.corpus.options, *more)
        return [*program, "score", *self.corpus.inputs, *map(str, options)]


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Args:
        code: exit code, negative if a signal killed it; None if it did not end and had to be killed.
        said: what it wrote to both outputs.
        at: when, on the monotonic clock.
        left: its processes that still existed `GONE_SECONDS` later.
        in_tmp: what it left in its temporary directory.
    """

    code: int | None
    said: str
    at: float
    left: tuple[str, ...]
    in_tmp: tuple[str, ...]


class Job:
    """A running job.

    Args:
        environment: variables in addition to those of this process.
        place: where its output and temporary files go.
    """

    def __init__(
        self, command: Sequence[str], output: Path, place: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.output, self.tmp = list(command), output, place / "tmp"
        self.tmp.mkdir(parents=True, exist_ok=True)
        self._place, self._said = place, place / "said.txt"
        self._watched_before = set(self._watched())
        # What a shell runs in the background ignores Ctrl-C, and so would the jobs.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with open(self._said, "wb") as said:
                self.process = subprocess.Popen(
                    tied(self.command),
                    cwd=ROOT,
                    env={**os.environ, "TMPDIR": str(self.tmp), "CHAOS_JOB": str(place), **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        finally:
            signal.signal(signal.SIGINT, before)
        self.pid = self.process.pid

    def is_running(self) -> bool:
        """Whether the driver has not ended yet."""
        return self.process.poll() is None

    def processes(self) -> list[int]:
        """All of its processes that have not ended: their environment has its name."""
        return processes_with("CHAOS_JOB", self._place)

    def is_planned(self) -> bool:
        """Whether it is past planning and has begun to watch its workers."""
        return not self._watched_before.issuperset(self._watched())

    def _watched(self) -> list[Path]:
        return list(self.output.glob(".staging/workers-*"))  # a job that was killed leaves its own behind

    def workers(self) -> list[int]:
        """Its running worker processes, as the driver's watch knows them."""
        folders = (folder for folder in self._watched() if folder not in self._watched_before)
        told = {int(path.name) for folder in folders for path in folder.glob("*") if path.name.isdigit()}
        return sorted((told - {self.pid}) & set(self.processes()))

    def markers(self) -> int:
        """How many shards are finished."""
        return count_markers(self.output)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits until `condition` holds; False if the job or the time ended first."""
        end = time.monotonic() + seconds
        while self.is_running() and time.monotonic() < end:
            if condition():
                return True
            time.sleep(POLL_SECONDS)
        return False

    def signal(self, number: signal.Signals, pid: int | None = None) -> None:
        """Sends a signal to one process, or to the whole session."""
        try:
            if pid is None:
                os.killpg(self.pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has just ended: the fault came too late

    def end(self, within_s: float) -> Ended:
        """Waits for the driver to end, then for all its processes; whatever is left is killed."""
        names: dict[int, str] = {}
        try:
            code: int | None = self.process.wait(within_s)
            at = time.monotonic()
            while (names := _names(self.processes())) and time.monotonic() < at + GONE_SECONDS:
                time.sleep(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            code, at = None, time.monotonic()
        finally:
            self.kill()
        in_tmp = tuple(sorted(str(path.relative_to(self.tmp)) for path in self.tmp.rglob("*")))
        said = self._said.read_text(encoding="utf-8", errors="replace")
        return Ended(code, said, at, tuple(f"{pid} {name}" for pid, name in names.items()), in_tmp)

    def kill(self) -> None:
        """Kills whatever is left of it."""
        for pid in self.processes():
            self.signal(signal.SIGKILL, pid)
        self.process.kill()
        self.process.wait()


def count_markers(output: Path) -> int:
    """How many shards of the run in `output` are finished."""
    return sum(1 for _ in output.glob("shards/[0-9]*.json"))


def _names(pids: Sequence[int]) -> dict[int, str]:
    names = {}
    for pid in pids:
        try:
            names[pid] = (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
        except OSError:
            continue
    return names
