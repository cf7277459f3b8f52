"""`python -m benchmarks.job`: the whole command beside what a Beam user would write first, and its growth."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import click
from rich.console import Console

from batch_scorer.errors import ArtifactError, OptionError, ScorerError
from batch_scorer.models.artifact import SHIPPED, load
from benchmarks.job import show
from benchmarks.job.processes import PROC
from benchmarks.job.reviews import Source
from benchmarks.job.run import run
from benchmarks.job.sides import Settings


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Reviews, as Parquet.")
@click.option("--text-column", default="text", metavar="NAME", help="Column of the text.")
@click.option("--id-column", metavar="NAME", help="Column of the id.  [default: rows are numbered]")
@click.option("--model", default=SHIPPED, show_default="the shipped one", metavar="DIR", help="A model artefact.")
@click.option("--reviews", type=click.IntRange(2), default=50_000, help="How many the command scores, the first.")
@click.option("--first-try-reviews", type=click.IntRange(2), default=10_000,
              help="Of these, how many the first try scores: it grows its batches, from one review.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(1), default=3, help="How often each side is timed.")
@click.option("--grow", default="5000,50000,500000", metavar="N,N,...",
              help="How many reviews the command then scores; '' for none.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes of the command.  [default: its own]")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where job.json, job.md and job.svg go.")  # fmt: skip
def main(
    data: str, text_column: str, id_column: str | None, model: str, reviews: int, first_try_reviews: int,
    rounds: int, grow: str, workers: int | None, output: Path | None,
) -> None:  # fmt: skip
    """Times `batch-scorer score`, from its start to its end, and a plain Beam pipeline with RunInference, in turn; then
    the command alone on more and more reviews, with the peak memory of every process.

    Nothing else should run on the machine, which has to be Linux. Inputs and outputs are kept in the system's directory
    for temporary files meanwhile.

    \b
    Example:
      python -m benchmarks.job --data imdb_unsup.parquet --id-column review_id --output results
    """
    try:
        source = Source(data, text_column, id_column)
        sizes = numbers(grow)
        model = str(Path(model).resolve()) if Path(model).exists() else model  # both sides start in the checkout
        settings = Settings(source, model, reviews, first_try_reviews, rounds, sizes, workers)
        benchmark(settings, output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def numbers(given: str) -> tuple[int, ...]:
    """`5000,50000` -> both, as numbers.

    Raises:
        OptionError: they are no numbers from 1, or not ascending.
    """
    words = [word for word in given.split(",") if word]
    found = tuple(int(word) for word in words if word.isdecimal())
    if len(found) != len(words) or list(found) != sorted(set(found)) or 0 in found:
        raise OptionError("--grow is no list of numbers", expected="ascending numbers, as 5000,50000", got=given)
    return found


def benchmark(settings: Settings, output: Path | None, console: Console) -> None:
    """Measures, prints the tables, and writes them into `output`.

    Raises:
        OptionError: options that do not go together; there is an `output` and no matplotlib; or this is not Linux.
        ArtifactError: the model cannot be read, or is the notebook's variant.
        InputError: the reviews cannot be read.
        JobError: a run failed.
        EngineError: the two sides do not agree.
    """
    if settings.first_try_reviews > settings.reviews:
        raise OptionError(
            "--first-try-reviews are among --reviews",
            expected=f"{settings.reviews:,} at most",
            got=f"{settings.first_try_reviews:,}",
        )
    if output and importlib.util.find_spec("matplotlib") is None:
        raise OptionError("--output draws a figure, with matplotlib", fix="pip install -e '.[evaluate]'")
    if not PROC.is_dir():
        raise OptionError("the memory of processes is read from /proc", expected="Linux", got=sys.platform)
    if not load(settings.model).architecture.masked:
        raise ArtifactError(
            "the first try does not know this variant of the network",
            where=settings.model,
            expected="a model with a mask",
            got="the notebook's variant",
        )

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    found = run(settings, say)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "job.json").write_text(json.dumps(found, indent=2) + "\n")
    for table in show.tables(found):
        console.print(table)
    for sentence in show.notes(found):
        say(sentence)
    if output:
        (output / "job.md").write_text(show.markdown(found))
        if len(settings.grow) > 1:
            show.save_figure(found, output / "job.svg")


if __name__ == "__main__":
    main()
