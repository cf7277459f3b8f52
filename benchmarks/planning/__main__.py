"""`python -m benchmarks.planning`: what planning a million files takes, and summing up a hundred thousand shards."""

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
PLANS = ("what", "files", "shards", "list", "look", "cut", "write", "seconds", "processor", "start MiB", "peak MiB",
         "bytes a file")  # fmt: skip
FOLDS = ("what", "shards", "poll", "fold", "commit", "seconds", "processor", "start MiB", "peak MiB", "manifest MB")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--files", type=click.IntRange(0), default=1_000_000, help="One-review files to plan.")
@click.option("--jsonl", type=click.IntRange(0), default=1_000_000, help="JSON lines files to plan, of a line each.")
@click.option("--parquet", type=click.IntRange(0), default=100_000, help="Parquet files to plan, of ten rows each.")
@click.option("--shards", type=click.IntRange(0), default=100_000, help="Finished shards to sum up.")
@click.option("--directory", type=click.Path(path_type=Path), metavar="DIR",
              help="Where files are made, and then deleted.  [default: the system's for temporary files]")  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", help="Where planning.json and planning.md go."
)
def main(files: int, jsonl: int, parquet: int, shards: int, directory: Path | None, output: Path | None) -> None:
    """Makes many tiny files, and plans them as `batch-scorer score` does until its plan is written; then sums up the
    shards of a run that never was. Each in a process of its own; 0 leaves one out.

    A million files take some 4 GB and as many inodes. Nothing else should run on the machine.

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
    """Measures, prints the tables, and writes them into `output`.

    Args:
        counts: files of each of `CORPORA`.

    Raises:
        JobError: a measurement failed.
    """
    found: dict[str, Any] = {"machine": machine(), "load": os.getloadavg()[0], "plans": [], "folds": []}
    if directory:
        directory.mkdir(parents=True, exist_ok=True)
    for kind in CORPORA:
        if counts[kind]:
            with tempfile.TemporaryDirectory(dir=directory) as place:
                console.print(f"making {counts[kind]:,} files: {kind}", highlight=False)
                make(kind, counts[kind], Path(place) / "in")
                found["plans"].append({"what": kind, **_run("plan", f"{place}/in", f"{place}/out")})
    if shards:
        with tempfile.TemporaryDirectory(dir=directory) as place:
            found["folds"].append({"what": "fold", **_run("fold", str(shards), f"{place}/out")})
    for headings, lines in tables(found):
        table = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
        for heading in headings:
            table.add_column(heading, justify="left" if heading == "what" else "right")
        for line in lines:
            table.add_row(*line)
        console.print(table)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "planning.json").write_text(json.dumps(found, indent=2) + "\n")
        (output / "planning.md").write_text(markdown(found))


def _run(*arguments: str) -> dict[str, Any]:
    begin = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.planning.measure", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if ran.returncode:
        raise JobError("a measurement failed", where=" ".join(command), got=ran.stderr[-500:])
    return {"seconds": seconds, **json.loads(ran.stdout)}


def tables(found: Mapping[str, Any]) -> list[tuple[Sequence[str], list[list[str]]]]:
    """The headings and the lines of each table."""
    plans = [
        [
            p["what"], f"{p['files']:,}", f"{p['shards']:,}",
            *(f"{p['steps'][name]:.1f}" for name in ("list", "look", "cut", "write")), *_cost(p),
            f"{(p['peak_mib'] - p['start_mib']) * 2**20 / p['files']:,.0f}",
        ]
        for p in found["plans"]
    ]  # fmt: skip
    folds = [
        [
            f["what"], f"{f['shards']:,}", *(f"{f['steps'][name]:.1f}" for name in ("poll", "fold", "commit")),
            *_cost(f), f"{f['manifest_mb']:.1f}",
        ]
        for f in found["folds"]
    ]  # fmt: skip
    return [(headings, lines) for headings, lines in ((PLANS, plans), (FOLDS, folds)) if lines]


def _cost(ran: Mapping[str, Any]) -> list[str]:
    return [
        f"{ran['seconds']:.1f}", f"{ran['processor_seconds']:.1f}", f"{ran['start_mib']:,.0f}",
        f"{ran['peak_mib']:,.0f}",
    ]  # fmt: skip


def markdown(found: Mapping[str, Any]) -> str:
    """The tables as Markdown, with how they were measured."""
    written = ""
    for headings, lines in tables(found):
        rules = ["---", *["---:"] * (len(headings) - 1)]
        written += "".join(f"| {' | '.join(line)} |\n" for line in (headings, rules, *lines)) + "\n"
    machine = found["machine"]
    return f"""{written}Seconds of each step, and of a whole process that plans, imports included; *processor*: what the
steps took of it. Peak resident memory of the process, beside that before the first step.

Machine: {machine["processor"]}, {machine["cores"]} cores, with a load of {found["load"]:.1f} at the beginning.
"""


if __name__ == "__main__":
    main()
