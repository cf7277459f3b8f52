"""A worker process of a local run: Beam's own harness, which logs to the driver and not to the terminal as well.

It shows the driver that it runs, and ends with it: at once, and without a word, however that came to its end.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import shlex
import signal
import sys
import threading
import time
import traceback

from batch_scorer.runners.heartbeat import last_words, temporary, worker_file
from batch_scorer.runners.lean import forgo_pandas, import_beam

WATCH_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def command(directory: str, lean: bool) -> str:
    """The shell command that starts a worker of this process, watched in `directory`.

    Args:
        lean: whether it imports Beam without what it is able to do without (`runners.lean`).
    """
    words = (sys.executable, "-m", "batch_scorer.runners.worker", str(os.getpid()), directory, *(["lean"] * lean))
    python = f"exec {shlex.join(words)}"
    # Ctrl-C and SIGHUP reach every process of the terminal: the driver decides, and the workers end with it. The file
    # exists before Python starts, so that even a worker that never gets that far is missed.
    place = f"export TMPDIR={shlex.quote(temporary(directory))}"
    return f"trap '' INT HUP; {place}; : > {shlex.quote(directory)}/$$; {python}"


def main(driver: int, directory: str, lean: bool) -> None:
    """Serves the process `driver`, which started this one and watches it in `directory`, until it stops or is gone."""
    _die_with_parent()
    threading.Thread(target=_live_with, args=(driver, worker_file(directory)), daemon=True).start()
    # Otherwise a warning logged while Beam is imported would make the root logger print everything that follows.
    logging.getLogger().addHandler(logging.NullHandler())
    # Beam prints the traceback of a step that fails, and its threads print theirs once the driver is gone. The driver
    # knows about both.
    sys.stderr = _Log()
    try:
        if lean:
            forgo_pandas()
            import_beam()
        from apache_beam.runners.worker import sdk_worker_main

        sdk_worker_main.main(sys.argv[:1])
    except BaseException:
        time.sleep(2 * WATCH_SECONDS)  # a worker whose driver is gone ends here
        with contextlib.suppress(OSError), open(last_words(worker_file(directory)), "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        os._exit(1)
    with contextlib.suppress(OSError):
        os.remove(worker_file(directory))  # otherwise the driver would miss this worker
    # Everything is written and reported. Taking TensorFlow apart would take seconds, and the driver would wait for it.
    os._exit(0)


class _Log(io.TextIOBase):
    """Sends what is printed to the log, which goes to the driver."""

    def write(self, text: str) -> int:
        if text.strip():
            logging.getLogger(__name__).error("%s", text.rstrip())
        return len(text)


def _die_with_parent() -> None:
    """Asks Linux to kill this process when its parent dies, since one that is stopped or stuck cannot end itself."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _live_with(driver: int, sign_of_life: str) -> None:
    while os.getppid() == driver:
        with contextlib.suppress(OSError):
            os.utime(sign_of_life)
        with contextlib.suppress(OSError):  # raised where somebody tampers with the process's clocks
            time.sleep(WATCH_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], "lean" in sys.argv[3:])
