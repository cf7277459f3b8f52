"""`python -m benchmarks.training`: compares what an epoch of training costs here and in the original notebook."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from batch_scorer.errors import InputError, ScorerError
from batch_scorer.silence import greet_tensorflow
from train.terminal import use_cores

HEADINGS = ("side", "batch", "padding", "of all", "seconds", "range", "ratio", "range")
SEED = 20
NAMES = (
    "notebook", "default, plain", "default", "default, half adversarial", "default, Keras' loops", "pre-training"
)  # fmt: skip


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", required=True, metavar="FILE", help="Labelled reviews, as `python -m train` takes them.")
@click.option("--id-column", help="Column that holds the id, whose hash decides the validation split.")
@click.option("--rounds", type=click.IntRange(1), default=5, help="How many times each side is timed.")
@click.option("--reviews", type=click.IntRange(2), default=1280, help="Training reviews per timed pass.")
@click.option("--side", "names", type=click.Choice(NAMES), multiple=True, metavar="NAME",
              help="A side to time, the first one being what others are compared with; may be repeated.  "
              f"[default: all; {'; '.join(NAMES)}]")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for training.json and training.md.")  # fmt: skip
def main(
    data: str, id_column: str | None, rounds: int, reviews: int, names: tuple[str, ...], output: Path | None
) -> None:
    """Time an epoch of the notebook's own training, of the default preset without its adversarial term, with it, and
    with it for half of the reviews, and of pre-training, on the same reviews. Nothing else should run on the machine.

    \b
    Example:
      python -m benchmarks.training --data imdb_train.parquet --id-column review_id --output results
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        run(data, id_column, rounds, reviews, output, Console(), names or NAMES)
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def run(
    file: str, id_column: str | None, rounds: int, reviews: int, output: Path | None, console: Console,
    names: Sequence[str] = NAMES, **sizes: Any,
) -> None:  # fmt: skip
    """Measures, prints the table and writes it to `output`.

    Args:
        names: of the sides, each one of `NAMES`.
        sizes: fields of `Architecture` that replace the defaults of both networks.

    Raises:
        InputError: the data cannot be read, or has fewer than `reviews` reviews for training.
    """
    import numpy as np

    use_cores()
    greet_tensorflow()
    import tensorflow as tf

    from batch_scorer.models.network import Architecture
    from benchmarks.training import measure
    from train import notebook, pretrain, trainer
    from train.data import Columns, read_examples
    from train.prepare import Prepared, from_texts
    from train.reading import Reading

    examples = read_examples([file], Columns(id=id_column))
    recipe, notebook_recipe = trainer.Recipe(), notebook.Recipe()

    def prepared(architecture: Architecture, as_keras: bool) -> tuple[Prepared, Architecture]:
        reading = Reading(architecture.max_words, architecture.max_length)
        data = from_texts(examples, recipe.validation_share, architecture.vocabulary_size, reading, as_keras)
        return data, dataclasses.replace(architecture, vocabulary_size=len(data.vocabulary))

    ours, ours_shape = prepared(dataclasses.replace(Architecture(recipe.vocabulary_size), **sizes), False)
    theirs, theirs_shape = prepared(
        dataclasses.replace(notebook.architecture(notebook_recipe.vocabulary_size), **sizes), True
    )  # Keras' numbering has one word fewer for the same number of ids
    if reviews > len(ours.training):
        raise InputError(
            "there are too few reviews",
            where=file,
            expected=f"at least {reviews:,} for training",
            got=f"{len(ours.training):,}",
            fix="reduce --reviews",
        )
    # All sides use the same reviews, drawn at random so that their lengths are representative.
    chosen = np.random.default_rng(SEED).choice(len(ours.training), reviews, replace=False)
    timed = measure.sample(ours.training, chosen)
    common = (ours, timed, ours_shape)
    plain, half = dataclasses.replace(recipe, perturbation=0.0), dataclasses.replace(recipe, adversarial=0.5)
    passes = rounds + 1  # including the warm-up
    ways: dict[str, Callable[[], measure.Side]] = {
        "notebook": lambda: measure.notebook_side(
            theirs, measure.sample(theirs.training, chosen), theirs_shape, notebook_recipe
        ),
        "default, plain": lambda: measure.trainer_side("default, plain", *common, plain, passes),
        "default": lambda: measure.trainer_side("default", *common, recipe, passes),
        "default, half adversarial": lambda: measure.trainer_side("default, half adversarial", *common, half, passes),
        "default, Keras' loops": lambda: measure.trainer_side(
            "default, Keras' loops", *common, recipe, passes, measure.KerasTrainer
        ),
        "pre-training": lambda: measure.pretraining_side(*common, pretrain.Recipe(), passes),
    }
    sides = [ways[name]() for name in names]
    of_sides = f"{len(sides)} side{'s' if len(sides) > 1 else ''}"
    console.print(f"{of_sides}, {reviews:,} reviews, 1 warm-up round and {rounds} timed", highlight=False)
    timings = measure.timings(sides, measure.time_rounds(sides, rounds), reviews)

    results = {
        "data": Path(file).name,
        "reviews": reviews,
        "rounds": rounds,
        "epoch_reviews": measure.EPOCH_REVIEWS,
        "cores": os.cpu_count(),
        "tensorflow": tf.__version__,
        "sides": [dataclasses.asdict(timing) for timing in timings],
    }
    title = f"an epoch of {measure.EPOCH_REVIEWS:,} reviews, and its time relative to that of the first side"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        is_name = heading == "side"  # the only column that may wrap
        table.add_column(heading, justify="left" if is_name else "right", no_wrap=not is_name)
    for side in results["sides"]:
        table.add_row(*cells(side))
    console.print(table)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / "training.json").write_text(json.dumps(results, indent=2) + "\n")
        (output / "training.md").write_text(markdown(results))


def cells(side: dict[str, Any]) -> list[str]:
    """A side's cells as text, in the order of `HEADINGS`."""
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


def markdown(results: dict[str, Any]) -> str:
    """The table as Markdown, with an explanation of how it was measured."""
    lines = [HEADINGS, ["---", *["---:"] * (len(HEADINGS) - 1)], *map(cells, results["sides"])]
    extent = f"{results['rounds']} round{'s' if results['rounds'] > 1 else ''} with {results['reviews']:,} reviews"
    machine = f"{results['cores']} cores, TensorFlow {results['tensorflow']}"
    note = f"""
An epoch of {results["epoch_reviews"]:,} reviews ({results["data"]}), extrapolated: medians of {extent}, in which the
sides took turns; {machine}. *Ratio*: the time relative to the first side's in the same round; *range*: minimum to
maximum. *Plain*: without the adversarial term; *half adversarial*: with it for half of the reviews. *Padding*: share of
ids that are padding in the timed passes; *of all*: the same in an epoch of all reviews, where sorting larger pools
leaves less padding, so that our sides are slightly faster than extrapolated.
"""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + note


if __name__ == "__main__":
    main()
