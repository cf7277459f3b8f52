"""`python -m train`: labelled reviews in, a model artefact out. Commands assess one, or bring one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scorer.cli.framework import SETTINGS, JobGroup, option, reports_errors
from batch_scorer.cli.numbers import Count, Number
from batch_scorer.errors import OptionError, OutputError
from batch_scorer.escape import install
from train.data import Say
from train.evaluate.checks.command import check
from train.evaluate.command import card, evaluate
from train.importing.command import import_command
from train.options import changed, column_options, columns_and_reading, read_options
from train.run import Run
from train.terminal import prepare

if TYPE_CHECKING:
    from train.inputs import Inputs

# The sections of the help.
_FIRST, _DATA, _RECIPE, _RUN = "Options that matter first", "Data", "Recipe", "Run"


@click.group(cls=JobGroup, invoke_without_command=True, context_settings=SETTINGS, no_args_is_help=True)
@option(_FIRST, "--data", "sources", multiple=True, metavar="INPUT",
        help="Labelled reviews: files, directories and globs as `score` reads them, a directory laid out like aclImdb, "
             "or 'imdb' to download that data set; may be repeated.")  # fmt: skip
@option(_FIRST, "--output", type=click.Path(path_type=Path), metavar="DIR", help="Directory for the model artefact.")
@column_options(_FIRST)
@option(_FIRST, "--start-from", metavar="MODEL",
        help="Adapt a trained model to --data, which may be as few as 50 labels, instead of training a new one: "
             "'shipped', or the directory of a model.")  # fmt: skip
@option(_FIRST, "--resume", is_flag=True,
        help="Continue from the last checkpoint in the work directory, if there is one.")  # fmt: skip
@option(_DATA, "--id-column", metavar="NAME",
        help="Column that holds its id, whose hash decides the validation split.  "
             "[default: a hash of the text]")  # fmt: skip
@option(_DATA, "--validation", multiple=True, metavar="INPUT",
        help="Labelled reviews that choose the epoch and calibrate, instead of a tenth of --data; may be "
             "repeated.")  # fmt: skip
@option(_DATA, "--unlabelled", multiple=True, metavar="INPUT",
        help="Texts without labels, for pre-training (preset full) or to learn new words from (--start-from); may be "
             "repeated.")  # fmt: skip
@read_options(_DATA)
@option(_DATA, "--word-index", type=click.Path(path_type=Path), metavar="FILE",
        help="Keras' imdb_word_index.json; required when --data is Keras' imdb.npz (preset notebook).")  # fmt: skip
@option(_RECIPE, "--preset", type=click.Choice(["default", "full", "notebook"]), default="default",
        help="default: this project's network, from the labelled reviews alone; full: the same network, pre-trained "
             "on all texts; notebook: for comparison, the network that this project grew out of.")  # fmt: skip
@option(_RECIPE, "--tokenizer", type=click.Choice(["words", "subwords"]), default="words",
        help="What an id of the model stands for: words, or pieces of them, for languages with many forms of a word "
             "or without blanks between words (presets default and full).")  # fmt: skip
@option(_RECIPE, "--name", default="reviews", metavar="NAME", help="Name of the model, for people to read.")
@option(_RECIPE, "--epochs", type=Count(1), metavar="N",
        help="Maximum number of epochs.  [default: the recipe's]")  # fmt: skip
@option(_RECIPE, "--batch-size", type=Count(1), metavar="N", help="Reviews per step.  [default: the recipe's]")
@option(_RECIPE, "--seed", type=int, metavar="N",
        help="Seed of the initial weights, the order and the dropout.  [default: the recipe's]")  # fmt: skip
@option(_RECIPE, "--set", "settings", multiple=True, metavar="NAME=VALUE",
        help="Change any other setting of the recipe, by its name in the code: perturbation=0, "
             "pretraining.epochs=4; may be repeated.")  # fmt: skip
@option(_RECIPE, "--pretrained", type=click.Path(path_type=Path), metavar="FILE",
        help="Skip pre-training and start from the pretrained.npz in the work directory of another run, whose words "
             "are matched by name (preset full).")  # fmt: skip
@option(_RECIPE, "--counterfactual", multiple=True, metavar="FILE",
        help="Reviews rewritten to the opposite sentiment, in the columns text, label and pair (preset full); may be "
             "repeated.")  # fmt: skip
@option(_RECIPE, "--counterfactual-holdout", metavar="PREFIX",
        help="Train neither on pairs whose column id begins with PREFIX nor on their originals.")  # fmt: skip
@option(_RECIPE, "--teacher", type=click.Path(path_type=Path), metavar="FILE",
        help="Skip the teacher and use the teacher.npz in the work directory of another run (preset "
             "full).")  # fmt: skip
@option(_RECIPE, "--teacher-model", "teacher_models", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
        help="A finished model, of the words that are trained on, that joins the teacher; may be repeated (preset "
             "full).")  # fmt: skip
@option(_RECIPE, "--start-model", type=click.Path(path_type=Path), metavar="DIR",
        help="Start from the network of this model, with its words, and let it join the teacher (preset "
             "full).")  # fmt: skip
@option(_RUN, "--work", type=click.Path(path_type=Path), metavar="DIR",
        help="Directory for checkpoints, the training log and the page about it.  [default: OUTPUT.work]")  # fmt: skip
@option(_RUN, "--checkpoint-seconds", type=Number(0), default=120.0, metavar="SECONDS",
        help="Seconds between checkpoints (presets default and full).")  # fmt: skip
@option(_RUN, "--deterministic", is_flag=True,
        help="Restrict TensorFlow to deterministic kernels. Slower; on a CPU the usual ones have given the same "
             "bits.")  # fmt: skip
@click.pass_context
@reports_errors
def main(
    context: click.Context, sources: tuple[str, ...], output: Path | None, start_from: str | None, preset: str,
    tokenizer: str,
    validation: tuple[str, ...], unlabelled: tuple[str, ...], word_index: Path | None, name: str, epochs: int | None,
    batch_size: int | None, seed: int | None, settings: tuple[str, ...], pretrained: Path | None,
    counterfactual: tuple[str, ...], counterfactual_holdout: str | None, teacher: Path | None,
    teacher_models: tuple[Path, ...], start_model: Path | None, work: Path | None, checkpoint_seconds: float,
    deterministic: bool, resume: bool,
    **reading: Any,
) -> None:  # fmt: skip
    """Train a model for batch-scorer on labelled reviews, and write it as an artefact.

    The commands below bring a model that was trained in Keras, or assess one: see `python -m train import --help`.

    \b
    Examples:
      python -m train --data reviews.parquet --output model
      python -m train --data reviews.csv --label-column stars --positive-value '>=4' --negative-value '<=2' \\
          --output model
      python -m train --data 'exports/*.csv.gz' --encoding cp1252 --output model
      python -m train --data imdb --output model
      python -m train --data korean.parquet --tokenizer subwords --output model
      python -m train --data reviews.csv --output model --resume
      python -m train --start-from shipped --data my_labels.csv --output model
      python -m train --preset full --data imdb --unlabelled imdb --output model
      python -m train --preset notebook --data imdb.npz --word-index imdb_word_index.json --output model
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if context.invoked_subcommand is not None:
        return
    if not sources or output is None:
        raise click.UsageError("training needs --data and --output")
    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    changes = {name: value for name, value in options.items() if value is not None}
    columns, reads = columns_and_reading(**reading)
    if (output / "manifest.json").exists():
        raise OutputError("the output already holds a model", where=str(output), fix="choose another --output")
    from train.inputs import Inputs

    inputs = Inputs(
        sources, columns, reads, validation, unlabelled, word_index, counterfactual, counterfactual_holdout, pretrained,
        teacher, start_model, tokenizer == "subwords", teacher_models,
    )  # fmt: skip
    inputs.check(preset, start_from)
    work = work or Path(f"{output}.work")
    if start_from is not None:
        from train.adapt.command import start

        start(start_from, inputs, output, work, name, changes, settings, deterministic, resume)
        return
    train(preset, inputs, output, work, name, changes, settings, checkpoint_seconds, deterministic, resume)


