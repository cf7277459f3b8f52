"""A gate: processes of a job wait at it until the test has done to them what it wants, however long that takes.

    gate = Gate(tmp_path / "gate", "scoring")
    job = Popen([*COMMAND, "score", ...], env={**os.environ, **gate.environment})
    # wait until len(gate.waiting()) is the number of processes that score
    os.kill(job.pid, signal.SIGTERM)
    gate.open()  # if the processes that are left should continue

No test races against a job, and no test has to be quick. `tests/chaos/inside` is the processes' side of it.
As a program, `python -m tests.chaos.gate score ...` is the command itself, except that the driver does not watch its
workers at first: on a busy machine it might give up on one before the test has done anything to it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from tests.processes import processes_with

COMMAND = [sys.executable, "-m", "tests.chaos.gate"]
INSIDE, ROOT = Path(__file__).parent / "inside", Path(__file__).parents[2]

PLAIN = {"CHAOS_PLAIN": "1"}  # in a job's environment: it scores without TensorFlow, see `tests.plain_engine`

WATCHED = "watched"


class Gate:
    """A gate, closed at first.

    Args:
        directory: for this gate alone; it is created.
        at: where processes wait: `scoring`, each before it publishes its second shard; or `loading`, each worker as it
            begins to load the model.
    """

    def __init__(self, directory: Path, at: Literal["scoring", "loading"]) -> None:
        directory.mkdir(parents=True)
        self._directory, self._at = directory, at

    @property
    def environment(self) -> dict[str, str]:
        """What a job needs in its environment to have the gate."""
        return {
            "PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}",
            "CHAOS_GATE": str(self._directory),
            "CHAOS_GATE_AT": self._at,
        }

    def waiting(self) -> list[int]:
        """The processes that are waiting at the gate."""
        return sorted(int(path.name) for path in self._directory.iterdir() if path.name.isdigit())

    def processes(self) -> list[int]:
        """All processes that have this gate and have not ended."""
        return processes_with("CHAOS_GATE", self._directory)

    def wake_watch(self) -> None:
        """Has the driver watch its workers from now on."""
        (self._directory / WATCHED).touch()

    def open(self) -> None:
        """Lets everyone through from now on, watched."""
        self.wake_watch()
        (self._directory / "open").touch()


def main() -> None:
    """Runs the command line of `batch-scorer`, its watch asleep at first."""
    from batch_scorer.cli.main import main as command
    from batch_scorer.runners.heartbeat import Watch

    check, watched = Watch.check, Path(os.environ["CHAOS_GATE"], WATCHED)

    def checks_once_awake(watch: Watch) -> None:
        if watched.exists():
            check(watch)

    Watch.check = checks_once_awake  # type: ignore[method-assign]
    command()


if __name__ == "__main__":
    main()
