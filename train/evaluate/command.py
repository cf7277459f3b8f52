"""`python -m train evaluate` and `python -m train card`: pages and figures on a model, from labelled reviews."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from batch_scorer.cli.framework import SETTINGS, Command, option, reports_errors
from batch_scorer.cli.numbers import Count
from batch_scorer.errors import InputError, OutputError
from batch_scorer.escape import install, safe
from batch_scorer.models.artifact import SHIPPED
from batch_scorer.silence import greet_tensorflow
from train.evaluate.wording import RANKINGS
from train.options import column_options, columns_and_reading, read_options

EVALUATION = "evaluation.json"
_FIRST, _MEASURES = "Options that matter first", "Measures"  # sections of the help
DIGITS = 7  # significant digits of each figure in the JSON; the last digits of a float differ between processors


@click.command(cls=Command, context_settings=SETTINGS, short_help="Evaluate a trained model on labelled reviews.")
@click.argument("model")
@option(_FIRST, "--data", "sources", multiple=True, required=True, metavar="INPUT",
        help="Labelled reviews: files, directories and globs as `score` reads them, or a directory with pos/ and neg/; "
             "may be repeated.")  # fmt: skip
@option(_FIRST, "--output", required=True, metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
        help="Directory for evaluation.json, evaluation.md and figures; existing ones are replaced.")  # fmt: skip
@column_options(_FIRST)
@option(_FIRST, "--id-column", metavar="NAME", help="Column that holds its id.  [default: a hash of the text]")
@read_options("Data")
@option(_MEASURES, "--faithfulness-reviews", type=Count(0), default=1000, metavar="N",
        help="How many reviews, drawn at random, to measure explanations on; 0 skips this.")  # fmt: skip
@option(_MEASURES, "--seed", type=Count(0), default=20, metavar="N",
        help="Seed of random draws and simulations.")  # fmt: skip
@reports_errors
def evaluate(
    model: str, sources: tuple[str, ...], output: Path, faithfulness_reviews: int, seed: int, **reading: Any
) -> None:  # fmt: skip
    """Evaluate a model: its accuracy, its calibration, its explanations and its behaviour.

    \b
    Examples:
      python -m train evaluate model --data test.parquet --output evaluation
      python -m train evaluate model --data test.csv --label-column stars --positive-value '>=4' \\
          --negative-value '<=2' --output evaluation
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    console = Console()
    with _errors():
        greet_tensorflow()
        from train.evaluate import figures, pages, run

        def say(text: str) -> None:
            console.print(safe(text), markup=False)

        columns, reads = columns_and_reading(**reading)
        with _bar(console) as on_step:
            evaluation = rounded(
                run.evaluate(
                    model,
                    sources,
                    columns,
                    reads,
                    faithfulness_reviews=faithfulness_reviews,
                    seed=seed,
                    on_step=on_step,
                    say=say,
                )
            )
        _write(output / EVALUATION, json.dumps(evaluation, indent=1, ensure_ascii=False) + "\n")
        figures.save_evaluation(evaluation, output)
        _write(output / "evaluation.md", pages.evaluation_page(evaluation))
        title = Text(safe(f"{evaluation['model']['name']} {evaluation['model']['id']}"))
        summary = Table("", "", title=title, show_header=False)
        for name, value in pages.headline(evaluation["quality"]):
            summary.add_row(name, value)
        for group in evaluation["probes"]["groups"]:
            summary.add_row(f"probes, {group['name']}", f"{group['held']} of {group['pairs']}")
        for name, ranking in (evaluation["faithfulness"] or {"rankings": {}})["rankings"].items():
            value = f"{ranking['comprehensiveness']['value']:.3f}"
            summary.add_row(f"comprehensiveness, {RANKINGS[name]}", value)
        console.print(summary)
        say(f"wrote {output / 'evaluation.md'}")


@click.command(cls=Command, context_settings=SETTINGS, short_help="Write the model card from measured results.")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--model", default=SHIPPED, metavar="DIR", show_default=False,
              help="Directory of the model.  [default: the shipped model]")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("docs/model_card.md"),
              help="Page to write; the figures go to DIRECTORY.")  # fmt: skip
@reports_errors
def card(directory: Path, model: str, output: Path) -> None:
    """Write the model card from the files in DIRECTORY: evaluation.json, log.jsonl, ablation.json and, if there are
    such, comparison.json and checks.json.

    \b
    Example:
      python -m train card docs/model_card
    """
    with _errors():
        from train.evaluate import figures

        text = render(directory, model, output)
        figures.save_evaluation(_json(directory / EVALUATION), directory)
        figures.save(figures.curves(_log(directory / "log.jsonl")), directory / "curves.svg")
        _write(output, text)
        click.echo(f"wrote {output}")


def render(directory: Path, model: str, output: Path) -> str:
    """The text of the card.

    Args:
        directory: of the JSON files and the figures.
        model: directory of the artefact.
        output: path of the page, which the links to the figures are relative to.

    Raises:
        ArtifactError: the model is damaged.
        InputError: a file is missing or is not JSON, or the evaluation is for a different model.
    """
    from batch_scorer.models.artifact import load
    from train.evaluate.card import Sources
    from train.evaluate.card import card as page

    artifact, evaluation = load(model), _json(directory / EVALUATION)
    if evaluation["model"]["id"] != artifact.model_id:
        raise InputError(
            "the evaluation is for a different model",
            where=str(directory / EVALUATION),
            expected=f"model {artifact.model_id}",
            got=f"model {evaluation['model']['id']}",
            fix=f"run `python -m train evaluate {model} --data FILE --output {directory}`",
        )
    comparison, checks = directory / "comparison.json", directory / "checks.json"
    sources = Sources(
        artifact.model_id,
        artifact.manifest,
        evaluation,
        _log(directory / "log.jsonl"),
        _json(directory / "ablation.json"),
        _json(comparison) if comparison.exists() else None,
        _of_model(_json(checks), artifact.model_id, checks) if checks.exists() else None,
    )
    figures = Path(os.path.relpath(directory, output.parent)).as_posix() + "/"
    return page(sources, "" if figures == "./" else figures)


def _of_model(checks: Any, model_id: str, where: Path) -> Any:
    """The same checks, if they are of the model."""
    if checks["model"]["id"] != model_id:
        raise InputError(
            "the checks are of a different model",
            where=str(where),
            expected=f"model {model_id}",
            got=f"model {checks['model']['id']}",
            fix="run `python -m train check` again, as docs/train.md says",
        )
    return checks


def rounded(value: Any) -> Any:
    """JSON with its floats rounded to `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def _json(path: Path) -> Any:
    return _parse(path, json.loads)


def _log(path: Path) -> list[dict[str, Any]]:
    return _parse(path, lambda text: [json.loads(line) for line in text.splitlines()])  # type: ignore[no-any-return]


def _parse(path: Path, parse: Any) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "a source of the model card cannot be read",
            where=str(path),
            got=str(error),
            fix="see docs/train.md for the commands that write it",
        ) from error


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@contextmanager
def _errors() -> Iterator[None]:
    """Turns errors of the disk and missing packages into the project's own errors."""
    try:
        yield
    except OSError as error:
        raise OutputError("the output cannot be written", where=error.filename, got=error.strerror) from error
    except ImportError as error:
        fix = f"from a checkout: {install('evaluate')}"
        raise InputError("a package is missing", got=str(error), fix=fix) from error


@contextmanager
def _bar(console: Any) -> Iterator[Any]:
    """Shows a progress bar for each kind of work; yields the function to call with name, done and total."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def on_step(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield on_step
