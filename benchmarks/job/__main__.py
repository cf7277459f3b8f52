"""`python -m benchmarks.job`: compares the complete command with a plain Beam pipeline, and measures how it scales."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import click
from rich.console import Console

from batch_scorer.errors import ArtifactError, OptionError, ScorerError
from batch_scorer.models.artifact import load
from benchmarks.job import show
from benchmarks.job.options import from_anywhere, source_options
from benchmarks.job.processes import PROC
from benchmarks.job.reviews import Source
from benchmarks.job.run import run
from benchmarks.job.sides import Settings


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@source_options
@click.option("--reviews", type=click.IntRange(2), default=50_000,
              help="How many reviews the command scores, from the start of the file.")  # fmt: skip
@click.option("--first-try-reviews", type=click.IntRange(2), default=10_000,
              help="How many of these the first try scores, whose batches grow from one review.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=3, help="How many times each side is timed.")
@click.option("--grow", default="5000,50000,500000", metavar="N,N,...",
              help="How many reviews the command then scores alone; '' skips this.")  # fmt: skip
@click.option("--words", type=click.IntRange(1), metavar="N",
              help="Divide the reviews into texts of N words each.  [default: whole reviews]")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), metavar="N",
              help="Processes of the command.  [default: the command's own choice]")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for job.json, job.md and job.svg.")  # fmt: skip
def main(
    data: str, text_column: str, id_column: str | None, model: str, reviews: int, first_try_reviews: int,
    rounds: int, grow: str, words: int | None, workers: int | None, output: Path | None,
) -> None:  # fmt: skip
    """Time complete runs of `batch-scorer score` and of a plain Beam pipeline with RunInference, in turn; then the
    command alone on more and more reviews, with the peak memory of every process.

    Linux only. Nothing else should run on the machine. Inputs and outputs are temporary files.

    \b
    Example:
      python -m benchmarks.job --data imdb_unsup.parquet --id-column review_id --output results
    """
    try:
        source = Source(data, text_column, id_column, words)
        sizes = numbers(grow)
        model = from_anywhere(model)
        settings = Settings(source, model, reviews, first_try_reviews, rounds, sizes, workers)
        benchmark(settings, output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def numbers(given: str) -> tuple[int, ...]:
    """Parses `5000,50000`.

    Raises:
        OptionError: it is not a list of ascending numbers from 1.
    """
    words = [word for word in given.split(",") if word]
    parsed = tuple(int(word) for word in words if word.isdecimal())
    if len(parsed) != len(words) or list(parsed) != sorted(set(parsed)) or 0 in parsed:
        raise OptionError(
            "--grow is not a list of ascending numbers",
            expected="numbers from 1, as in 5000,50000",
            got=given,
            fix="give ascending numbers separated by commas",
        )
    return parsed


def benchmark(settings: Settings, output: Path | None, console: Console) -> None:
    """Measures, prints the tables and writes them to `output`.

    Raises:
        OptionError: options contradict each other; there is an `output` but no matplotlib; or this is not Linux.
        ArtifactError: the model cannot be read, or is the notebook's variant.
        InputError: the reviews cannot be read.
        JobError: a run failed.
        EngineError: the two sides do not agree.
    """
    if settings.first_try_reviews > settings.reviews:
        raise OptionError(
            "--first-try-reviews is larger than --reviews, which it is a part of",
            expected=f"at most {settings.reviews:,}",
            got=f"{settings.first_try_reviews:,}",
            fix="reduce --first-try-reviews",
        )
    if output and importlib.util.find_spec("matplotlib") is None:
        raise OptionError(
            "--output draws a figure, which needs matplotlib", fix="from a checkout: pip install -e '.[evaluate]'"
        )
    if not PROC.is_dir():
        raise OptionError("the memory of processes is read from /proc", expected="Linux", got=sys.platform)
    if not load(settings.model).architecture.masked:
        raise ArtifactError(
            "the first try does not support this variant of the network",
            where=settings.model,
            expected="a model with a mask",
            got="the notebook's variant",
        )

    def report(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    results = run(settings, report)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "job.json").write_text(json.dumps(results, indent=2) + "\n")
    for table in show.tables(results):
        console.print(table)
    for sentence in show.notes(results):
        report(sentence)
    if output:
        (output / "job.md").write_text(show.markdown(results))
        if len(settings.grow) > 1:
            show.save_figure(results, output / "job.svg")


if __name__ == "__main__":
    main()
