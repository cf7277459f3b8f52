"""`python -m benchmarks.accuracy`: trained models and NBSVM on the same test reviews, with McNemar's test."""

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

VALIDATION_SHARE = 0.1  # as in every recipe of `train`, so that the split is the same
RIVAL = "NBSVM"
HEADINGS = ("model", "accuracy", "95 % interval", "AUC", "log\nloss", "ECE", "first\nonly", "this\nonly", "p")


@click.command(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--train", "training_file", required=True, metavar="FILE", help="What the models were trained on.")
@click.option("--test", "test_file", required=True, metavar="FILE", help="Labelled reviews that no model has seen.")
@click.option("--id-column", help="Column of the id by which the validation split was cut.")
@click.option("--model", "models", multiple=True, required=True, metavar="NAME=DIR",
              help="A model artefact, and its name in the table. May be given several times; the others are compared "
                   "with the first.")  # fmt: skip
@click.option("--search", is_flag=True, help="Choose NBSVM's settings anew, on the validation split, and print them.")
@click.option("--output", type=click.Path(path_type=Path), metavar="DIR",
              help="Where comparison.json and comparison.md go, and with --search nbsvm.json.")  # fmt: skip
def main(
    training_file: str, test_file: str, id_column: str | None, models: tuple[str, ...], search: bool,
    output: Path | None,
) -> None:  # fmt: skip
    """Scores the test reviews with each model, and with NBSVM, fitted here to the same training data.

    NBSVM's settings and temperature come from the validation split; it is then fitted again to both sides.

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
    """`NAME=DIR` each -> directory of each name, in the order given.

    Raises:
        OptionError: a name or a directory is missing, or a name occurs twice.
    """
    found: dict[str, str] = {}
    for given in models:
        name, _, directory = given.partition("=")
        if not name or not directory or name in found or name == RIVAL:
            raise OptionError("a model has no name of its own", where=f"--model {given}", expected="--model NAME=DIR")
        found[name] = directory
    return found


def run(
    training_file: str, test_file: str, id_column: str | None, models: dict[str, str], search: bool,
    output: Path | None, console: Console,
) -> None:  # fmt: skip
    """Measures, prints the table, and writes it into `output`.

    Raises:
        InputError: training and test reviews share an id.
        ScorerError: a file or a model cannot be read, or a review not scored.
    """
    from batch_scorer.models import artifact
    from benchmarks.accuracy import nbsvm
    from benchmarks.accuracy.compare import Answers, answers_of, compare
    from train.data import Columns, read_examples, split

    columns = Columns(id=id_column)
    examples, test = read_examples([training_file], columns), read_examples([test_file], columns)
    if id_column and (shared := set(examples.ids) & set(test.ids)):
        raise InputError(
            "training and test reviews share ids",
            where=f"{training_file}, {test_file}",
            got=f"{len(shared):,} of them, {min(shared)!r} for one",
            fix="give test reviews that no model has seen",
        )
    loaded = {name: artifact.load(directory) for name, directory in models.items()}
    fingerprint = examples.fingerprint()
    for name, model in loaded.items():
        if model.manifest["training"].get("data_sha256") != fingerprint:
            console.print(f"warning: {name} was not trained on {Path(training_file).name}", markup=False)
    answers = []
    for name, model in loaded.items():
        console.print(f"scoring {len(test):,} reviews: {name}, model {model.model_id}", markup=False, highlight=False)
        answers.append(answers_of(name, model, test.texts))

    console.print(f"fitting {RIVAL}" + (f", {len(nbsvm.GRID)} settings" if search else ""), highlight=False)
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
        named_column = heading == "model"  # the only one that may wrap
        table.add_column(heading, justify="left" if named_column else "right", no_wrap=not named_column)
    for row in rows:
        table.add_row(*map(escape, cells(row)))
    console.print(table)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        found = {"reviews": len(test), "data": files, "rows": rows}
        (output / "comparison.json").write_text(json.dumps(found, indent=2) + "\n")
        (output / "comparison.md").write_text(markdown(len(test), files, rows))
        if search:
            tried = [dataclasses.asdict(trial) for trial in trials]
            (output / "nbsvm.json").write_text(json.dumps(tried, indent=2) + "\n")


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
    """The table as Markdown, with what its columns mean."""
    headings = [heading.replace("\n", " ") for heading in HEADINGS]
    lines = [headings, ["---", *["---:"] * (len(HEADINGS) - 1)], *map(cells, rows)]
    note = f"""
{reviews:,} test reviews ({files[1]}); trained on {files[0]}. Log loss (nats) and ECE (15 bins) are those of calibrated
probabilities. *First only*: reviews that {rows[0]["name"]} has right and this model wrong; *this only*: the reverse;
*p*: McNemar's exact test of the two, two-sided, not corrected for the number of models.
"""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + note


def _settings_table(trials: Sequence[Any], reviews: int) -> Table:
    """NBSVM's trials, best first."""
    table = Table("n-grams", "loss", "C", "beta", "accuracy", "log loss", "temperature")
    table.title = f"{RIVAL} on {reviews:,} validation reviews"
    for trial in sorted(trials, key=lambda trial: (-trial.metrics["accuracy"], trial.metrics["log_loss"])):
        s, found = trial.settings, trial.metrics
        table.add_row(
            f"1 to {s.longest}",
            s.classifier,
            f"{s.cost:g}",
            f"{s.beta:g}",
            f"{found['accuracy']:.4f}",
            f"{found['log_loss']:.4f}",
            f"{trial.temperature:.3g}",
        )
    return table


if __name__ == "__main__":
    main()
