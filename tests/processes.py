"""Processes that tests start, and waiting for them.

A test waits for what it needs to have happened, and never for some seconds to pass; `GUARD_S` only ends a test that
would else hang. What a test starts ends with it, however it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

GUARD_S = 1_200.0  # nothing takes as long, however busy the machine is
POLL_S = 0.02
# Linux kills the process when the thread that started it is gone, which SIGKILL for the tests would else not see to.
_TIED = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("whoever started this is gone already")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def tied(command: Sequence[str | Path]) -> list[str]:
    """The command, as one that ends with the process that starts it."""
    return [sys.executable, "-S", "-c", _TIED, str(os.getpid()), *map(str, command)]


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process in a session of its own, of which nothing is left when the body ends, or the tests do.

    Args:
        options: of `subprocess.Popen`.
    """
    with subprocess.Popen(tied(command), start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object], alive: subprocess.Popen[Any] | None = None) -> None:
    """Waits until a condition holds.

    Args:
        alive: a process that has to be running until then.

    Raises:
        AssertionError: the process ended before, or the condition never came to hold.
    """
    end = time.monotonic() + GUARD_S
    while not condition():
        assert alive is None or alive.poll() is None, f"it ended before, with exit code {alive.returncode}"
        assert time.monotonic() < end, f"still waiting after {GUARD_S:g} s"
        time.sleep(POLL_S)


def processes_with(name: str, value: object) -> list[int]:
    """The processes that have not ended and whose environment has this variable, whatever session they are in."""
    mark = f"{name}={value}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes() + b"\0":
                found.append(int(entry.parent.name))
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return found


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
