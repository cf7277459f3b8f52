"""Heartbeat: local workers say how far they are, and the driver sees which of them died or stopped responding.

Each worker has a file, named after its process, in a private directory of the driver's. It holds the shard in hand and
the steps taken so far, and its date says that the process runs at all. Only changes count: no clock is compared with
another, so that one that jumps does no harm.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from batch_scorer.errors import WorkerError
from batch_scorer.runners.private_folder import PrivateFolder

CHECK_SECONDS = 0.5
TELL_SECONDS = 0.5
LOADING_SECONDS = 180.0  # at least, to load TensorFlow and the model: 5 on an idle machine, a minute on a crowded one
# At least, without showing that it runs: a library that is loaded from a cold disk holds the interpreter for 3 seconds.
SILENT_SECONDS = 45.0
_log = logging.getLogger(__name__)

IDLE, LOADING = -1, -2  # in place of a shard's number


class Pulse:
    """What a worker says: to be called at each step forward.

    Args:
        directory: of the driver's `Watch`; None where the runner watches its workers itself.
    """

    def __init__(self, directory: str | None) -> None:
        self._path = worker_file(directory) if directory else None
        self._steps, self._doing, self._told = 0, IDLE, 0.0
        if self._path:
            with contextlib.suppress(OSError):
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))

    def __call__(self) -> None:
        self._steps += 1
        if time.monotonic() - self._told >= TELL_SECONDS:
            self._tell()

    @contextmanager
    def doing(self, shard: int) -> Iterator[None]:
        """Says that the body works on this shard (or is `LOADING`), and is expected to make progress."""
        self._doing = shard
        self._steps += 1
        self._tell()
        try:
            yield
        finally:
            self._doing = IDLE
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        if self._path is None:
            return
        # In place and always of the same length: a full disk has room for it, and no reader sees half of it. Where it
        # cannot be written at all, neither can the output, and the job says so.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, f"{self._doing} {self._steps}".ljust(40).encode(), 0)
            finally:
                os.close(descriptor)


def temporary(directory: str) -> str:
    """Where temporary files go while a `Watch` exists: those of killed workers are deleted with its directory."""
    return os.path.join(directory, "tmp")


def worker_file(directory: str) -> str:
    """The file of this process in the directory of a `Watch`."""
    return os.path.join(directory, str(os.getpid()))


def last_words(worker: str) -> str:
    """Where a worker leaves the traceback of what ended it."""
    return worker + ".said"


def doing(told: bytes) -> int:
    """What a worker's file says: its shard, `IDLE` or `LOADING`; `LOADING` too if it has said nothing yet."""
    return int(told.split()[0]) if told.strip() else LOADING


@dataclass
class _Worker:
    """A worker as it was last seen."""

    told: bytes = b""
    dated: int = 0
    still_s: float = 0.0  # since it reported a step forward
    silent_s: float = 0.0  # since its process showed that it runs


