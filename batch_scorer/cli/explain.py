"""What `explain` does: scores one review, or shows what a run's table says of one, and why.

Heavy modules are imported where they are used. TensorFlow is never among them: one review is scored sooner without it.
"""

from __future__ import annotations

import codecs
import os
import sys

import click

from batch_scorer import escape
from batch_scorer.cli.actions import DAMAGED
from batch_scorer.errors import InputError, OptionError

STDIN = "-"


def explain_text(
    text: str, model: str | None, top_k: int, sentences: bool, spans: int, what_if: bool, as_json: bool
) -> None:
    """Scores one review, given or (`-`) from standard input, and shows why; as JSON, its row.

    Args:
        what_if: whether to delete each word, phrase and sentence that is listed, and to say what that changes.
    """
    # NumPy reads this when it is imported; on matrices as small as ours, its threads cost more than they save.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from batch_scorer.runners.lean import forgo_pandas

    forgo_pandas()  # whose import would take longer than the review does
    from batch_scorer.models import artifact
    from batch_scorer.models.exact_engine import ExactEngine
    from batch_scorer.schema import Segments
    from batch_scorer.scoring.chunk import Scorer
    from batch_scorer.scoring.deletions import delete_each
    from batch_scorer.scoring.review import check, explain_review, shortest, to_json
    from batch_scorer.ui import highlight, terminal

    text, where = (_read_stdin(), "standard input") if text == STDIN else (text, "TEXT")
    loaded = artifact.load(model or artifact.SHIPPED)
    check(text, where, loaded.tokenizer)
    asked = Segments(sentences, spans)
    scorer = Scorer(loaded, ExactEngine(loaded))
    explained = explain_review(text, scorer, top_k, asked)
    deletions = delete_each(explained, scorer) if what_if else None
    console = terminal.console()
    if as_json:
        deleted = {} if deletions is None else {"what_if": [shortest(one.to_json()) for one in deletions]}
        click.echo(escape.as_json(to_json(explained) | deleted, console.encoding))
    else:
        highlight.show(console, explained)
        if deletions:
            highlight.show_deletions(console, explained, deletions)


def _read_stdin() -> str:
    from batch_scorer.scoring.review import MAX_TEXT_BYTES, too_large

    data = sys.stdin.buffer.read(len(codecs.BOM_UTF8) + MAX_TEXT_BYTES + 1)
    data = data.removeprefix(codecs.BOM_UTF8)
    if len(data) > MAX_TEXT_BYTES:
        raise too_large("standard input", "more")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "the text is not UTF-8",
            where=f"standard input, byte {error.start}",
            expected="UTF-8",
            got=f"{data[error.start]:#04x}: {error.reason}",
            fix="convert it first, for example with `iconv -f latin1 -t utf-8`",
        ) from error


def explain_row(output: str, record_id: str, inputs: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Shows what the run in `output` says of one record, its words marked on its text; as JSON, its row.

    Args:
        inputs: where to look for the text, if not in the inputs that the run recorded.
        model: the model that the run is expected to be of.
    """
    from batch_scorer.runs.finished import damaged, open_run
    from batch_scorer.scoring.run_row import find_row, find_text
    from batch_scorer.ui import highlight, terminal

    run = open_run(output)
    if model is not None:
        _check_model(model, str(run.manifest["model_id"]))
    console = terminal.console()
    try:
        row = find_row(run, record_id)
        text = find_text(row, inputs)
        if as_json:
            click.echo(escape.as_json(row.to_json(text.text), console.encoding))
            notes = [f"row: the first of {row.same_id:,} with this id"] if row.same_id > 1 else []
            for note in (*notes, f"text: {text.note}"):
                click.echo(escape.visible(note), err=True)
        else:
            highlight.show_row(console, row, text)
    except DAMAGED as error:
        raise damaged(output, f"{type(error).__name__}: {error}") from error


def _check_model(model: str, expected: str) -> None:
    from batch_scorer.models import artifact_files

    model_id = artifact_files.model_id(model)[:12]
    if model_id != expected:
        raise OptionError(
            "the run was scored with another model",
            where=f"--model {model}",
            expected=f"model {expected}",
            got=f"model {model_id}",
            fix="leave --model out; to score the text with this model, give it as TEXT",
        )
