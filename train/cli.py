"""`python -m train`: labelled reviews in, a model artefact out."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from batch_scorer.errors import OptionError, OutputError, ScorerError
from train.data import Columns, read_examples, read_texts


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", "sources", multiple=True, required=True, metavar="FILE",
              help="Labelled reviews: Parquet, CSV, TSV, JSONL, a directory like aclImdb, or 'imdb' to download it. "
                   "May be given several times.")  # fmt: skip
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Directory to write the artefact to.")
@click.option("--preset", type=click.Choice(["default", "full", "notebook"]), default="default",
              help="What to train: our network; the same, pre-trained on all texts; or the "
                   "notebook's that it came from, for comparison.")  # fmt: skip
@click.option("--unlabelled", multiple=True, metavar="FILE",
              help="Texts without labels to pre-train on (preset full). May be given several times.")  # fmt: skip
@click.option("--word-index", type=click.Path(path_type=Path), metavar="FILE",
              help="Keras' imdb_word_index.json, where --data is Keras' imdb.npz (preset notebook).")  # fmt: skip
@click.option("--text-column", default="text", help="Column of the review.")
@click.option("--label-column", default="label", help="Column of the label.")
@click.option("--positive-value", default="1", help="The label, as text, that means positive.")
@click.option("--id-column", help="Column of the id by which the validation split is cut.  [default: the text's hash]")
@click.option("--name", default="reviews", help="Name of the model, for people.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs at most.  [default: the recipe's]")
@click.option("--pretraining-epochs", type=click.IntRange(1), help="Of preset full.  [default: the recipe's]")
@click.option("--batch-size", type=click.IntRange(1), help="Reviews a step.  [default: the recipe's]")
@click.option("--seed", type=int, help="Seed of weights, order and dropout.  [default: the recipe's]")
@click.option("--work", type=click.Path(path_type=Path), help="Directory of checkpoints.  [default: OUTPUT.work]")
@click.option("--resume", is_flag=True, help="Go on from the last epoch that was finished.")
def main(
    sources: tuple[str, ...], output: Path, preset: str, unlabelled: tuple[str, ...], word_index: Path | None,
    text_column: str, label_column: str, positive_value: str, id_column: str | None, name: str, epochs: int | None,
    pretraining_epochs: int | None, batch_size: int | None, seed: int | None, work: Path | None, resume: bool,
) -> None:  # fmt: skip
    """Trains the model of batch-scorer and writes it as an artefact.

    \b
    Examples:
      python -m train --data reviews.parquet --output model
      python -m train --data reviews.csv --label-column stars --positive-value 5 --output model
      python -m train --data imdb --output model
      python -m train --preset full --data imdb --unlabelled imdb --output model
      python -m train --preset notebook --data imdb.npz --word-index imdb_word_index.json --output model
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    given: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    changes = {name: value for name, value in given.items() if value is not None}
    columns = Columns(text_column, label_column, positive_value, id_column)
    try:
        if (output / "manifest.json").exists():
            raise OutputError("the output already holds a model", where=str(output), fix="give another --output")
        if (word_index is not None) != any(source.endswith(".npz") for source in sources) or (
            word_index and (preset != "notebook" or len(sources) > 1)
        ):
            raise OptionError(
                "Keras' files go together, and with the preset notebook only",
                expected="--preset notebook --data imdb.npz --word-index imdb_word_index.json",
            )
        if preset != "full" and (unlabelled or pretraining_epochs):
            raise OptionError("--unlabelled and --pretraining-epochs are for pre-training", fix="give --preset full")
        if pretraining_epochs:
            from train import pretrain

            changes["pretraining"] = pretrain.Recipe(epochs=pretraining_epochs)
        train(
            preset,
            sources,
            columns,
            unlabelled,
            word_index,
            output,
            work or Path(f"{output}.work"),
            name,
            changes,
            resume,
        )
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def train(
    preset: str, sources: tuple[str, ...], columns: Columns, unlabelled: tuple[str, ...], word_index: Path | None,
    output: Path, work: Path, name: str, changes: dict[str, Any], resume: bool,
) -> None:  # fmt: skip
    """Trains on the data of `sources` and writes the artefact; `changes` replace settings of the preset's recipe."""
    from rich.console import Console

    from batch_scorer.model import Architecture
    from train import fit, full, notebook
    from train.keras_files import read_keras_files
    from train.prepare import from_ranks, from_texts
    from train.publish import publish

    console = Console()
    recipe: Any
    run: Any
    if preset == "notebook":
        recipe = dataclasses.replace(notebook.Recipe(), **changes)
        architecture, run = notebook.architecture(recipe.vocabulary_size), notebook.fit
    else:
        recipe = dataclasses.replace(full.Recipe() if preset == "full" else fit.Recipe(), **changes)
        architecture, run = Architecture(recipe.vocabulary_size), full.fit if preset == "full" else fit.fit
    shape = (recipe.validation_share, recipe.vocabulary_size, architecture.max_words, architecture.max_length)
    if word_index:
        data = from_ranks(read_keras_files(Path(sources[0]), word_index), *shape)
    else:
        more = read_texts(unlabelled, columns)
        data = from_texts(read_examples(sources, columns), *shape, preset == "notebook", more)
    architecture = dataclasses.replace(architecture, vocabulary_size=len(data.vocabulary))
    console.print(
        f"{len(data.training):,} reviews to train on, {len(data.unlabelled):,} more to pre-train on, "
        f"{len(data.validation):,} held out; {len(data.vocabulary):,} ids"
    )
    if preset == "notebook":
        lengths = data.lengths()
        console.print(f"the longest review has {lengths.max():,} ids, the mean is {lengths.mean():.2f}, start included")
    with _bar(console) as on_step:

        def on_epoch(line: dict[str, Any]) -> None:
            if "perplexity" in line:
                console.print(f"pre-training epoch {line['epoch']}: validation perplexity {line['perplexity']:.1f}")
                return
            console.print(
                f"epoch {line['epoch']}: training loss {line['training_loss']:.4f}; validation accuracy "
                f"{line['accuracy']:.4f}, log loss {line['log_loss']:.4f}, temperature {line['temperature']:.2f}"
            )

        fitted = run(recipe, architecture, data, work, resume, on_step, on_epoch)
    model_id = publish(output, name, architecture, data, fitted, recipe)
    shutil.rmtree(work)
    found = fitted.validation
    console.print(
        f"model {model_id} in {output}: validation accuracy {found['accuracy']:.4f} "
        f"({found['accuracy_low']:.4f} to {found['accuracy_high']:.4f}), AUC {found['auc']:.4f}, ECE {found['ece']:.4f}"
    )


@contextmanager
def _bar(console: Any) -> Iterator[Any]:
    """A progress bar; gives what makes, for each epoch, the function to call after each step."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("loss {task.fields[loss]:.4f}"), TimeElapsedColumn(), TimeRemainingColumn()]  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", epoch=0, loss=0.0, total=None)

        def on_step(epoch: int) -> Any:
            bar.reset(task, epoch=epoch, loss=0.0)
            return lambda done, total, loss: bar.update(task, completed=done, total=total, loss=loss)

        yield on_step
