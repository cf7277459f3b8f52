"""What tests start ends with them; and the files that take longest, which come first, exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SLOW_FILES
from tests.processes import running, sessions, wait_until

ROOT = Path(__file__).parent.parent
needs_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the processes")
SLEEPS = "import threading; threading.Event().wait()"
# Starts a process that sleeps, says which, and sleeps itself.
STARTS = f"""
import subprocess, sys, threading
from tests.processes import tied
process = subprocess.Popen(tied([sys.executable, "-c", {SLEEPS!r}]), start_new_session=True)
print(process.pid, flush=True)
threading.Event().wait()
"""


@needs_linux
def test_running_process_and_its_own_end_with_the_body() -> None:
    forks = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPS!r}])"
    with pytest.raises(KeyError), running([sys.executable, "-c", forks]) as process:
        wait_until(lambda: 2 == sessions().count(process.pid), process)
        raise KeyError
    wait_until(lambda: process.pid not in sessions())


@needs_linux
def test_tied_process_ends_with_the_one_that_started_it_even_if_that_is_killed() -> None:
    command = [sys.executable, "-c", STARTS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as starter:
        assert starter.stdout
        session = int(starter.stdout.readline())
        wait_until(lambda: session in sessions(), starter)
        starter.kill()
    wait_until(lambda: session not in sessions())


def test_wait_for_what_a_process_has_to_do_ends_with_the_process() -> None:
    with (
        running([sys.executable, "-c", "raise SystemExit(3)"]) as process,
        pytest.raises(AssertionError, match="exit code 3"),
    ):
        wait_until(lambda: False, process)


def test_slow_files_exist() -> None:
    assert [] == [name for name in SLOW_FILES if not (ROOT / name).is_file()]
