"""A worker process of a local run: Beam's own harness, whose log goes to the driver and not to the terminal too."""

from __future__ import annotations

import logging
import sys


def main() -> None:
    """Serves the driver that started this process, until it says stop."""
    # A warning logged while Beam is imported would otherwise set the root logger up to print all that follows.
    logging.getLogger().addHandler(logging.NullHandler())
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
