"""Runs a command and measures its duration and the peak memory of every process that it starts.

Linux only: memory is `VmHWM` in /proc, the largest resident set of a process so far.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_scorer.errors import JobError

PROC = Path("/proc")
EVERY_SECONDS = 0.2
DRIVER, WORKER = "driver", "worker"
# By a piece of its command line: the first that fits.
_NAMES = {
    "batch_scorer.runners.worker": WORKER,
    "SdkHarness(": WORKER,  # as Beam starts it for another runner
    "deploy/worker_pool.py": "worker pool",
    "StandaloneSessionClusterEntrypoint": "JobManager",
    "TaskManagerRunner": "TaskManager",
    "deploy.master.Master": "master",
    "deploy.worker.Worker": "Spark worker",
    "CoarseGrainedExecutorBackend": "executor",
    " -jar ": "job server",
}
Process = tuple[int, int]  # pid and start time, since pids are reused


@dataclass(frozen=True)
class Peak:
    """The peak resident memory of a process. Memory that processes share counts for each of them."""

    name: str
    mebibytes: float


@dataclass(frozen=True)
class Ran:
    """A command that has run.

    Args:
        seconds: from its start to its end.
        peaks: of each process, in the order of their discovery; the first is the command's own, named `driver`.
    """

    seconds: float
    peaks: tuple[Peak, ...]

    @property
    def driver_mib(self) -> float:
        """Peak of the command's own process."""
        return self.named(DRIVER)[0]

    def named(self, name: str) -> list[float]:
        """Peaks of the processes of this name, in MiB."""
        return [peak.mebibytes for peak in self.peaks if peak.name == name]

    def others(self) -> list[float]:
        """Peaks of the processes that are neither driver nor worker, in MiB."""
        return [peak.mebibytes for peak in self.peaks if peak.name not in (DRIVER, WORKER)]


class Watch:
    """Polls a process, others besides, and the descendants of all, and keeps the latest peak of each.

    `VmHWM` only grows, unless a process executes another program. So the latest value is the peak, except for growth in
    the last fifth of a second before the process ends.
    """

    def __init__(self, pid: int, besides: Sequence[int] = ()) -> None:
        self._root, self._besides = pid, besides
        self._seen: dict[Process, Peak] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> tuple[Peak, ...]:
        """Stops and returns the peaks; none if the process had ended before the first poll."""
        self._ended.set()
        self._thread.join()
        return tuple(self._seen.values())

    def _run(self) -> None:
        while True:
            self._look()
            if self._ended.wait(EVERY_SECONDS):
                return

    def _look(self) -> None:
        for process in _descendants((self._root, *self._besides), self._seen):
            if peak := _peak(process[0], self._root):
                self._seen[process] = peak


def run_watched(
    command: Sequence[str], directory: Path, environment: Mapping[str, str], besides: Sequence[int] = ()
) -> Ran:
    """Runs a command to its end in `directory`.

    Args:
        besides: processes that work for it, such as a cluster's.

    Raises:
        JobError: its exit code is not 0.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        with subprocess.Popen(
            command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process:
            watch = Watch(process.pid, besides)
            try:
                code = process.wait()
                seconds = time.perf_counter() - start
            except BaseException:
                process.terminate()  # otherwise Ctrl-C would wait for its end
                raise
            finally:
                peaks = watch.end()
        if code:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
            raise JobError(
                "a command of the benchmark failed",
                where=" ".join(command),
                expected="exit code 0",
                got=f"{code}: " + " | ".join(lines[-8:]),
            )
    return Ran(seconds, peaks)


def _descendants(roots: Sequence[int], known: Mapping[Process, Peak]) -> Iterator[Process]:
    """Yields `roots`, their descendants, and the known processes that still run: orphans get a different parent."""
    started: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # The fields after the name, which may contain anything: state, parent, ..., and the start time as the 20th.
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue  # it has ended in the meantime
        pid = int(entry.name)
        started[pid] = int(fields[19])
        children.setdefault(int(fields[1]), []).append(pid)
    orphans = [pid for pid, start in known if started.get(pid) == start]
    pending, visited = [*roots, *orphans], set()
    while pending:
        pid = pending.pop(0)
        if pid in started and pid not in visited:
            visited.add(pid)
            pending += children.get(pid, [])
            yield pid, started[pid]


def _peak(pid: int, root: int) -> Peak | None:
    """The name and peak of process `pid`, or None if it has ended."""
    try:
        status = (PROC / str(pid) / "status").read_text()
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    kibibytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    if not kibibytes:  # a zombie: it has ended, but its parent has not waited for it yet
        return None
    return Peak(DRIVER if pid == root else _name(words), int(kibibytes[0]) / 1024)


def _name(words: Sequence[str]) -> str:
    """What the process with this command line is."""
    line, program = " ".join(words), Path(words[0]).name
    given = "Prism" if program.startswith("prism") else program  # which has its version in its name
    return next((name for piece, name in _NAMES.items() if piece in line), given)
