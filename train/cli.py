"""`python -m train`: labelled reviews in, a model artefact out."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from batch_scorer.errors import OutputError, ScorerError
from train.data import Columns, Examples, read_examples, split

PROBE = "An honest film: slow to start, but the last hour is wonderful and I would happily watch it again."


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", "sources", multiple=True, required=True, metavar="FILE",
              help="Labelled reviews: Parquet, CSV, TSV, JSONL, a directory like aclImdb, or 'imdb' to download it. "
                   "May be given several times.")  # fmt: skip
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Directory to write the artefact to.")
@click.option("--text-column", default="text", help="Column of the review.")
@click.option("--label-column", default="label", help="Column of the label.")
@click.option("--positive-value", default="1", help="The label, as text, that means positive.")
@click.option("--id-column", help="Column of the id by which the validation split is cut.  [default: the text's hash]")
@click.option("--name", default="reviews", help="Name of the model, for people.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most.  [default: the recipe's]")
@click.option("--batch-size", type=click.IntRange(1), help="Reviews a step.  [default: the recipe's]")
@click.option("--seed", type=int, help="Seed of weights, order and dropout.  [default: the recipe's]")
@click.option("--work", type=click.Path(path_type=Path), help="Directory of checkpoints.  [default: OUTPUT.work]")
@click.option("--resume", is_flag=True, help="Go on from the last epoch that was finished.")
def main(
    sources: tuple[str, ...], output: Path, text_column: str, label_column: str, positive_value: str,
    id_column: str | None, name: str, epochs: int | None, batch_size: int | None, seed: int | None,
    work: Path | None, resume: bool,
) -> None:  # fmt: skip
    """Trains the model of batch-scorer and writes it as an artefact.

    \b
    Examples:
      python -m train --data reviews.parquet --output model
      python -m train --data reviews.csv --label-column stars --positive-value 5 --output model
      python -m train --data imdb --output model
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    changes = {k: v for k, v in {"epochs": epochs, "batch_size": batch_size, "seed": seed}.items() if v is not None}
    columns = Columns(text_column, label_column, positive_value, id_column)
    try:
        if (output / "manifest.json").exists():
            raise OutputError("the output already holds a model", where=str(output), fix="give another --output")
        examples = read_examples(sources, columns)
        train(examples, output, work or Path(f"{output}.work"), name, changes, resume)
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def train(examples: Examples, output: Path, work: Path, name: str, changes: dict[str, Any], resume: bool) -> None:
    """Trains on `examples` and writes the artefact; `changes` replace settings of the default recipe."""
    import keras
    import numpy as np
    import tensorflow as tf
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from batch_scorer import artifact
    from batch_scorer.model import Architecture, probability
    from batch_scorer.profile import measure
    from batch_scorer.tokenizer import OOV, Tokenizer, build_vocabulary, words
    from train.fit import Recipe, describe, fit

    console = Console()
    recipe = dataclasses.replace(Recipe(), **changes)
    training, validation = split(examples, recipe.validation_share)
    vocabulary, counts = build_vocabulary(training.texts, recipe.vocabulary_size)
    architecture = Architecture(vocabulary_size=len(vocabulary))
    tokenizer = Tokenizer(vocabulary)
    console.print(f"{len(training):,} reviews to train on, {len(validation):,} held out; {len(vocabulary):,} ids")
    encoded = [tokenizer.ids(words(text)) for text in training.texts]
    held_words = [words(text) for text in validation.texts]
    held_encoded = [tokenizer.ids(found) for found in held_words]

    columns = [TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("loss {task.fields[loss]:.4f}"), TimeElapsedColumn(), TimeRemainingColumn()]  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", epoch=0, loss=0.0, total=None)

        def on_step(epoch: int) -> Any:
            bar.reset(task, epoch=epoch, loss=0.0)
            return lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)

        def on_epoch(line: dict[str, Any]) -> None:
            console.print(
                f"epoch {line['epoch']}: training loss {line['training_loss']:.4f}; validation accuracy "
                f"{line['accuracy']:.4f}, log loss {line['log_loss']:.4f}, temperature {line['temperature']:.2f}"
            )

        fitted = fit(
            recipe, architecture, counts, (encoded, training.labels), (held_encoded, validation.labels),
            work, resume, on_step, on_epoch,
        )  # fmt: skip

    n_used = np.array([len(ids) - 1 for ids in held_encoded])
    model_id = artifact.save(
        str(output),
        name=name,
        architecture=architecture,
        vocabulary=vocabulary,
        tensors=fitted.tensors,
        max_words=tokenizer.max_words,
        temperature=fitted.temperature,
        threshold=0.5,
        training_profile=measure(
            np.array([len(found) for found in held_words]),
            n_used,
            np.array([int((ids == OOV).sum()) for ids in held_encoded]),
            probability(fitted.validation_logits, fitted.temperature),
        ),
        metrics={"validation": fitted.validation},
        training={
            "recipe": describe(recipe),
            "epoch": fitted.epoch,
            "reviews": len(training),
            "validation_reviews": len(validation),
            "data_sha256": examples.fingerprint(),
        },
        versions={"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__},
        probe_text=PROBE,
    )
    shutil.rmtree(work)
    found = fitted.validation
    console.print(
        f"model {model_id} in {output}: validation accuracy {found['accuracy']:.4f} "
        f"({found['accuracy_low']:.4f} to {found['accuracy_high']:.4f}), AUC {found['auc']:.4f}, ECE {found['ece']:.4f}"
    )