def train(
    preset: str, inputs: Inputs, output: Path, work: Path, name: str, changes: dict[str, Any],
    settings: tuple[str, ...], checkpoint_seconds: float, deterministic: bool, resume: bool,
) -> None:  # fmt: skip
    """Trains on what is given and writes the artefact; `changes` and `settings` override the recipe."""
    console, say = prepare(deterministic)
    from batch_scorer.models.network import Architecture
    from train import full, notebook, trainer
    from train.overview import overview
    from train.page.write import write_page
    from train.progress import bar, measured
    from train.publish import publish

    recipes: dict[str, Any] = {"default": trainer.Recipe, "full": full.Recipe, "notebook": notebook.Recipe}
    recipe = changed(dataclasses.replace(recipes[preset](), **changes), settings)
    if not 0 < recipe.validation_share < 1:
        got = f"validation_share={recipe.validation_share:g}"
        raise OptionError("no reviews would be left for one side", expected="a share between 0 and 1", got=got)
    architecture = Architecture(recipe.vocabulary_size)
    if preset == "notebook":
        architecture = notebook.architecture(recipe.vocabulary_size)
    data, rewritten = inputs.prepare(preset, recipe, architecture, say)
    architecture = dataclasses.replace(architecture, vocabulary_size=len(data.vocabulary))
    seen = overview(data)
    for line in seen.lines():
        say(line)
    if preset == "notebook":
        lengths = data.lengths()
        say(f"the longest review has {lengths.max():,} ids, the mean is {lengths.mean():.2f}, start mark included")
    fixed = {
        "preset": preset,
        "data": data.digest(),
        "recipe": dataclasses.asdict(recipe),
        **inputs.settings(rewritten),
    }
    with bar(console) as on_step:
        run = Run(work, resume, fixed, on_step, lambda line: say(measured(line)), checkpoint_seconds)
        fitted = inputs.fitting(preset, rewritten)(recipe, architecture, data, run)
    model_id = publish(output, name, architecture, data, fitted, recipe, inputs.provenance(rewritten))
    run.finish()
    draw_curves(run, say)
    write_page(output, run, data, fitted, seen, {"data": inputs.sources, **fixed}, say)
    quality = fitted.validation
    figures = f"AUC {quality['auc']:.4f}, ECE {quality['ece']:.4f}"
    say(f"model {model_id} in {output}: validation {accuracy(quality)}, {figures}")
    if warning := no_use(quality["accuracy"], float(data.validation.labels.mean())):
        say(f"warning: {warning}")
    if others := seen.without_repeats(fitted, data.validation):
        say(f"without the held-out reviews that repeat one trained on: {accuracy(others)}")


def accuracy(quality: Mapping[str, float]) -> str:
    """An accuracy and its interval, in words."""
    low, high = quality["accuracy_low"], quality["accuracy_high"]
    return f"accuracy {quality['accuracy']:.4f} ({low:.4f} to {high:.4f})"


def no_use(accuracy: float, positive: float) -> str | None:
    """What to say of a model that is right no more often than one label for all reviews; None of any other.

    Args:
        positive: share of the held-out reviews that are.
    """
    if accuracy > (always := max(positive, 1 - positive)):
        return None
    label = "positive" if positive >= 0.5 else "negative"
    return (
        f"this model is of no use yet: whoever called every held-out review {label} would be right on {always:.4f} of "
        "them; give more labelled reviews, or more --epochs"
    )


def draw_curves(run: Run, say: Say) -> None:
    """Draws the training log as `curves.svg` beside it, if matplotlib is installed."""
    try:
        from train.evaluate.figures import curves, save
    except ImportError:
        say(f"curves.svg needs matplotlib; from a checkout: {install('evaluate')}")
        return
    save(curves(run.lines), run.directory / "curves.svg")
    say(f"log and curves in {run.directory}")


for command in (import_command, evaluate, card, check):
    main.add_command(command)
