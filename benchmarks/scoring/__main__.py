"""`python -m benchmarks.scoring`: compares all ways of running the network on the same reviews."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from batch_scorer.errors import ArtifactError, InputError, OptionError, ScorerError
from batch_scorer.models.artifact import SHIPPED, Artifact, load
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring import show
from benchmarks.scoring.contenders import NAMES
from benchmarks.scoring.machine import cores
from benchmarks.scoring.run import Settings, run

SEED = 20


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Reviews: Parquet, CSV, TSV or JSON lines.")
@click.option("--text-column", default="text", help="Column that holds the review.")
@click.option("--model", default=SHIPPED, show_default="the shipped one", metavar="DIR", help="A model artefact.")
@click.option("--reviews", type=click.IntRange(1), default=2048, help="How many reviews to use, drawn at random.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="How many times each contender is timed.")
@click.option("--contender", "names", multiple=True, type=click.Choice(NAMES), metavar="NAME",
              help=f"Run only this contender; may be repeated. One of: {', '.join(NAMES)}.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1), default=cores, show_default="one per core",
              help="Single-threaded processes per contender.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for scoring.json, scoring.md and scoring.svg.")  # fmt: skip
def main(
    data: str, text_column: str, model: str, reviews: int, rounds: int, names: tuple[str, ...], processes: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Score and explain the same reviews with each contender in turn, and compare the times.

    Nothing else should run on the machine. The extra `bench` installs the other runtimes; contenders whose runtime is
    missing are skipped.

    \b
    Example:
      python -m benchmarks.scoring --data imdb_test_open.parquet --output results
    """
    try:
        benchmark(data, text_column, reviews, Settings(model, names or NAMES, rounds, processes), output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def benchmark(
    file: str, text_column: str, reviews: int, settings: Settings, output: Path | None, console: Console
) -> None:
    """Measures, prints the table and writes it to `output`.

    Raises:
        InputError: the data cannot be read, or has fewer than `reviews` reviews.
        ArtifactError: the model cannot be read, or is a variant that the contenders do not support.
        OptionError: see `run`; or there is an `output` but no matplotlib.
        EngineError: see `run`.
    """
    if output and importlib.util.find_spec("matplotlib") is None:
        raise OptionError(
            "--output draws a figure, which needs matplotlib", fix="from a checkout: pip install -e '.[evaluate]'"
        )
    artifact = load(settings.model)
    if not artifact.architecture.foldable:
        raise ArtifactError(
            "only Keras runs this variant of the network",
            where=settings.model,
            expected="a model with a mask and sigmoid gates",
            got="the notebook's variant",
        )

    def report(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    ids = draw(file, text_column, artifact, reviews)
    results = {"data": Path(file).name, **run(artifact, ids, settings, report)}
    console.print(show.table(results))
    for sentence in show.notes(results):
        report(sentence)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "scoring.json").write_text(json.dumps(results, indent=2) + "\n")
        (output / "scoring.md").write_text(show.markdown(results))
        show.save_figure(results, output / "scoring.svg")


def draw(file: str, text_column: str, artifact: Artifact, reviews: int) -> Sequence[Ids]:
    """Draws `reviews` reviews at random from those that have words, encoded as int32[n] each.

    Raises:
        InputError: the data cannot be read, or has fewer such reviews.
    """
    import numpy as np

    from train.data import Columns, read_texts

    tokenizer = artifact.tokenizer
    tokens = [tokens for text in read_texts([file], Columns(text=text_column)) if (tokens := tokenizer.words(text))]
    if len(tokens) < reviews:
        raise InputError(
            "there are too few reviews",
            where=file,
            expected=f"at least {reviews:,} with words",
            got=f"{len(tokens):,}",
            fix="reduce --reviews",
        )
    chosen = np.random.default_rng(SEED).choice(len(tokens), reviews, replace=False)
    return [tokenizer.ids(tokens[i]) for i in chosen]


if __name__ == "__main__":
    main()
