"""The measurement: the same reviews scored in each way, by complete commands in new processes; then a comparison.

In: a file of reviews. Out: all results, as in `portability.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from batch_scorer.errors import EngineError, JobError
from benchmarks.job.processes import run_watched
from benchmarks.job.reviews import Source, cut
from benchmarks.job.sides import ENVIRONMENT, ROOT
from benchmarks.scoring.machine import machine

SIDES = IN_PROCESS, MULTI_PROCESSING, EXTERNAL = ("in process", "multi_processing", "external worker pool")
RUN_ID = "portability"
START_SECONDS = 300.0  # only a guard, for a busy machine


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
    manifest = json.loads((output / "manifest.json").read_text())
    hashes = {part["path"]: _sha256(output / part["path"]) for part in manifest["parts"]}
    return Side(name, " ".join(options), ran.seconds, hashes, manifest["counts"])


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare(sides: Sequence[Side]) -> None:
    """Checks that all sides have the same parts, byte for byte, and the same counts.

    Raises:
        EngineError: they do not.
    """
    first = sides[0]
    for side in sides[1:]:
        different = [path for path, digest in first.parts.items() if side.parts.get(path) != digest]
        if different or side.parts.keys() != first.parts.keys() or side.counts != first.counts:
            raise EngineError(
                "the job does not give the same parts in every way",
                where=f"{side.name}, compared with {first.name}",
                expected=f"{len(first.parts):,} identical parts and counts {dict(first.counts)}",
                got=f"{len(different):,} different or missing of {len(side.parts):,}; counts {dict(side.counts)}",
            )


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
    job_port, pool_port = _free_port(), _free_port()
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
            _wait_for(port, process, name, logs)
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


def _wait_for(port: int, process: subprocess.Popen[bytes], name: str, logs: Path) -> None:
    """Returns once the process accepts connections; raises as soon as it has ended instead."""
    end = time.monotonic() + START_SECONDS
    while True:
        ended = process.poll() is not None
        try:
            return socket.create_connection(("localhost", port), timeout=1).close()
        except OSError as error:
            if ended or time.monotonic() > end:
                lines = (logs / f"{name}.log").read_text(errors="replace").splitlines()[-8:]
                raise JobError(
                    f"the {name} does not start",
                    expected=f"a connection within {START_SECONDS:g} s",
                    got=" | ".join(lines) or str(error),
                ) from error
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return int(listening.getsockname()[1])
