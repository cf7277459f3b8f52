"""`python -m benchmarks.portability`: whether a process, local workers and portable runners give the same parts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from batch_scorer.errors import ScorerError
from benchmarks.job.options import from_anywhere, source_options
from benchmarks.job.reviews import Source
from benchmarks.portability.run import Settings, run

HEADINGS = ("way", "workers", "seconds", "reviews/s", "scored", "rejected", "parts")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@source_options
@click.option(
    "--reviews", type=click.IntRange(1), default=20_000, help="How many reviews to score, from the start of the file."
)
@click.option("--workers", type=click.IntRange(2), default=2, help="Processes of each way but the first.")
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Directory to keep the three outputs in.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for portability.json and portability.md.")  # fmt: skip
def main(
    data: str, text_column: str, id_column: str | None, model: str, reviews: int, workers: int, keep: Path | None,
    output: Path | None,
) -> None:  # fmt: skip
    """Score the same reviews three times: in one process; in worker processes of the command; and through a job server
    and an external worker pool, which communicate with the command over gRPC. Fail unless all parts are identical,
    byte for byte.

    \b
    Example:
      python -m benchmarks.portability --data imdb_train.parquet --id-column review_id --output results
    """
    model = from_anywhere(model)
    keep = keep.resolve() if keep else None
    settings = Settings(Source(data, text_column, id_column), model, reviews, workers, keep)
    try:
        measure(settings, output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def measure(settings: Settings, output: Path | None, console: Console) -> None:
    """Measures, prints the table and writes it to `output`.

    Raises:
        InputError: the reviews cannot be read.
        JobError: a run failed.
        EngineError: the parts are not the same.
    """
    results = run(settings, lambda text: console.print(text, highlight=False, markup=False))
    table = Table(HEADINGS[0], box=SIMPLE)
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    for cells in rows(results):
        table.add_row(*cells)
    console.print(table)
    console.print("all parts are identical, byte for byte")
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "portability.json").write_text(json.dumps(results, indent=2) + "\n")
        lines = [HEADINGS, ("---", *("---:",) * (len(HEADINGS) - 1)), *rows(results)]
        (output / "portability.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))


def rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The cells of the table, in the order of `HEADINGS`."""
    return [
        (
            side["name"],
            "1" if number == 0 else str(results["workers"]),
            f"{side['seconds']:.1f}",
            f"{side['rate']:,.0f}",
            f"{side['counts']['scored']:,}",
            f"{side['counts']['rejected']:,}",
            str(len(side["parts"])),
        )
        for number, side in enumerate(results["sides"])
    ]


if __name__ == "__main__":
    main()
