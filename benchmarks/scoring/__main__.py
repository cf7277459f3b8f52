"""`python -m benchmarks.scoring`: every way of running the network, side by side on the same reviews."""

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
@click.option("--text-column", default="text", help="Column of the text.")
@click.option("--model", default=SHIPPED, show_default="the shipped one", metavar="DIR", help="A model artefact.")
@click.option("--reviews", type=click.IntRange(1), default=2048, help="How many of them, drawn at random.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often each contender is timed.")
@click.option("--contender", "names", multiple=True, type=click.Choice(NAMES), metavar="NAME",
              help=f"Only this one; may be given several times. One of: {', '.join(NAMES)}.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1), default=cores, show_default="one a core",
              help="Processes of one thread each, a contender.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where scoring.json, scoring.md and scoring.svg go.")  # fmt: skip
def main(
    data: str, text_column: str, model: str, reviews: int, rounds: int, names: tuple[str, ...], processes: int,
    output: Path | None,
) -> None:  # fmt: skip
    """Scores and explains the same reviews with each contender in turn, and compares the times.

    Nothing else should run on the machine. Peers come with the extra `bench`; those that are not installed are left
    out.

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
    """Measures, prints the table, and writes it into `output`.

    Raises:
        InputError: the data cannot be read, or are fewer than `reviews`.
        ArtifactError: the model cannot be read, or is a variant that the contenders do not know.
        OptionError: see `run`; or there is an `output` and no matplotlib.
        EngineError: see `run`.
    """
    if output and importlib.util.find_spec("matplotlib") is None:
        raise OptionError("--output draws a figure, with matplotlib", fix="pip install -e '.[evaluate]'")
    artifact = load(settings.model)
    if not artifact.architecture.foldable:
        raise ArtifactError(
            "only Keras runs this variant of the network",
            where=settings.model,
            expected="a model with a mask and sigmoid gates",
            got="the notebook's variant",
        )

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    found = {"data": Path(file).name, **run(artifact, draw(file, text_column, artifact, reviews), settings, say)}
    console.print(show.table(found))
    for sentence in show.notes(found):
        say(sentence)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "scoring.json").write_text(json.dumps(found, indent=2) + "\n")
        (output / "scoring.md").write_text(show.markdown(found))
        show.save_figure(found, output / "scoring.svg")


def draw(file: str, text_column: str, artifact: Artifact, reviews: int) -> Sequence[Ids]:
    """So many reviews, drawn at random from those that have words, encoded: int32[n] each.

    Raises:
        InputError: the data cannot be read, or hold fewer.
    """
    import numpy as np

    from batch_scorer.models.tokenizer import words
    from train.data import Columns, read_texts

    found = [some for text in read_texts([file], Columns(text=text_column)) if (some := words(text))]
    if len(found) < reviews:
        raise InputError("there are too few reviews", where=file, expected=f"{reviews:,}", got=f"{len(found):,}")
    chosen = np.random.default_rng(SEED).choice(len(found), reviews, replace=False)
    tokenizer = artifact.tokenizer
    return [tokenizer.ids(found[i]) for i in chosen]


if __name__ == "__main__":
    main()
