"""What `inspect`, `sql` and `compare` do once their options are checked.

Heavy modules are imported where they are used: `batch-scorer --help` has to be quick.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scorer import escape
from batch_scorer.errors import RefusedError

if TYPE_CHECKING:
    from rich.console import Console

    from batch_scorer.compare.result import Question
    from batch_scorer.runs.finished import Run

# What a manifest with arbitrary contents may lead to; pyarrow's errors are ValueErrors.
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


def inspect(path: str | None, rows: int, program: str, as_json: bool = False) -> None:
    """Shows a model, after verifying it, or the output of a run with its first `rows` predictions.

    Args:
        program: how this program is called, for the suggested commands.
        as_json: show it as one JSON object, and nothing else.
    """
    from batch_scorer import storage
    from batch_scorer.models import artifact, artifact_files
    from batch_scorer.runs import layout
    from batch_scorer.ui import cards, documents, terminal

    given = "" if path is None else f" --model {escape.quoted(path)}"
    console = terminal.console()
    path = path or artifact.SHIPPED
    if storage.exists(storage.join(path, artifact_files.MODEL_ID)):
        model = artifact.load(path)
        if as_json:
            click.echo(escape.as_json(documents.model(path, model.manifest, model.model_id), console.encoding))
            return
        cards.model_card(console, path, model.manifest, model.model_id)
        cards.next_commands(
            console,
            f'{program} explain "Slow to start, but what a finish."{given}',
            f"{program} score INPUT --output OUT{given} --dry-run",
        )
    elif storage.exists(layout.plan_path(path)):
        try:
            _show_run(console, path, rows, program, as_json)
        except DAMAGED as error:
            from batch_scorer.runs.finished import damaged

            raise damaged(path, f"{type(error).__name__}: {error}") from error
    else:
        raise RefusedError(
            "this is neither a model nor a run",
            where=path,
            expected="a model artefact (MODEL_ID) or the output of `batch-scorer score` (plan.json)",
            got="neither" if storage.exists(path) else "no such file or directory",
            fix="give a model's directory, or the --output of an earlier `score`",
        )


def sql(outputs: Sequence[str], prefix: str, newest: bool = False) -> None:
    """Prints the views of some runs for DuckDB, in UTF-8 whatever the terminal's encoding: DuckDB reads UTF-8.

    Args:
        newest: whether only the newest run counts of those that have an id.
    """
    from batch_scorer import storage
    from batch_scorer.analysis.newest import lost_rows
    from batch_scorer.analysis.views import script
    from batch_scorer.runs.earlier import open_all
    from batch_scorer.runs.finished import check_parts

    # `absolute` keeps `..`, which behind a link leads elsewhere.
    places = [output if storage.is_remote(output) else str(Path(output).absolute()) for output in outputs]
    runs, notices = open_all(places)
    for run in runs:
        check_parts(run)
    for notice in notices + (lost_rows(runs) if newest else []):
        click.echo(f"notice: {escape.safe(notice)}", err=True)
    click.echo(script(runs, prefix, newest).encode(), nl=False)


def _show_run(console: Console, output: str, rows: int, program: str, as_json: bool) -> None:
    """Prints what a run's output holds: manifest, rejected records by code, some predictions, what to do next."""
    from batch_scorer import storage
    from batch_scorer.runs import layout
    from batch_scorer.runs.finished import check_parts, open_run
    from batch_scorer.runs.rejections import by_file, count_codes, unreadable_files
    from batch_scorer.runs.verdict import ways_out
    from batch_scorer.ui import cards, documents, summary, terminal

    if not storage.exists(layout.manifest_path(output)):
        plan = json.loads(storage.read_bytes(layout.plan_path(output)))
        done = len(layout.finished_shards(output))
        if as_json:
            click.echo(escape.as_json(documents.unfinished(output, plan["shards"], done), console.encoding))
            return
        line = f"unfinished: {done:,} of {plan['shards']:,} shards are done; continue with --resume"
        console.print(line, highlight=False)
        return
    run = open_run(output)
    check_parts(run)
    shown = _first_predictions(run, rows)
    rejected = count_codes(output, run.manifest["parts"])
    if as_json:
        click.echo(escape.as_json(documents.run(run, rejected, shown), console.encoding))
        return
    unreadable = unreadable_files(output, run.manifest)
    cards.run_card(console, output, run.manifest, run.complete)
    terminal.notes(console, run.manifest)
    if rejected:
        console.print()
        terminal.error_counts(console, rejected)
        files, more = by_file(unreadable, run.manifest["counts"]["unreadable"])
        for sentence in [*files, *more] if files else ():
            console.print(f"  {escape.safe(sentence)}")
    if shown:
        console.print()
        terminal.results(console, shown, "the first predictions")
    inputs = [found["input"] for found in run.manifest["inputs"]] if run.manifest["counts"]["scored"] else ()
    if commands := summary.look_at(program, output, inputs, inspected=True):
        cards.next_commands(console, *commands)
    for what, command in ways_out(run.manifest, unreadable, program):
        console.print()
        console.print(f"to {what}\n  {escape.safe(command)}")


def _first_predictions(run: Run, rows: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    from batch_scorer import storage
    from batch_scorer.runs import layout
    from batch_scorer.runs.finished import check_content

    shown: list[dict[str, Any]] = []
    columns = ["record_id", "predicted_label", "probability", "top_contributing"]
    parts = layout.parts_of(layout.PREDICTIONS, run.manifest["parts"])
    for part, path in zip(parts, run.predictions, strict=True):
        if len(shown) >= rows:
            break
        if not storage.is_remote(path):  # from a store, only a few rows are fetched
            check_content(run, part, path)
        with storage.open_read(path) as file, pq.ParquetFile(file) as parquet:
            for batch in islice(parquet.iter_batches(rows - len(shown), columns=columns), 1):  # none of no rows
                shown += batch.to_pylist()
    return shown


def compare(output_a: str, output_b: str, question: Question, as_json: bool) -> None:
    """Shows what differs between the runs in two directories; as JSON, all of it in one object."""
    from batch_scorer.compare import compare as comparing
    from batch_scorer.ui import comparison as compare_view
    from batch_scorer.ui import terminal

    console = terminal.console()
    comparison = comparing.compare(output_a, output_b, question)
    if as_json:
        click.echo(escape.as_json(compare_view.to_json(comparison), console.encoding))
    else:
        compare_view.show(console, comparison, question.rows)
