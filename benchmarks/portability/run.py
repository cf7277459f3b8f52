"""The measurement: the same reviews scored in each way, by complete commands in new processes; then a comparison.

In: a file of reviews. Out: all results, as in `portability.json`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.job.outputs import check_same, look
from benchmarks.job.processes import run_watched
from benchmarks.job.reviews import Source, cut
from benchmarks.job.servers import await_server, free_ports
from benchmarks.job.sides import ENVIRONMENT, ROOT
from benchmarks.scoring.machine import machine

SIDES = IN_PROCESS, MULTI_PROCESSING, EXTERNAL = ("in process", "multi_processing", "external worker pool")
RUN_ID = "portability"


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Args:
        model: directory of the artefact.
        reviews: how many reviews are scored, from the start of the file.
        workers: processes of each side but the first.
        keep: directory for the outputs; None deletes them.
    """

    source: Source
    model: str
    reviews: int
    workers: int
    keep: Path | None = None


@dataclass(frozen=True)
class Side:
    """The result of one way of scoring.

    Args:
        seconds: of the complete command, from its start to its end.
        parts: sha256 of every part, by its path in the output.
        counts: as in the manifest.
    """

    name: str
    command: str
    seconds: float
    parts: Mapping[str, str]
    counts: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Reviews per second, start-up included."""
        return self.counts["read"] / self.seconds

    def to_json(self) -> dict[str, Any]:
        """The result as in `portability.json`."""
        return {**asdict(self), "rate": self.rate}


def run(settings: Settings, report: Callable[[str], None]) -> dict[str, Any]:
    """Measures everything.

    Args:
        report: called with a line of text at each step.

    Raises:
        InputError: the reviews cannot be read.
        JobError: a run failed.
        EngineError: the parts are not the same.
    """
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as directory:
        place = settings.keep or Path(directory)
        place.mkdir(parents=True, exist_ok=True)
        reviews = Path(directory) / "reviews.parquet"
        cut(settings.source, settings.reviews, reviews)
        sides = []
        with servers(settings.workers, Path(directory)) as beam_options:
            ways: dict[str, tuple[str, ...]] = {
                IN_PROCESS: ("--workers", "1"),
                MULTI_PROCESSING: ("--workers", str(settings.workers)),
                EXTERNAL: ("--", *beam_options),
            }
            for name, options in ways.items():
                report(f"{name}: {' '.join(options)}")
                output = place / name.replace(" ", "-")
                sides.append(score(name, reviews, output, settings.model, options))
    compare(sides)
    return {
        "data": Path(settings.source.file).name,
        "reviews": settings.reviews,
        "workers": settings.workers,
        "machine": machine(),
        "load": os.getloadavg(),
        "sides": [side.to_json() for side in sides],
    }


def score(name: str, reviews: Path, output: Path, model: str, options: Sequence[str]) -> Side:
    """Runs the command in one way.

    Args:
        options: the options of the command that make the difference.

    Raises:
        JobError: it failed.
    """
    words = ["score", str(reviews), "--output", str(output), "--overwrite", "--id-column", "id", "--run-id", RUN_ID]
    command = [sys.executable, "-m", "batch_scorer", *words, "--model", model, *options]
    ran = run_watched(command, ROOT, {**os.environ, **ENVIRONMENT})
    counts, hashes = look(str(output))
    return Side(name, " ".join(options), ran.seconds, hashes, counts)


def compare(sides: Sequence[Side]) -> None:
    """Checks that all sides have the same parts, byte for byte, and the same counts.

    Raises:
        EngineError: they do not.
    """
    first = sides[0]
    for side in sides[1:]:
        check_same(first, side, f"{side.name}, compared with {first.name}")


@contextmanager
def servers(workers: int, logs: Path) -> Iterator[tuple[str, ...]]:
    """Runs a job server and a worker pool, each in a process of its own, for the duration of the block.

    Args:
        logs: directory for their output.

    Yields:
        Beam's options for a job that uses them.

    Raises:
        JobError: one of them does not start.
    """
    job_port, pool_port = free_ports(), free_ports()
    commands = {
        "job-server": ("benchmarks.portability.job_server", f"--job-port={job_port}"),
        "worker-pool": ("apache_beam.runners.worker.worker_pool_main", f"--service_port={pool_port}"),
    }
    # The pool starts workers with the command `python`.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    processes = []
    try:
        for name, words in commands.items():
            with open(logs / f"{name}.log", "wb") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *words], cwd=ROOT, env={**os.environ, **ENVIRONMENT, "PATH": path},
                        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    )
                )  # fmt: skip
        for name, process, port in zip(commands, processes, (job_port, pool_port), strict=True):
            await_server(port, process, name, logs / f"{name}.log")
        yield (
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool_port}",
            f"--sdk_worker_parallelism={workers}",
        )
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
