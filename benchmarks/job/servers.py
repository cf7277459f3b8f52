"""Servers that a benchmark starts in processes of their own: free ports for them, and their start."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from batch_scorer.errors import JobError

START_SECONDS = 300.0  # only a guard, for a busy machine


def free_ports(count: int = 1) -> int:
    """The first of so many free ports of this machine that follow one another."""
    while True:
        with socket.socket() as first:
            first.bind(("localhost", 0))
            port = int(first.getsockname()[1])
            if all(map(_is_free, range(port + 1, port + count))):
                return port


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("localhost", port))
        except OSError:
            return False
        return True


def await_server(port: int, process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Returns once the process accepts connections.

    Raises:
        JobError: it has ended instead; with the last lines of its log.
    """
    end = time.monotonic() + START_SECONDS
    while True:
        ended = process.poll() is not None
        try:
            return socket.create_connection(("localhost", port), timeout=1).close()
        except OSError as error:
            if ended or time.monotonic() > end:
                lines = log.read_text(errors="replace").splitlines()[-8:]
                raise JobError(
                    f"the {name} does not start",
                    expected=f"a connection within {START_SECONDS:g} s",
                    got=" | ".join(lines) or str(error),
                ) from error
        time.sleep(0.1)
