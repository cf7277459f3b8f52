"""`python -m benchmarks.scoring`: compares all ways of running the network on the same reviews."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from batch_scorer.errors import ArtifactError, InputError, OptionError, ScorerError
from batch_scorer.models.artifact import SHIPPED, Artifact, load
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring import show
from benchmarks.scoring.contenders import NAMES
from benchmarks.scoring.cost import Labelled
from benchmarks.scoring.machine import cores
from benchmarks.scoring.run import Settings, run
from train.data import Columns, read_examples, read_texts

SEED = 20


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Reviews: Parquet, CSV, TSV or JSON lines.")
@click.option("--text-column", default="text", help="Column that holds the review.")
@click.option("--model", default=SHIPPED, show_default="the shipped one", metavar="DIR", help="A model artefact.")
@click.option("--reviews", type=click.IntRange(1), default=2048, help="How many reviews to use, drawn at random.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="How many times each contender is timed.")
@click.option("--contender", "names", multiple=True, type=click.Choice(NAMES), metavar="NAME",
              help=f"Run only this contender; may be repeated. One of: {', '.join(NAMES)}.")  # fmt: skip
@click.option("--labelled", metavar="FILE",
              help="Labelled reviews, on all of which to measure what each precision costs.")  # fmt: skip
@click.option("--label-column", default="label", help="Column of --labelled that holds the label.")
@click.option("--processes", type=click.IntRange(1), default=cores, show_default="one per core",
              help="Single-threaded processes per contender.")  # fmt: skip
@click.option("--processor-time", is_flag=True,
              help="Count processor time instead of the clock's, where the machine has other work.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for scoring.json, scoring.md and scoring.svg.")  # fmt: skip
def main(
    data: str, text_column: str, model: str, reviews: int, rounds: int, names: tuple[str, ...], labelled: str | None,
    label_column: str, processes: int, processor_time: bool, output: Path | None,
) -> None:  # fmt: skip
    """Score and explain the same reviews with each contender in turn, and compare the times.

    Nothing else should run on the machine, or else give --processor-time. The extra `bench` installs the other
    runtimes; contenders whose runtime is missing are skipped.

    \b
    Example:
      python -m benchmarks.scoring --data imdb_test_open.parquet --labelled imdb_test_open.parquet --output results
    """
    settings = Settings(model, names or NAMES, rounds, processes, processor_time)
    try:
        benchmark(data, Columns(text_column, label_column), reviews, settings, output, Console(), labelled)
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def benchmark(
    file: str,
    columns: Columns,
    reviews: int,
    settings: Settings,
    output: Path | None,
    console: Console,
    labelled: str | None = None,
) -> None:
    """Measures, prints the tables and writes them to `output`.

    Args:
        labelled: a file of labelled reviews, to measure the cost of each precision.

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

    ids = draw(file, columns, artifact, reviews)
    with_labels = read_labelled(labelled, columns, artifact) if labelled else None
    results = {"data": Path(file).name, **run(artifact, ids, settings, report, with_labels)}
    for table in show.tables(results):
        console.print(table)
    for sentence in show.notes(results):
        report(sentence)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "scoring.json").write_text(json.dumps(results, indent=2) + "\n")
        (output / "scoring.md").write_text(show.markdown(results))
        show.save_figure(results, output / "scoring.svg")


def draw(file: str, columns: Columns, artifact: Artifact, reviews: int) -> Sequence[Ids]:
    """Draws `reviews` reviews at random from those that have words, encoded as int32[n] each.

    Raises:
        InputError: the data cannot be read, or has fewer such reviews.
    """
    tokenizer = artifact.tokenizer
    tokens = [tokens for text in read_texts([file], columns) if (tokens := tokenizer.words(text))]
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


def read_labelled(file: str, columns: Columns, artifact: Artifact) -> Labelled:
    """Reads all labelled reviews that have words.

    Raises:
        InputError: the data cannot be read, or all labels are the same.
        OptionError: nothing says which labels mean positive.
    """
    examples, tokenizer = read_examples([file], columns), artifact.tokenizer
    tokens = [tokenizer.words(text) for text in examples.texts]
    rows = [row for row, found in enumerate(tokens) if found]
    return Labelled(Path(file).name, [tokenizer.ids(tokens[row]) for row in rows], examples.labels[rows] == 1)


if __name__ == "__main__":
    main()
