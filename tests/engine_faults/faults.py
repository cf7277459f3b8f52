"""The faults: what each does to a cluster with a job on it, and how the job has to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.jobs import Job
from tests.engine_faults.grounds import Cluster, Store
from tests.processes import wait_until

TOLD = r"error: [\s\S]*to fix: [\s\S]*--resume"
SAME, OTHER, LOCAL = "the same cluster", "the other engine", "local processes"
CUT_SECONDS = 30.0  # longer than a store may take to answer

Strike = Callable[[Cluster, Job, Store], None]


def _executor_killed(cluster: Cluster, job: Job, store: Store) -> None:
    os.kill(cluster.executor(1), signal.SIGKILL)
    cluster.start()  # as whoever runs the cluster would; Spark starts another one itself


def _machine_lost(cluster: Cluster, job: Job, store: Store) -> None:
    name = "taskmanager-1" if cluster.engine == "flink" else "worker-1"
    for group in (cluster.pid(name), cluster.pid("worker-pool-1")):
        os.killpg(group, signal.SIGKILL)
    cluster.start()


def _python_killed(cluster: Cluster, job: Job, store: Store) -> None:
    os.kill(cluster.gate.waiting()[0], signal.SIGKILL)


def _pool_killed(cluster: Cluster, job: Job, store: Store) -> None:
    os.killpg(cluster.pid("worker-pool-1"), signal.SIGKILL)
    cluster.start()


def _network_lost(cluster: Cluster, job: Job, store: Store) -> None:
    store.cut(1, CUT_SECONDS)


def _python_slow(cluster: Cluster, job: Job, store: Store) -> None:
    slow, done = cluster.gate.waiting()[0], job.markers()
    os.kill(slow, signal.SIGSTOP)
    cluster.gate.open()
    wait_until(lambda: job.markers() > done + 4 or not job.is_running())  # by the other one
    os.kill(slow, signal.SIGCONT)


def _job_server_killed(cluster: Cluster, job: Job, store: Store) -> None:
    for pid in job.processes():
        if "-jar" in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            os.kill(pid, signal.SIGKILL)


def _interrupted(cluster: Cluster, job: Job, store: Store) -> None:
    job.signal(signal.SIGINT)


def _terminated(cluster: Cluster, job: Job, store: Store) -> None:
    job.signal(signal.SIGTERM, job.pid)


def _driver_killed(cluster: Cluster, job: Job, store: Store) -> None:
    job.signal(signal.SIGKILL)


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Args:
        ends: the exit code that the job must have, and what it must say then, as a regular expression.
        gives_up: the engine that may end the job instead, with a message.
        restarts: whether the engine does again what failed.
        resumed: by what, if it has to be: the same cluster, the other engine without one, or local processes.
        stops: whether somebody stops the job, so that no cluster may go on with it.
        stored: whether the output is in the store. Then it strikes once a shard is done: nobody waits at the gate.
    """

    name: str
    strike: Strike
    ends: tuple[int, str]
    gives_up: str | None = None
    restarts: bool = True
    resumed: str = SAME
    stops: bool = False
    stored: bool = False


FAULTS = (
    Fault("TaskManager or executor killed", _executor_killed, (0, "")),
    Fault("machine lost", _machine_lost, (0, "")),
    Fault("Python worker killed", _python_killed, (0, "")),
    # Spark tries a task four times, at once: if the pool is not back by then, the job fails.
    Fault("worker pool killed", _pool_killed, (0, ""), gives_up="spark"),
    Fault("Python worker stops for a while", _python_slow, (0, "")),
    Fault("network to the store lost for a while", _network_lost, (0, ""), stored=True),
    Fault("job server killed", _job_server_killed, (1, TOLD)),
    Fault("Ctrl-C", _interrupted, (1, r"error: interrupted[\s\S]*--resume"), stops=True),
    Fault("SIGTERM", _terminated, (1, r"error: interrupted[\s\S]*--resume"), resumed=LOCAL, stops=True),
    Fault("command killed", _driver_killed, (-signal.SIGKILL, "")),
    Fault("TaskManager or executor killed, no restarts", _executor_killed, (1, TOLD), restarts=False),
    Fault("Python worker killed, no restarts", _python_killed, (1, TOLD), restarts=False, resumed=OTHER),
)
