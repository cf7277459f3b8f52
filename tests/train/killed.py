"""Trainings that die between a line of their log and the checkpoint after it.

`python -m tests.train.killed STAGE EPOCH WORDS...` is `python -m train WORDS...` that dies of SIGKILL there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from tests.train.traced import leave_graphs_as_traced
from train.run import Run


def noting(stage: str, epoch: int, die: Callable[[], object]) -> Callable[..., None]:
    """A `Run.note` that dies after the second line of an epoch, which is in its middle."""
    note = Run.note

    def note_and_die(run: Run, *line: Any) -> None:
        note(run, *line)
        if 2 == sum((noted["stage"], noted["epoch"]) == (stage, epoch) for noted in run.lines):
            die()

    return note_and_die


if __name__ == "__main__":
    from train.cli import main

    leave_graphs_as_traced()  # as in the process that resumes it: others might give other bits
    Run.note = noting(sys.argv[1], int(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL))  # type: ignore[method-assign]
    main(sys.argv[3:])
