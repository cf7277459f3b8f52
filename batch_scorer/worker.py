"""A worker process of a local run: Beam's own harness, whose log goes to the driver and not to the terminal too.

It ends with the driver: at once, and without a word, however that came to its end.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any

WATCH_SECONDS = 0.2


def main() -> None:
    """Serves the driver that started this process, until it says stop or is gone."""
    driver = os.getppid()
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    say, say_of_thread = sys.excepthook, threading.excepthook

    def unless_orphaned(*error: Any) -> None:
        # A driver that is gone shows first as broken connections, in one thread after the other.
        time.sleep(2 * WATCH_SECONDS)
        (say if len(error) == 3 else say_of_thread)(*error)

    sys.excepthook = threading.excepthook = unless_orphaned
    # A warning logged while Beam is imported would otherwise set the root logger up to print all that follows.
    logging.getLogger().addHandler(logging.NullHandler())
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
    # All is written and told. To take TensorFlow apart would take seconds, and the driver waits for the process to end.
    os._exit(0)


def _end_with(driver: int) -> None:
    while os.getppid() == driver:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
