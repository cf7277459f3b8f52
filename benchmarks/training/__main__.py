"""`python -m benchmarks.training`: what an epoch costs, the notebook's way and ours, side by side."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from batch_scorer.errors import InputError, ScorerError
from batch_scorer.silence import greet_tensorflow

HEADINGS = ("side", "batch", "padding", "of all", "seconds", "range", "ratio", "range")
SEED = 20


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Labelled reviews, as `python -m train` takes them.")
@click.option("--id-column", help="Column of the id by which the validation split is cut.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="How often each side is timed.")
@click.option("--reviews", type=click.IntRange(2), default=1280, help="Training reviews in a timed pass.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where training.json and training.md go.")  # fmt: skip
def main(data: str, id_column: str | None, rounds: int, reviews: int, output: Path | None) -> None:
    """Times an epoch of the notebook's own way, of the default preset without and with its adversarial term, and of
    pre-training, on the same reviews. Nothing else should run on the machine.

    \b
    Example:
      python -m benchmarks.training --data imdb_train.parquet --id-column review_id --output results
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        run(data, id_column, rounds, reviews, output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def run(
    file: str, id_column: str | None, rounds: int, reviews: int, output: Path | None, console: Console,
    **sizes: Any,
) -> None:  # fmt: skip
    """Measures, prints the table, and writes it into `output`.

    Args:
        sizes: of both networks, where they are not the usual ones: fields of `Architecture`.

    Raises:
        InputError: the data cannot be read, or are fewer than `reviews` after the split.
    """
    import numpy as np

    greet_tensorflow()
    import tensorflow as tf

    from batch_scorer.models.network import Architecture
    from benchmarks.training import measure
    from train import notebook, pretrain, trainer
    from train.data import Columns, read_examples
    from train.prepare import Prepared, from_texts

    examples = read_examples([file], Columns(id=id_column))
    recipe, old = trainer.Recipe(), notebook.Recipe()

    def prepared(usual: Architecture, as_keras: bool) -> tuple[Prepared, Architecture]:
        shape = (recipe.validation_share, usual.vocabulary_size, usual.max_words, usual.max_length)
        data = from_texts(examples, *shape, as_keras)
        return data, dataclasses.replace(usual, vocabulary_size=len(data.vocabulary))

    ours, ours_shape = prepared(dataclasses.replace(Architecture(recipe.vocabulary_size), **sizes), False)
    theirs, theirs_shape = prepared(
        dataclasses.replace(notebook.architecture(old.vocabulary_size), **sizes), True
    )  # Keras' numbering has one word fewer among as many ids
    if reviews > len(ours.training):
        raise InputError(
            "there are too few reviews", where=file, expected=f"{reviews:,} to train on", got=f"{len(ours.training):,}"
        )
    # The same reviews for every side, drawn at random: their lengths are those of the whole.
    chosen = np.random.default_rng(SEED).choice(len(ours.training), reviews, replace=False)
    timed = measure.sample(ours.training, chosen)
    common = (ours, timed, ours_shape)
    plain = dataclasses.replace(recipe, perturbation=0.0)
    passes = rounds + 1  # the warm-up is one
    sides = [
        measure.notebook_side(theirs, measure.sample(theirs.training, chosen), theirs_shape, old),
        measure.trainer_side("default, plain", *common, plain, passes),
        measure.trainer_side("default", *common, recipe, passes),
        measure.pretraining_side(*common, pretrain.Recipe(), passes),
    ]
    console.print(f"{len(sides)} sides, {reviews:,} reviews, a round to warm up and {rounds} timed", highlight=False)
    timings = measure.timings(sides, measure.time_rounds(sides, rounds), reviews)

    found = {
        "data": Path(file).name,
        "reviews": reviews,
        "rounds": rounds,
        "epoch_reviews": measure.EPOCH_REVIEWS,
        "cores": os.cpu_count(),
        "tensorflow": tf.__version__,
        "sides": [dataclasses.asdict(timing) for timing in timings],
    }
    title = f"an epoch of {measure.EPOCH_REVIEWS:,} reviews, and its time over the notebook's"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        named_column = heading == "side"  # the only one that may wrap
        table.add_column(heading, justify="left" if named_column else "right", no_wrap=not named_column)
    for side in found["sides"]:
        table.add_row(*cells(side))
    console.print(table)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "training.json").write_text(json.dumps(found, indent=2) + "\n")
        (output / "training.md").write_text(markdown(found))


def cells(side: dict[str, Any]) -> list[str]:
    """A side as text, in the order of `HEADINGS`."""
    return [
        side["name"],
        f"{side['batch_size']}",
        f"{side['padding_timed']:.1%}",
        f"{side['padding']:.1%}",
        f"{side['seconds']:,.0f}",
        f"{side['seconds_low']:,.0f} to {side['seconds_high']:,.0f}",
        f"{side['ratio']:.2f}",
        f"{side['ratio_low']:.2f} to {side['ratio_high']:.2f}",
    ]


def markdown(found: dict[str, Any]) -> str:
    """The table as Markdown, with how it was measured."""
    lines = [HEADINGS, ["---", *["---:"] * (len(HEADINGS) - 1)], *map(cells, found["sides"])]
    extent = f"{found['rounds']} rounds over {found['reviews']:,} of the reviews"
    machine = f"{found['cores']} cores, TensorFlow {found['tensorflow']}"
    note = f"""
An epoch of {found["epoch_reviews"]:,} reviews ({found["data"]}), extrapolated: medians of {extent}, in which the sides
took turns; {machine}. *Ratio*: the time over the notebook's in the same round; *range*: least to most. *Plain*: without
the adversarial term. *Padding*: share of the ids that are padding, in the passes timed; *of all*: the same in an epoch
of all reviews, where larger pools to sort leave less of it: our sides are a little faster there than extrapolated.
"""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + note


if __name__ == "__main__":
    main()
