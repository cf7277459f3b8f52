"""`python -m train`: labelled reviews in, a model artefact out. `evaluate` and `card` assess the result."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scorer.cli.framework import SETTINGS, JobGroup, option, reports_errors
from batch_scorer.cli.numbers import Count, Number
from batch_scorer.errors import OptionError, OutputError
from batch_scorer.escape import install, safe
from batch_scorer.silence import greet_tensorflow
from train.data import Say
from train.evaluate.checks.command import check
from train.evaluate.command import card, evaluate
from train.options import column_options, columns_and_reading, read_options, setting_of
from train.run import Run
from train.sides import GIVEN

if TYPE_CHECKING:
    from train.inputs import Inputs

# The sections of the help.
_FIRST, _DATA, _RECIPE, _RUN = "Options that matter first", "Data", "Recipe", "Run"

FEW_CORES = 4


@click.group(cls=JobGroup, invoke_without_command=True, context_settings=SETTINGS, no_args_is_help=True)
@option(_FIRST, "--data", "sources", multiple=True, metavar="INPUT",
        help="Labelled reviews: files, directories and globs as `score` reads them, a directory laid out like aclImdb, "
             "or 'imdb' to download that data set; may be repeated.")  # fmt: skip
@option(_FIRST, "--output", type=click.Path(path_type=Path), metavar="DIR", help="Directory for the model artefact.")
@column_options(_FIRST)
@option(_FIRST, "--resume", is_flag=True,
        help="Continue from the last checkpoint in the work directory, if there is one.")  # fmt: skip
@option(_DATA, "--id-column", metavar="NAME",
        help="Column that holds its id, whose hash decides the validation split.  "
             "[default: a hash of the text]")  # fmt: skip
@option(_DATA, "--validation", multiple=True, metavar="INPUT",
        help="Labelled reviews that choose the epoch and calibrate, instead of a tenth of --data; may be "
             "repeated.")  # fmt: skip
@option(_DATA, "--unlabelled", multiple=True, metavar="INPUT",
        help="Texts without labels for pre-training (preset full); may be repeated.")  # fmt: skip
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
        help="Skip pre-training and start from the pretrained.npz in the work directory of another run "
             "(preset full).")  # fmt: skip
@option(_RECIPE, "--counterfactual", multiple=True, metavar="FILE",
        help="Reviews rewritten to the opposite sentiment, in the columns text, label and pair (preset full); may be "
             "repeated.")  # fmt: skip
@option(_RECIPE, "--counterfactual-holdout", metavar="PREFIX",
        help="Train neither on pairs whose column id begins with PREFIX nor on their originals.")  # fmt: skip
@option(_RECIPE, "--teacher", type=click.Path(path_type=Path), metavar="FILE",
        help="Skip the teacher and use the teacher.npz in the work directory of another run (preset "
             "full).")  # fmt: skip
@option(_RECIPE, "--start-model", type=click.Path(path_type=Path), metavar="DIR",
        help="Start from the network of this model, which has the same words, and let it join the teacher (preset "
             "full).")  # fmt: skip
@option(_RUN, "--work", type=click.Path(path_type=Path), metavar="DIR",
        help="Directory for checkpoints, the training log and its curves.  [default: OUTPUT.work]")  # fmt: skip
@option(_RUN, "--checkpoint-seconds", type=Number(0), default=120.0, metavar="SECONDS",
        help="Seconds between checkpoints (presets default and full).")  # fmt: skip
@option(_RUN, "--deterministic", is_flag=True,
        help="Restrict TensorFlow to deterministic kernels. Slower; on a CPU the usual ones have given the same "
             "bits.")  # fmt: skip
@click.pass_context
@reports_errors
def main(
    context: click.Context, sources: tuple[str, ...], output: Path | None, preset: str, tokenizer: str,
    validation: tuple[str, ...], unlabelled: tuple[str, ...], word_index: Path | None, name: str, epochs: int | None,
    batch_size: int | None, seed: int | None, settings: tuple[str, ...], pretrained: Path | None,
    counterfactual: tuple[str, ...], counterfactual_holdout: str | None, teacher: Path | None,
    start_model: Path | None, work: Path | None, checkpoint_seconds: float, deterministic: bool, resume: bool,
    **reading: Any,
) -> None:  # fmt: skip
    """Train a model for batch-scorer on labelled reviews, and write it as an artefact.

    The commands below assess a trained model instead: see `python -m train evaluate --help`.

    \b
    Examples:
      python -m train --data reviews.parquet --output model
      python -m train --data reviews.csv --label-column stars --positive-value '>=4' --negative-value '<=2' \\
          --output model
      python -m train --data 'exports/*.csv.gz' --encoding cp1252 --output model
      python -m train --data imdb --output model
      python -m train --data korean.parquet --tokenizer subwords --output model
      python -m train --data reviews.csv --output model --resume
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
        teacher, start_model, tokenizer == "subwords",
    )  # fmt: skip
    inputs.check(preset)
    work = work or Path(f"{output}.work")
    train(preset, inputs, output, work, name, changes, settings, checkpoint_seconds, deterministic, resume)


