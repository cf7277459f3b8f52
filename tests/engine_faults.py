"""What happens to a job on a real cluster of Flink or Spark when something dies: `python -m tests.engine_faults`.

Each trial starts a job, waits until all Python workers are in the middle of their shards, lets a fault strike, and
judges how the job ends, and what is there in the end: every row, once, byte for byte as a local job wrote it. A job
that ended is resumed first, on the same engine or by local processes. The clusters are those that `deploy/flink` and
`deploy/spark` start.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import click

from benchmarks.engines.ways import PORTABLE, ROOT, SCORE, submitting
from benchmarks.job.servers import free_ports
from tests.chaos import corpora
from tests.chaos.gate import INSIDE, PLAIN, WATCHED, Gate
from tests.chaos.jobs import Ended, Job
from tests.chaos.verdict import Content, compare, content
from tests.processes import GUARD_S, wait_until

RECORDS, SHARD_ROWS = 1_000, 25
END_SECONDS = 600.0  # after a fault: an engine may wait minutes for what is gone
TOLD = r"error: [\s\S]*to fix: [\s\S]*--resume"
HEADINGS = ("engine", "fault", "times", "went on, exit 0", "exit 1, with a message", "killed",
            "byte-identical in the end", "rows lost", "rows duplicated")  # fmt: skip


class Cluster:
    """A cluster of two, whose Python workers score without TensorFlow and wait at a gate.

    Args:
        engine: flink or spark.
        restarts: whether it does again what failed.
    """

    def __init__(self, engine: str, restarts: bool, folder: Path) -> None:
        self.engine, self.restarts, self.folder = engine, restarts, folder
        self.port, self.pool = free_ports(2), free_ports()
        self.gate = Gate(folder / "gate", "scoring")
        given = {"PORT": str(self.port), "POOL_PORT": str(self.pool), "RESTARTS": "3" if restarts else "0"}
        self._environment = {**os.environ, **self.gate.environment, **PLAIN, **given}
        self._script = str(ROOT / f"deploy/{engine}/cluster")

    def start(self) -> None:
        """Starts it, or what of it has died."""
        words = [self._script, "start", str(self.folder / "logs")]
        for last in (False, False, True):  # a process of it may give up on a busy machine, since it waits ten seconds
            out = subprocess.DEVNULL
            if not subprocess.run(words, check=last, env=self._environment, stdin=out, stdout=out).returncode:
                break

    def stop(self) -> None:
        """Stops it."""
        subprocess.run([self._script, "stop", str(self.folder / "logs")], check=False)

    def pid(self, name: str) -> int:
        """The process, and process group, that the cluster's script knows by this name."""
        return int((self.folder / f"logs/{name}.pid").read_text())

    def executor(self, number: int) -> int:
        """The process that gives shards to Python workers: a TaskManager, or an executor of a Spark worker."""
        if self.engine == "flink":
            return self.pid(f"taskmanager-{number}")
        listed = subprocess.run(["ps", "-A", "-o", "pgid=,pid=,args="], check=True, capture_output=True, text=True)
        lines = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
        group = str(self.pid(f"worker-{number}"))
        return next(int(pid) for found, pid, args in lines if found == group and "ExecutorBackend" in args)

    def shut(self) -> None:
        """Closes the gate for the next job."""
        for path in (self.folder / "gate").iterdir():
            path.unlink()
        (self.folder / "gate" / WATCHED).touch()

    def states(self) -> list[str]:
        """How the jobs on Flink ended, the last one last, once all have; Spark's end with their driver."""
        if self.engine == "spark":
            return []
        wait_until(lambda: all(job["end-time"] > 0 for job in self._jobs()))
        return [job["state"] for job in sorted(self._jobs(), key=lambda job: int(job["start-time"]))]

    def _jobs(self) -> list[dict[str, Any]]:
        with urlopen(f"http://localhost:{self.port}/jobs/overview") as page:
            return list(json.load(page)["jobs"])

    def command(self, words: Sequence[str]) -> list[str]:
        """The command of a job on it."""
        off = self.engine == "spark" and not self.restarts
        more = ("--", "--job_server_jvm_property=-Dspark.task.maxFailures=1") if off else ()
        return [*PORTABLE, self.engine, *submitting(self.port, self.pool), *words, *more]


Strike = Callable[[Cluster, Job], None]


def _executor_killed(cluster: Cluster, job: Job) -> None:
    os.kill(cluster.executor(1), signal.SIGKILL)
    cluster.start()  # as whoever runs the cluster would; Spark starts another one itself


