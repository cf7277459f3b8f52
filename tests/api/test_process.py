"""A child process: it has this one's modules, says how it ended, and never outlives who started it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from batch_scorer.api.process import Child
from tests.processes import running, wait_until

ECHOES = """
import os, sys, time
from batch_scorer.api.process import caller
def main():
    connection = caller()
    connection.send((os.getpid(), sys.path, os.getpgid(0)))
    try:
        while True:
            connection.send(connection.recv())
    except EOFError:
        pass
"""
STARTS = """
import sys, time
from batch_scorer.api.process import Child
child = Child("echoing")
print(child.receive()[0], flush=True)
time.sleep(3600)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that only this process knows where to find, as a notebook may."""
    (tmp_path / "echoing.py").write_text(ECHOES)
    monkeypatch.syspath_prepend(tmp_path)
    return "echoing"


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_child_finds_the_same_modules_and_is_no_target_of_ctrl_c(module: str, tmp_path: Path) -> None:
    child = Child(module)
    pid, path, group = child.receive()
    assert str(tmp_path) in path
    assert pid == group != os.getpgid(0)
    child.send({"any": "object"})
    assert {"any": "object"} == child.receive()
    child.stop()


def test_child_that_was_killed_says_so(module: str) -> None:
    child = Child(module)
    pid, *_ = child.receive()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises((EOFError, OSError)):
        child.receive()
    assert "a process that was ended by signal SIGKILL" == child.how_it_ended()
    child.stop()


def test_child_that_ends_by_itself_says_so(tmp_path: Path) -> None:
    child = Child("batch_scorer.no_such_module")
    with pytest.raises((EOFError, OSError)):
        child.receive()
    assert "a process that ended with exit code 1" == child.how_it_ended()
    child.stop()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the child")
def test_child_does_not_outlive_a_caller_that_is_killed(module: str, tmp_path: Path) -> None:
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", STARTS]
    with running(command, stdout=PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        fork_holding_the_pipe = is_alive(pid)
        parent.kill()
        parent.wait()
    assert fork_holding_the_pipe
    wait_until(lambda: not is_alive(pid))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see the child")
def test_child_that_does_not_heed_is_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    (tmp_path / "deaf.py").write_text(
        ECHOES.replace("connection = caller()", f"{deaf}; connection = caller()") + "    time.sleep(600)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    child = Child("deaf")
    pid, *_ = child.receive()
    child.stop(0.1)
    assert not is_alive(pid)