def use_cores() -> None:
    """Sets TensorFlow's threads, which it takes before its first use only.

    With few cores, each direction of the LSTM has one to itself; threads within its small products would only wait for
    each other.
    """
    if (os.cpu_count() or 1) <= FEW_CORES:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def train(
    preset: str, inputs: Inputs, output: Path, work: Path, name: str, changes: dict[str, Any],
    settings: tuple[str, ...], checkpoint_seconds: float, deterministic: bool, resume: bool,
) -> None:  # fmt: skip
    """Trains on what is given and writes the artefact; `changes` and `settings` override the recipe."""
    use_cores()
    greet_tensorflow()
    import tensorflow as tf

    if deterministic:
        tf.config.experimental.enable_op_determinism()
    from rich.console import Console

    from batch_scorer.models.network import Architecture
    from train import full, notebook, trainer
    from train.progress import bar, measured
    from train.publish import publish

    console = Console()

    def say(text: str) -> None:
        console.print(safe(text), markup=False)

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
    how = "given for validation" if data.split_by == GIVEN else f"held out by {data.split_by}"
    say(
        f"{len(data.training):,} reviews to train on, {len(data.unlabelled):,} more to pre-train on, "
        f"{len(data.validation):,} {how}; {len(data.vocabulary):,} ids"
    )
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
    quality = fitted.validation
    say(
        f"model {model_id} in {output}: validation accuracy {quality['accuracy']:.4f} "
        f"({quality['accuracy_low']:.4f} to {quality['accuracy_high']:.4f}), AUC {quality['auc']:.4f}, "
        f"ECE {quality['ece']:.4f}"
    )


def changed(recipe: Any, settings: Sequence[str]) -> Any:
    """A copy of `recipe` with some settings changed.

    Args:
        settings: `name=value` each, or `stage.name=value` for a setting of a recipe nested in this one.

    Raises:
        OptionError: the recipe has no such setting, or the value is not of its type.
    """
    for setting in settings:
        name, _, value = setting.partition("=")
        first, _, rest = name.partition(".")
        current = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
        if first not in current or dataclasses.is_dataclass(current[first]) != bool(rest):
            raise OptionError("the recipe has no such setting", expected=", ".join(current), got=setting)
        if rest:
            recipe = dataclasses.replace(recipe, **{first: changed(current[first], [f"{rest}={value}"])})
            continue
        kind = type(current[first])
        try:
            recipe = dataclasses.replace(recipe, **{first: setting_of(kind, value)})
        except ValueError as error:
            raise OptionError(f"the value of {name} cannot be read", expected=kind.__name__, got=value) from error
    return recipe


def draw_curves(run: Run, say: Say) -> None:
    """Draws the training log as `curves.svg` beside it, if matplotlib is installed."""
    try:
        from train.evaluate.figures import curves, save
    except ImportError:
        say(f"curves.svg needs matplotlib; from a checkout: {install('evaluate')}")
        return
    save(curves(run.lines), run.directory / "curves.svg")
    say(f"log and curves in {run.directory}")


for command in (evaluate, card, check):
    main.add_command(command)
