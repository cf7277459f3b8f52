"""A process of our own beside the caller's: TensorFlow and Beam run there, so that nothing of the caller's changes.

Both ends: `Child` is the caller's, `caller` is the child's. They exchange pickled objects over a socket pair. The child
ends with its caller, however the caller ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.connection import Connection, Pipe
from typing import Any

WATCH_SECONDS = 0.2
GONE_SECONDS = 10.0  # from the end of the connection to that of the process
STOP_SECONDS = 30.0  # for a job to end its workers; then it is killed, and they end with it


class Child:
    """A child process, as its caller sees it.

    Args:
        module: the one whose `main` it runs.
    """

    def __init__(self, module: str) -> None:
        ours, theirs = Pipe()
        with theirs:
            self._connection = ours
            # Not `-m`: the classes of a module that is run so cannot be sent to another process.
            code = f"from {module} import main; main()"
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, "PYTHONPATH": _import_path()},
                start_new_session=True,  # Ctrl-C reaches the caller alone, which decides what becomes of the child
            )
        self._caller = os.getpid()

    @property
    def is_ours(self) -> bool:
        """Whether this process started it; a fork of the one that did must not talk to it."""
        return self._caller == os.getpid()

    def send(self, message: object) -> None:
        """Sends an object to the child.

        Raises:
            OSError: it is gone.
        """
        self._connection.send(message)

    def receive(self) -> Any:
        """Waits for the next object from the child.

        Raises:
            EOFError, OSError: it is gone.
        """
        return self._connection.recv()

    def stop(self, patience_s: float = STOP_SECONDS) -> None:
        """Ends the child: politely, and after `patience_s` by force."""
        self._connection.close()
        if not self.is_ours:
            return
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        finally:
            self._process.kill()
            self._process.wait()

    def how_it_ended(self) -> str:
        """What is known of a child that no longer answers."""
        try:
            code = self._process.wait(GONE_SECONDS)
        except subprocess.TimeoutExpired:
            return "a process that does not answer"
        if code >= 0:
            return f"a process that ended with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"a process that was ended by signal {name}"


def _import_path() -> str:
    """Where this process finds modules, for `PYTHONPATH`: a notebook may have added a checkout."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def caller() -> Connection[Any, Any]:
    """In the child: the connection to the caller. From now on, the child ends as soon as the caller is gone."""
    fd, pid = map(int, sys.argv[1:])
    threading.Thread(target=_live_with, args=(pid,), daemon=True).start()
    return Connection(fd)


def _live_with(pid: int) -> None:
    while os.getppid() == pid:
        time.sleep(WATCH_SECONDS)
    os._exit(1)