def _machine_lost(cluster: Cluster, job: Job) -> None:
    name = "taskmanager-1" if cluster.engine == "flink" else "worker-1"
    for group in (cluster.pid(name), cluster.pid("worker-pool-1")):
        os.killpg(group, signal.SIGKILL)
    cluster.start()


def _python_killed(cluster: Cluster, job: Job) -> None:
    os.kill(cluster.gate.waiting()[0], signal.SIGKILL)


def _pool_killed(cluster: Cluster, job: Job) -> None:
    os.killpg(cluster.pid("worker-pool-1"), signal.SIGKILL)
    cluster.start()


def _python_slow(cluster: Cluster, job: Job) -> None:
    slow, done = cluster.gate.waiting()[0], job.markers()
    os.kill(slow, signal.SIGSTOP)
    cluster.gate.open()
    wait_until(lambda: job.markers() > done + 4 or not job.is_running())  # by the other one
    os.kill(slow, signal.SIGCONT)


def _job_server_killed(cluster: Cluster, job: Job) -> None:
    for pid in job.processes():
        if "-jar" in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            os.kill(pid, signal.SIGKILL)


def _interrupted(cluster: Cluster, job: Job) -> None:
    job.signal(signal.SIGINT)


def _terminated(cluster: Cluster, job: Job) -> None:
    job.signal(signal.SIGTERM, job.pid)