class Watch:
    """The driver's eye on its workers; as a context manager, it leaves none of them behind.

    Args:
        base: where to make the directory, None for the system's place for temporary files.
        timeout_s: how long a worker may take for one step.
        name_of: the name of a shard, by its number.
        awaits: how many workers are to come, each a process of its own.
    """

    def __init__(self, base: str | None, timeout_s: float, name_of: Callable[[int], str], awaits: int = 0) -> None:
        self._folder = PrivateFolder(base)
        self.directory = self._folder.path
        os.mkdir(temporary(self.directory))
        self._timeout_s, self._name_of = timeout_s, name_of
        self._awaits, self._awaited_s = awaits, 0.0
        self._workers: dict[int, _Worker] = {}
        self._codes: list[int] = []
        self._checked = time.monotonic()

    def __enter__(self) -> Watch:
        self._hook, self._place_before = threading.excepthook, tempfile.tempdir
        threading.excepthook = self._hear
        tempfile.tempdir = temporary(self.directory)  # Beam leaves files behind where a run ends badly
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind:
            self._kill_workers()
        else:
            threading.excepthook = self._hook
        tempfile.tempdir = self._place_before
        self._folder.delete()

    def _hear(self, told: threading.ExceptHookArgs) -> None:
        """Remembers the exit codes that Beam's threads would print, with tracebacks, as they lose their workers."""
        _log.error("in thread %s: %r", told.thread and told.thread.name, told.exc_value)
        _, _, code = str(told.exc_value).rpartition("Worker subprocess exited with return code ")
        if code.lstrip("-").isdigit():
            self._codes.append(int(code))

    def check(self) -> None:
        """Looks at each worker; to be called every `CHECK_SECONDS`.

        Raises:
            WorkerError: one died or stopped responding, or none started.
        """
        now = time.monotonic()
        # The driver itself may have been stopped, by Ctrl-Z for instance, and its workers with it.
        passed, self._checked = min(now - self._checked, 2 * CHECK_SECONDS), now
        known = len(self._workers)
        for pid in self._pids():
            path = os.path.join(self.directory, str(pid))
            worker = self._workers.setdefault(pid, _Worker())
            alive = _is_alive(pid)
            try:
                with open(path, "rb") as file:
                    told, dated = file.read(), os.fstat(file.fileno()).st_mtime_ns
            except FileNotFoundError:
                continue  # it has just ended normally
            worker.still_s = worker.still_s + passed if told == worker.told else 0.0
            worker.silent_s = worker.silent_s + passed if dated == worker.dated else 0.0
            worker.told, worker.dated = told, dated
            if not alive:
                raise self._died(pid, doing(told))
            step_s, silence_s = self._limits_s(doing(told))
            if worker.still_s > step_s and doing(told) != IDLE:
                raise self._hangs(pid, doing(told), step_s)
            if worker.silent_s > silence_s and pid != os.getpid():
                raise self._hangs(pid, doing(told), silence_s)
        if len(self._workers) < self._awaits:
            self._awaited_s = self._awaited_s + passed if len(self._workers) == known else 0.0
            # Beam first prepares the job, and then starts all of them.
            preparing_s, starting_s = self._limits_s(LOADING)
            if self._awaited_s > (starting_s if self._workers else preparing_s):
                raise self._missing()

    def _limits_s(self, at: int) -> tuple[float, float]:
        """How long a worker at this may take for a step forward, and how long it may not show that it runs."""
        if at == LOADING:
            return max(self._timeout_s, LOADING_SECONDS), max(self._timeout_s, SILENT_SECONDS)
        return self._timeout_s, self._timeout_s

    def _pids(self) -> list[int]:
        with contextlib.suppress(OSError):
            return sorted(int(name) for name in os.listdir(self.directory) if name.isdigit())
        return []

    def _died(self, pid: int, at: int) -> WorkerError:
        code = self._codes[-1] if self._codes else 0
        how = f"exited with code {code}" if code > 0 else "was killed"
        if code < 0:
            how += f" by {signal.Signals(-code).name}"
        if code in (0, -signal.SIGKILL, -signal.SIGABRT):
            how += ", perhaps because memory ran out: fewer --workers need less"
        with contextlib.suppress(OSError), open(last_words(os.path.join(self.directory, str(pid))), "rb") as file:
            said = file.read().decode("utf-8", "replace").rstrip()
            _log.error("process %d: %s", pid, said)
            how += f": {said.splitlines()[-1]:.300}"
        return WorkerError("a worker died", where=self._place(at), got=f"process {pid} {how}")

    def _hangs(self, pid: int, at: int, limit_s: float) -> WorkerError:
        return WorkerError(
            "a worker stopped responding",
            where=self._place(at),
            expected=f"a step forward within {limit_s:g} s (--worker-timeout)",
            got=f"no step from process {pid}",
        )

    def _missing(self) -> WorkerError:
        started = len(self._workers)
        what = "a worker did not start" if started else "no worker started"
        return WorkerError(what, where="starting the workers", expected=f"{self._awaits:,}", got=f"{started:,}")

    def _place(self, at: int) -> str:
        if at == LOADING:
            return "loading the model"
        return "between two shards" if at == IDLE else self._name_of(at)

    def _kill_workers(self) -> None:
        """Kills the remaining workers, even those that are stuck or stopped, and waits until they are gone."""
        left = [pid for pid in self._pids() if pid != os.getpid()]
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 5
        while any(_is_alive(pid) for pid in left) and time.monotonic() < end:
            time.sleep(0.01)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
