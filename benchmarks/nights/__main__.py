"""`python -m benchmarks.nights`: thirty nights by file and by record, and the memory that earlier records take."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow.parquet as pq

from batch_scorer.config import AFTER_BY
from batch_scorer.errors import ScorerError
from batch_scorer.silence import quieten
from benchmarks.nights import memory, trial


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", type=click.Path(path_type=Path, exists=True), metavar="FILE",
              help="Parquet file with a column text; without it, there are no nights.")  # fmt: skip
@click.option("--nights", type=click.IntRange(2), default=trial.NIGHTS, help="How many nights.")
@click.option("--model", metavar="DIR", help="Model artefact.  [default: the shipped model]", show_default=False)
@click.option("--records", type=click.IntRange(0), default=0, help="Earlier records to look up in; 0 skips that.")
@click.option("--directory", type=click.Path(path_type=Path), metavar="DIR",
              help="Where files are created and then deleted: about 60 bytes a record.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR", help="Directory for nights.json.")
def main(
    data: Path | None, nights: int, model: str | None, records: int, directory: Path | None, output: Path | None
) -> None:
    """Score a folder that grows, night after night, by file and by record, and compare the newest row of each review
    with that of one run over the last state. Then write the list of so many synthetic earlier records, and look
    records up in it from two processes.

    \b
    Example:
      python -m benchmarks.nights --data imdb_unsup.parquet --records 100000000 --output results
    """
    quieten()
    results: dict[str, Any] = {"load": os.getloadavg()[0]}
    try:
        with tempfile.TemporaryDirectory(dir=directory) as place:
            if data:
                texts = pq.read_table(data, columns=["text"])["text"].to_pylist()
                for by in AFTER_BY:
                    results[by] = trial.nights(texts, Path(place, by), by, nights, model)
                    click.echo(in_words(by, results[by]))
            if records:
                results["memory"] = measure_memory(Path(place, "memory"), records)
                click.echo(json.dumps(results["memory"], indent=2))
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "nights.json").write_text(json.dumps(results, indent=2) + "\n")


def measure_memory(place: Path, records: int) -> dict[str, Any]:
    """What it takes to write the index of synthetic runs, and to look records up in it."""
    place.mkdir()
    memory.make_runs(records, place)
    return {"records": records, "plan": memory.planned(records, place), "workers": memory.workers(place, records)}


def in_words(by: str, result: Mapping[str, Any]) -> str:
    """The line of a table: what the nights read, what they took, and how many of the newest rows are right."""
    told = result["nights"]
    read, passed = (sum(night.get(name, 0) for night in told) for name in ("read", "passed_over"))
    start_s, each_ms = fitted(told)
    return (
        f"by {by}: {len(told)} nights, {read:,} records scored, {passed:,} passed over; a night takes {start_s:.1f} s "
        f"of the processor and {each_ms:.2f} ms for each record scored; {result['equal']:,} of {result['reviews']:,} "
        "newest rows have the logit of one run"
    )


def fitted(told: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Processor seconds of a night without any record, and milliseconds for each: least squares.

    The first night, in which everything is imported, is left out.
    """
    scored = [night["scored"] for night in told[1:]]
    slope, start = np.polyfit(scored, [night["processor"] for night in told[1:]], 1)
    return float(start), float(slope) * 1_000


if __name__ == "__main__":
    main()
