"""`python -m benchmarks.accuracy`: compares trained models and NBSVM on the same test reviews, by McNemar's test."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batch_scorer.errors import InputError, OptionError, ScorerError

VALIDATION_SHARE = 0.1  # as in all recipes of `train`, so that the split is the same
RIVAL = "NBSVM"
HEADINGS = ("model", "accuracy", "95 % interval", "AUC", "log\nloss", "ECE", "first\nonly", "this\nonly", "p")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option(
    "--train", "training_file", required=True, metavar="FILE", help="Reviews that the models were trained on."
)
@click.option("--test", "test_file", required=True, metavar="FILE", help="Labelled reviews that no model has seen.")
@click.option("--id-column", help="Column that holds the id, whose hash decided the validation split.")
@click.option("--model", "models", multiple=True, required=True, metavar="NAME=DIR",
              help="A model artefact and its name in the table; may be repeated. The first is what the others are "
                   "compared with.")  # fmt: skip
@click.option("--search", is_flag=True,
              help="Choose NBSVM's settings again, on the validation split, and print all results.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Directory for comparison.json and comparison.md, and with --search nbsvm.json.")  # fmt: skip
def main(
    training_file: str, test_file: str, id_column: str | None, models: tuple[str, ...], search: bool,
    output: Path | None,
) -> None:  # fmt: skip
    """Score the test reviews with each model, and with NBSVM, which is fitted here to the same training data.

    NBSVM's settings and temperature are chosen on the validation split; it is then fitted again to both sides.

    \b
    Example:
      python -m benchmarks.accuracy --train imdb_train.parquet --test imdb_test_open.parquet \\
          --id-column review_id --model full=model --model notebook=notebook-model --output results
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        run(training_file, test_file, id_column, named(models), search, output, Console())
    except ScorerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def named(models: Sequence[str]) -> dict[str, str]:
    """Parses `NAME=DIR` options: the directory of each name, in the order given.

    Raises:
        OptionError: a name or a directory is missing, or a name appears twice.
    """
    directories: dict[str, str] = {}
    for option in models:
        name, _, directory = option.partition("=")
        if not name or not directory or name in directories or name == RIVAL:
            raise OptionError(
                "each model needs a directory and a name of its own",
                where=f"--model {option}",
                expected="--model NAME=DIR",
                fix=f"give it a name that is neither taken nor {RIVAL}",
            )
        directories[name] = directory
    return directories


def run(
    training_file: str, test_file: str, id_column: str | None, models: dict[str, str], search: bool,
    output: Path | None, console: Console,
) -> None:  # fmt: skip
    """Measures, prints the table and writes it to `output`.

    Raises:
        InputError: training and test reviews share ids.
        ScorerError: a file or a model cannot be read, or a review cannot be scored.
    """
    from batch_scorer.models import artifact
    from benchmarks.accuracy.compare import Answers, answers_of, compare
    from train import nbsvm
    from train.data import Columns, read_examples, split

    columns = Columns(id=id_column)
    examples, test = read_examples([training_file], columns), read_examples([test_file], columns)
    if id_column and (shared := set(examples.ids) & set(test.ids)):
        raise InputError(
            "training and test reviews share ids",
            where=f"{training_file}, {test_file}",
            expected="different ids",
            got=f"{len(shared):,} shared, for example {min(shared)!r}",
            fix="give test reviews that no model has seen",
        )
    loaded = {name: artifact.load(directory) for name, directory in models.items()}
    fingerprint = examples.fingerprint()
    for name, model in loaded.items():
        if model.manifest["training"].get("data_sha256") != fingerprint:
            console.print(f"warning: {name} was not trained on {Path(training_file).name}", markup=False)
    answers = []
    for name, model in loaded.items():
        console.print(f"scoring {len(test):,} reviews with {name} {model.model_id}", markup=False, highlight=False)
        answers.append(answers_of(name, model, test.texts))

    console.print(f"fitting {RIVAL}" + (f" with {len(nbsvm.GRID)} settings" if search else ""), highlight=False)
    training, validation = split(examples, VALIDATION_SHARE)
    trials = nbsvm.search(training, validation, nbsvm.GRID if search else [nbsvm.Settings()])
    rival = nbsvm.fit(examples, nbsvm.best(trials))
    answers.append(Answers(RIVAL, rival.logits(test.texts), rival.temperature))
    if search:
        console.print(_settings_table(trials, len(validation)))

    rows = [dataclasses.asdict(row) for row in compare(answers, test.labels)]
    files = [Path(file).name for file in (training_file, test_file)]
    table = Table(title=f"{len(test):,} test reviews, {files[1]}", box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in HEADINGS:
        is_name = heading == "model"  # the only column that may wrap
        table.add_column(heading, justify="left" if is_name else "right", no_wrap=not is_name)
    for row in rows:
        table.add_row(*map(escape, cells(row)))
    console.print(table)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        results = {"reviews": len(test), "data": files, "rows": rows}
        (output / "comparison.json").write_text(json.dumps(results, indent=2) + "\n")
        (output / "comparison.md").write_text(markdown(len(test), files, rows))
        if search:
            all_trials = [dataclasses.asdict(trial) for trial in trials]
            (output / "nbsvm.json").write_text(json.dumps(all_trials, indent=2) + "\n")


def cells(row: dict[str, Any]) -> list[str]:
    """A row as text, in the order of `HEADINGS`."""
    first = row["p_value"] is None
    return [
        row["name"],
        f"{row['accuracy']:.4f}",
        f"{row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}",
        *(f"{row[name]:.3f}" for name in ("auc", "log_loss", "ece")),
        "" if first else f"{row['only_first_right']:,}",
        "" if first else f"{row['only_second_right']:,}",
        "" if first else f"{row['p_value']:.2g}",
    ]


def markdown(reviews: int, files: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """The table as Markdown, with an explanation of its columns."""
    headings = [heading.replace("\n", " ") for heading in HEADINGS]
    lines = [headings, ["---", *["---:"] * (len(HEADINGS) - 1)], *map(cells, rows)]
    note = f"""
{reviews:,} test reviews ({files[1]}); trained on {files[0]}. Log loss (nats) and ECE (15 bins) are for calibrated
probabilities. *First only*: reviews that only {rows[0]["name"]} classifies correctly, not this model; *this only*: the
reverse; *p*: McNemar's exact test of the two, two-sided, not corrected for the number of models.
"""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + note


def _settings_table(trials: Sequence[Any], reviews: int) -> Table:
    """NBSVM's trials, the best first."""
    table = Table("n-grams", "loss", "C", "beta", "accuracy", "log loss", "temperature")
    table.title = f"{RIVAL} on {reviews:,} validation reviews"
    for trial in sorted(trials, key=lambda trial: (-trial.metrics["accuracy"], trial.metrics["log_loss"])):
        s, figures = trial.settings, trial.metrics
        table.add_row(
            f"1 to {s.longest}",
            s.classifier,
            f"{s.cost:g}",
            f"{s.beta:g}",
            f"{figures['accuracy']:.4f}",
            f"{figures['log_loss']:.4f}",
            f"{trial.temperature:.3g}",
        )
    return table


if __name__ == "__main__":
    main()
