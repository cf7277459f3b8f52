"""The trials of `tests.engine_faults` themselves: what they take for a fault of ours, and their table."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.jobs import Ended
from tests.engine_faults.__main__ import Result, table, wrong
from tests.engine_faults.faults import FAULTS, LOCAL, OTHER, SAME
from tests.engine_faults.grounds import Cluster

BY_NAME = {fault.name: fault for fault in FAULTS}
TOLD = "error: the job failed\n  got:      lost\n  to fix:   run the same command with --resume\n"
RESULT = Result("flink", "Ctrl-C", 1, "flink", 0, 0, ())


def ended(code: int | None, said: str = "", left: tuple[str, ...] = ()) -> Ended:
    return Ended(code, said, 0.0, left, ())


@pytest.mark.parametrize(
    ("fault", "how", "problems"),
    [
        ("Python worker killed", ended(0, "1,000 reviews scored"), 0),
        ("Python worker killed", ended(1, TOLD), 1),
        ("job server killed", ended(1, TOLD), 0),
        ("job server killed", ended(1, "Traceback (most recent call last):\n" + TOLD), 1),
        ("job server killed", ended(1, "error: the job failed\n"), 1),
        ("job server killed", ended(None, TOLD), 1),
        ("Ctrl-C", ended(1, TOLD), 1),
        ("Ctrl-C", ended(1, TOLD.replace("the job failed", "interrupted")), 0),
        ("command killed", ended(-signal.SIGKILL, left=("17 java",)), 1),
    ],
)
def test_end_of_a_job_is_judged_by_what_the_fault_allows(fault: str, how: Ended, problems: int) -> None:
    assert problems == len(wrong(BY_NAME[fault], "flink", how))


def test_spark_may_give_up_without_a_pool_if_the_job_says_so_and_flink_may_not() -> None:
    fault = BY_NAME["worker pool killed"]
    assert [] == wrong(fault, "spark", ended(1, TOLD)) == wrong(fault, "spark", ended(0))
    assert 1 == len(wrong(fault, "spark", ended(1, "error: the job failed\n")))
    assert 1 == len(wrong(fault, "flink", ended(1, TOLD)))


def test_faults_are_of_enough_kinds_and_each_has_its_name() -> None:
    assert len(BY_NAME) == len(FAULTS)
    assert 6 <= len({fault.strike for fault in FAULTS})
    assert {True, False} == {fault.restarts for fault in FAULTS}
    assert {SAME, OTHER, LOCAL} == {fault.resumed for fault in FAULTS}


def test_table_counts_the_ends_of_each_fault_and_what_is_wrong_in_the_end() -> None:
    lost = dataclasses.replace(RESULT, fault="SIGTERM", code=0, lost=3, doubled=1, problems=("3 rows are lost",))
    lines = table([RESULT, RESULT, lost, dataclasses.replace(RESULT, engine="spark", code=-9)]).splitlines()[2:]
    assert [
        "| Flink | Ctrl-C | 2 | 0 | 2 | 0 | 2 | 0 | 0 |",
        "| Flink | SIGTERM | 1 | 1 | 0 | 0 | 0 | 3 | 1 |",
        "| Spark | Ctrl-C | 1 | 0 | 0 | 1 | 1 | 0 | 0 |",
        "| all | 2 kinds | 4 | 1 | 2 | 1 | 3 | 3 | 1 |",
    ] == lines


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_executor_of_a_spark_worker_is_found_among_its_processes(tmp_path: Path) -> None:
    cluster = Cluster("spark", True, tmp_path)
    (tmp_path / "logs").mkdir()
    # The launcher of a worker leads the group in which its executor is.
    line, env = 'exec -a "$NAME" sleep 1000 & echo $!; wait', {**os.environ, "NAME": "CoarseGrainedExecutorBackend"}
    with subprocess.Popen(
        ["bash", "-c", line], stdout=subprocess.PIPE, text=True, start_new_session=True, env=env
    ) as worker:
        try:
            assert worker.stdout
            executor = int(worker.stdout.readline())
            (tmp_path / "logs/worker-2.pid").write_text(f"{worker.pid}\n")
            while "ExecutorBackend" not in Path(f"/proc/{executor}/cmdline").read_text():
                pass  # it becomes that only now
            assert executor == cluster.executor(2)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
