"""`python -m benchmarks.planning`: what it takes to plan a million files, and to sum up a hundred thousand shards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from batch_scorer.errors import JobError, ScorerError
from benchmarks.planning.corpora import CORPORA, make
from benchmarks.scoring.machine import machine

ROOT = Path(__file__).parents[2]
PLANS = ("what", "files", "shards", "list", "inspect", "cut", "write", "seconds", "processor", "start MiB", "peak MiB",
         "bytes per file")  # fmt: skip
FOLDS = ("what", "shards", "poll", "fold", "commit", "seconds", "processor", "start MiB", "peak MiB", "manifest MB")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--files", type=click.IntRange(0), default=1_000_000, help="Number of one-review files to plan.")
@click.option("--jsonl", type=click.IntRange(0), default=1_000_000,
              help="Number of JSON lines files to plan, with one line each.")  # fmt: skip
@click.option("--parquet", type=click.IntRange(0), default=100_000,
              help="Number of Parquet files to plan, with ten rows each.")  # fmt: skip
@click.option("--shards", type=click.IntRange(0), default=100_000, help="Number of finished shards to sum up.")
@click.option("--directory", type=click.Path(path_type=Path), metavar="DIR",
              help="Where the files are created and then deleted.  [default: the directory for temporary files]",
              )  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for planning.json and planning.md.")  # fmt: skip
def main(files: int, jsonl: int, parquet: int, shards: int, directory: Path | None, output: Path | None) -> None:
    """Create many tiny files and plan them as `batch-scorer score` does, until the plan is written; then sum up the
    shards of an imaginary run. Each measurement runs in a process of its own; a count of 0 skips it.

    A million files take about 4 GB and a million inodes. Nothing else should run on the machine.

    \b
    Example:
      python -m benchmarks.planning --output results
    """
    try:
        counts = {"files": files, "jsonl": jsonl, "parquet": parquet}
        benchmark(counts, shards, directory, output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def benchmark(
    counts: Mapping[str, int], shards: int, directory: Path | None, output: Path | None, console: Console
) -> None:
    """Measures, prints the tables and writes them to `output`.

    Args:
        counts: number of files for each of `CORPORA`.

    Raises:
        JobError: a measurement failed.
    """
    results: dict[str, Any] = {"machine": machine(), "load": os.getloadavg()[0], "plans": [], "folds": []}
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    for kind in CORPORA:
        if counts[kind]:
            with tempfile.TemporaryDirectory(dir=directory) as place:
                console.print(f"creating {counts[kind]:,} files: {kind}", highlight=False)
                make(kind, counts[kind], Path(place) / "in")
                results["plans"].append({"what": kind, **_run("plan", f"{place}/in", f"{place}/out")})
    if shards:
        with tempfile.TemporaryDirectory(dir=directory) as place:
            results["folds"].append({"what": "fold", **_run("fold", str(shards), f"{place}/out")})
    for headings, lines in tables(results):
        table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
        for heading in headings:
            table.add_column(heading, justify="left" if heading == "what" else "right")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "planning.json").write_text(json.dumps(results, indent=2) + "\n")
        (output / "planning.md").write_text(markdown(results))


def _run(*arguments: str) -> dict[str, Any]:
    start = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.planning.measure", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if ran.returncode:
        raise JobError("a measurement failed", where=" ".join(command), expected="exit code 0", got=ran.stderr[-500:])
    return {"seconds": seconds, **json.loads(ran.stdout)}


def tables(results: Mapping[str, Any]) -> list[tuple[Sequence[str], list[list[str]]]]:
    """Headings and lines of each table."""
    plans = [
        [
            p["what"], f"{p['files']:,}", f"{p['shards']:,}",
            *(f"{p['steps'][name]:.1f}" for name in ("list", "inspect", "cut", "write")), *_cost(p),
            f"{(p['peak_mib'] - p['start_mib']) * 2**20 / p['files']:,.0f}",
        ]
        for p in results["plans"]
    ]  # fmt: skip
    folds = [
        [
            f["what"], f"{f['shards']:,}", *(f"{f['steps'][name]:.1f}" for name in ("poll", "fold", "commit")),
            *_cost(f), f"{f['manifest_mb']:.1f}",
        ]
        for f in results["folds"]
    ]  # fmt: skip
    return [(headings, lines) for headings, lines in ((PLANS, plans), (FOLDS, folds)) if lines]


def _cost(ran: Mapping[str, Any]) -> list[str]:
    return [
        f"{ran['seconds']:.1f}", f"{ran['processor_seconds']:.1f}", f"{ran['start_mib']:,.0f}",
        f"{ran['peak_mib']:,.0f}",
    ]  # fmt: skip


def markdown(results: Mapping[str, Any]) -> str:
    """The tables as Markdown, with an explanation of how they were measured."""
    text = ""
    for headings, lines in tables(results):
        rules = ["---", *["---:"] * (len(headings) - 1)]
        text += "".join(f"| {' | '.join(line)} |\n" for line in (headings, rules, *lines)) + "\n"
    machine = results["machine"]
    return f"""{text}Seconds of each step, and of the complete process, imports included; *processor*: processor time of
the steps. Resident memory of the process: before the first step, and at its peak.

Machine: {machine["processor"]}, {machine["cores"]} cores, with a load of {results["load"]:.1f} at the beginning.
"""


if __name__ == "__main__":
    main()
