"""The ways to run a job, each as a command line; and the clusters and the store that some of them need."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from batch_scorer.errors import JobError
from benchmarks.job.servers import await_server, free_ports
from benchmarks.job.sides import ENVIRONMENT, ROOT

BUCKET = "engines"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
SCORE = (sys.executable, "-m", "batch_scorer", "score")
PORTABLE = (str(ROOT / "scripts/portable"),)


@dataclass(frozen=True)
class Way:
    """One way to run a job.

    Args:
        begin: the first words of its command line.
        options: of `score`, the last words of ours.
        cluster: the engine of which it needs a cluster.
    """

    name: str
    begin: tuple[str, ...]
    options: tuple[str, ...] = ()
    cluster: str | None = None

    def command(self, words: Sequence[str], submitting: Sequence[str], beam_options: Sequence[str]) -> list[str]:
        """The command line of a job.

        Args:
            words: inputs and options of `score`.
            submitting: the options by which `scripts/portable` finds a cluster.
        """
        return [*self.begin, *submitting, *words, *self.options, *(["--", *beam_options] if beam_options else [])]


WAYS = {
    way.name: way
    for way in (
        Way("one process", SCORE, ("--workers", "1")),
        Way("two processes", SCORE, ("--workers", "2")),
        Way("Prism", (*PORTABLE, "prism")),
        Way("Flink, embedded", (*PORTABLE, "flink")),
        Way("Flink, JobManager and two TaskManagers", (*PORTABLE, "flink"), cluster="flink"),
        Way("Spark, embedded", (*PORTABLE, "spark")),
        Way("Spark, master and two workers", (*PORTABLE, "spark"), cluster="spark"),
    )
}


def environment() -> dict[str, str]:
    """Of all commands: quiet, and with keys for the store."""
    return {**os.environ, **ENVIRONMENT, **KEYS}


@contextmanager
def cluster(engine: str | None, folder: Path) -> Iterator[tuple[str, ...]]:
    """Runs a cluster of an engine for the duration of the block, if there is one to run.

    Args:
        folder: for its logs.

    Yields:
        The options by which `scripts/portable` finds it.

    Raises:
        JobError: it does not start.
    """
    if engine is None:
        yield ()
        return
    script, port, pool = str(ROOT / f"deploy/{engine}/cluster"), free_ports(2), free_ports()
    where = {**environment(), "PORT": str(port), "POOL_PORT": str(pool)}
    try:
        run([script, "start", str(folder)], where)
        yield submitting(port, pool)
    finally:
        subprocess.run([script, "stop", str(folder)], check=False, env=where, stdin=subprocess.DEVNULL)


def submitting(port: int, pool: int) -> tuple[str, ...]:
    """The options by which `scripts/portable` finds a cluster of `deploy/`, by its port and that of its pools."""
    return ("--cluster", f"localhost:{port}", "--pool", f"worker-pool:{pool}")


def run(command: Sequence[str], where: Mapping[str, str]) -> float:
    """Runs a command to its end; returns the seconds that it took.

    Raises:
        JobError: it failed.
    """
    start = time.monotonic()
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=where, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        got = f"{done.returncode}: " + " | ".join(lines[-8:])
        raise JobError("a command failed", where=" ".join(command), expected="exit code 0", got=got)
    return time.monotonic() - start


@contextmanager
def store(log: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Runs moto's S3 in a process of its own for the duration of the block.

    Yields:
        The URL of a bucket, and Beam's options for it.

    Raises:
        JobError: it does not start.
    """
    port = free_ports()
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port))
    with open(log, "wb") as file, subprocess.Popen(
        command, env=environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=file
    ) as process:  # fmt: skip
        try:
            await_server(port, process, "store", log)
            urlopen(Request(f"{url}/{BUCKET}", method="PUT")).close()
            yield f"s3://{BUCKET}", (f"--s3_endpoint_url={url}",)
        finally:
            process.terminate()