def _driver_killed(cluster: Cluster, job: Job) -> None:
    job.signal(signal.SIGKILL)


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Args:
        ends: the exit code that the job must have, and what it must say then, as a regular expression.
        restarts: whether the engine does again what failed.
        elsewhere: whether local processes resume the job, rather than the same engine.
        stops: whether somebody stops the job, so that no cluster may go on with it.
    """

    name: str
    strike: Strike
    ends: tuple[int, str]
    restarts: bool = True
    elsewhere: bool = False
    stops: bool = False


FAULTS = (
    Fault("TaskManager or executor killed", _executor_killed, (0, "")),
    Fault("machine lost", _machine_lost, (0, "")),
    Fault("Python worker killed", _python_killed, (0, "")),
    Fault("worker pool killed", _pool_killed, (0, "")),
    Fault("Python worker stops for a while", _python_slow, (0, "")),
    Fault("job server killed", _job_server_killed, (1, TOLD)),
    Fault("Ctrl-C", _interrupted, (1, r"error: interrupted[\s\S]*--resume"), stops=True),
    Fault("SIGTERM", _terminated, (1, r"error: interrupted[\s\S]*--resume"), elsewhere=True, stops=True),
    Fault("command killed", _driver_killed, (-signal.SIGKILL, "")),
    Fault("TaskManager or executor killed, no restarts", _executor_killed, (1, TOLD), restarts=False),
    Fault("Python worker killed, no restarts", _python_killed, (1, TOLD), restarts=False, elsewhere=True),
)


@dataclass(frozen=True)
class Result:
    """What a trial showed.

    Args:
        resumed: by what it was resumed, empty if it was not.
        problems: what should not be so, in words.
        lost, doubled: rows.
    """

    engine: str
    fault: str
    code: int | None
    resumed: str
    lost: int
    doubled: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Trials:
    """What all trials have in common.

    Args:
        words: inputs and options of `score`, but for the output.
        whole: what an undisturbed job wrote.
    """

    folder: Path
    words: tuple[str, ...]
    whole: Content

    def run(self, cluster: Cluster, fault: Fault, number: int) -> Result:
        """One trial; the cluster is whole again afterwards."""
        place = self.folder / f"{number}"
        output = place / "out"
        words = [*self.words, "--output", str(output)]
        cluster.shut()
        job = Job(cluster.command(words), output, place)
        problems = []
        wait_until(lambda: len(cluster.gate.waiting()) > 1 or not job.is_running())
        if job.is_running():
            fault.strike(cluster, job)
        else:
            problems.append("it ended before the fault could strike")
        cluster.gate.open()
        ended = job.end(END_SECONDS)
        problems += wrong(fault, ended)
        if fault.stops and cluster.states()[-1:] not in ([], ["CANCELED"]):
            problems.append(f"Flink went on with the job: {cluster.states()}")
        resumed = ""
        if ended.code != 0:
            resumed = "local processes" if fault.elsewhere else cluster.engine
            again = [*SCORE, *words, "--workers", "1"] if fault.elsewhere else cluster.command(words)
            at = again.index("--") if "--" in again else len(again)
            ran = Job([*again[:at], "--resume", *again[at:]], output, place / "again", _local()).end(END_SECONDS)
            problems += [] if ran.code == 0 else [f"--resume ended with {ran.code}: {ran.said}"]
        loss = compare(self.whole, content(output), RECORDS, 0)
        cluster.start()
        every = (*problems, *loss.problems)
        return Result(cluster.engine, fault.name, ended.code, resumed, loss.lost, loss.doubled, every)


def wrong(fault: Fault, ended: Ended) -> list[str]:
    """What should not be so about the end of a job that the fault has struck."""
    code, said = fault.ends
    found = [] if ended.code == code else [f"exit code {ended.code}, expected {code}: {ended.said[-2000:]}"]
    if not re.search(said, ended.said) or "Traceback" in ended.said:
        found.append(f"it said {ended.said[-2000:]}")
    return found + [f"left over: {name}" for name in ended.left]


def _local() -> Mapping[str, str]:
    """The environment of a job on this machine."""
    return {"PYTHONPATH": f"{INSIDE}{os.pathsep}{ROOT}", **PLAIN}


def table(results: Sequence[Result]) -> str:
    """The results, as Markdown."""
    lines = [HEADINGS, ("---", "---", *(["--:"] * (len(HEADINGS) - 2)))]
    kinds = list(dict.fromkeys((result.engine, result.fault) for result in results))
    for engine, fault in [*sorted(kinds), ("all", f"{len({name for _, name in kinds})} kinds")]:
        rows = [one for one in results if engine == "all" or (one.engine, one.fault) == (engine, fault)]
        codes = [one.code for one in rows]
        ends = (codes.count(0), codes.count(1), codes.count(-signal.SIGKILL))
        right = sum(not one.problems for one in rows)
        cells = (len(rows), *ends, right, sum(one.lost for one in rows), sum(one.doubled for one in rows))
        lines.append((engine.capitalize() if engine != "all" else engine, fault, *map(str, cells)))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _whole(folder: Path, words: Sequence[str]) -> Content:
    """What an undisturbed job of this machine writes."""
    output = folder / "whole"
    ended = Job([*SCORE, *words, "--output", str(output), "--workers", "1"], output, folder, _local()).end(GUARD_S)
    if ended.code != 0:
        raise click.ClickException(f"the undisturbed job failed: {ended.said}")
    return content(output)


@click.command(context_settings={"show_default": True})
@click.option("--engine", "engines", multiple=True, type=click.Choice(["flink", "spark"]), help="Only this one.")
@click.option("--fault", "names", multiple=True, type=click.Choice([f.name for f in FAULTS]), help="Only this one.")
@click.option("--times", default=1, help="How often each fault strikes.")
@click.option("--add", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep the results there, as JSON, with those that are there already.")  # fmt: skip
def main(engines: tuple[str, ...], names: tuple[str, ...], times: int, add: Path | None) -> None:
    """Let each fault strike a job on each engine; fail if anything is lost, doubled, or not said. Linux only."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the cluster first
    told: list[dict[str, Any]] = json.loads(add.read_text()) if add and add.exists() else []
    results = [Result(**{**one, "problems": tuple(one["problems"])}) for one in told]
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as name:
        folder = Path(name)
        corpus = corpora.parquet(folder, RECORDS)
        given = ("--model", corpora.small_model(folder), "--run-id", corpora.RUN_ID, "--shard-rows", SHARD_ROWS)
        words = tuple(map(str, (*corpus.inputs, *given, "--max-error-rate", 0.1, *corpus.options)))
        trials = Trials(folder, words, _whole(folder, words))
        for engine in engines or ("flink", "spark"):
            for restarts in (True, False):
                faults = [f for f in FAULTS if f.restarts == restarts and (not names or f.name in names)]
                if not faults:
                    continue
                cluster = Cluster(engine, restarts, folder / f"{engine}-{restarts}")
                try:
                    cluster.start()
                    for fault in faults * times:
                        results.append(trials.run(cluster, fault, len(results)))
                        click.echo(f"{engine}, {fault.name}: {'; '.join(results[-1].problems) or 'as it should be'}")
                        if add:
                            add.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")
                finally:
                    cluster.stop()
    click.echo(table(results))
    sys.exit(any(result.problems for result in results))


if __name__ == "__main__":
    main()
