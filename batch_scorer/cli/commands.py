"""The commands that look at a review, a model or a run: options in, one call of `cli.actions`.

And `completion`, with which a shell completes all of them.
"""

from __future__ import annotations

from typing import Any

import click

from batch_scorer.cli import completion as complete
from batch_scorer.cli.framework import SETTINGS, Command, TextCommand, program, reports_errors
from batch_scorer.cli.inputs import label_options
from batch_scorer.cli.numbers import Count
from batch_scorer.config import ScoringConfig
from batch_scorer.errors import OptionError


@click.command(cls=TextCommand, context_settings=SETTINGS, short_help="Show what each word adds to a review's score.")
@click.argument("text", required=False)
@click.option("--run", metavar="OUT", shell_complete=complete.directories,
              help="Explain a row of this run instead of a TEXT.")  # fmt: skip
@click.option("--id", "record_id", metavar="ID", help="With --run: the record_id of the row.")
@click.option("--text-from", multiple=True, metavar="INPUT", shell_complete=complete.files,
              help="With --run: input to take the text from; may be repeated.  "
              "[default: the run's own inputs]")  # fmt: skip
@click.option("--model", metavar="DIR", shell_complete=complete.directories,
              help="Model artefact.  [default: the shipped model; with --run, the run's]")  # fmt: skip
@click.option("--top-k", type=Count(0), metavar="N",
              help=f"Words to list.  [default: {ScoringConfig.top_k}; with --run, as many as it lists]")  # fmt: skip
@click.option("--sentences", is_flag=True, help="List the sentences too.  [with --run: if it lists them]")
@click.option("--spans", type=Count(0), metavar="N",
              help=f"Phrases to list.  [default: {ScoringConfig.spans}; with --run, as many as it lists]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the columns of `predictions` as one JSON object.")
@reports_errors
def explain(
    text: str | None, run: str | None, record_id: str | None, text_from: tuple[str, ...],
    model: str | None, top_k: int | None, sentences: bool, spans: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what each word adds to the score of a review: of TEXT, or of a row of a finished run.

    TEXT is scored now, in double precision; `-` reads it from standard input. Its logit differs from the one that
    `score` writes by less than 0.00001.

    With --run and --id nothing is scored: the numbers are those in the run's table. The words are marked on the text if
    it is found, and only if it is the text that was scored.

    A word's colour says which way it pushes the score; the more attention it has, the stronger the colour. Where there
    is no colour, the listed words carry their contribution.

    \b
    Examples:
      batch-scorer explain "Slow to start, but what a finish."
      batch-scorer explain --sentences --spans 3 "Slow to start. What a finish, though!"
      batch-scorer explain - --json < review.txt
      batch-scorer explain -- "- and that was only the first act"
      batch-scorer explain --run out --id r123 --text-from reviews.parquet
    """
    from batch_scorer.cli import explain

    if run is None:
        _refuse_with_text({"--id": record_id, "--text-from": text_from})
        if text is None:
            raise OptionError(
                "there is nothing to explain",
                expected="a TEXT, or a row of a run",
                fix='batch-scorer explain "A lovely film.", or batch-scorer explain --run OUT --id ID',
            )
        explain.explain_text(
            text,
            model,
            ScoringConfig.top_k if top_k is None else top_k,
            sentences,
            spans or ScoringConfig.spans,
            as_json,
        )
        return
    if text is not None:
        raise OptionError("a TEXT and --run exclude each other", got=f"TEXT {text!r:.80}", fix="give one of them")
    if record_id is None:
        fix = "name its record_id; `batch-scorer inspect OUT` shows some"
        raise OptionError("--run needs the --id of a row", where=f"--run {run}", fix=fix)
    for name, given in (("--top-k", top_k is not None), ("--sentences", sentences), ("--spans", spans is not None)):
        if given:
            fix = f"leave {name} out; what a run lists was decided when it was scored"
            raise OptionError(f"{name} does not go with --run", fix=fix)
    explain.explain_row(run, record_id, text_from, model, as_json)


def _refuse_with_text(options: dict[str, object]) -> None:
    """Refuses options that say something about a row, where no run is named."""
    for name, value in options.items():
        if value:
            raise OptionError(f"{name} needs --run", fix="name the output of the run: --run OUT")


@click.command(cls=Command, context_settings=SETTINGS, short_help="Show what a model or the output of a run contains.")
@click.argument("path", metavar="MODEL|OUT", required=False, shell_complete=complete.directories)
@click.option("--rows", type=Count(0), default=8, metavar="N", help="Predictions to show from a run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (schemas/inspect.json).")
@reports_errors
def inspect(path: str | None, rows: int, as_json: bool) -> None:
    """Show what is in MODEL, a model artefact, or in OUT, the output of a run. Without either: the shipped model.

    A model is verified as it is before a run: hashes, shapes, and the score of its probe text.

    For a run: what happened, how its scores are distributed, how far its texts are from those the model was trained
    on, what was rejected, and the first predictions.

    \b
    Examples:
      batch-scorer inspect
      batch-scorer inspect model
      batch-scorer inspect out --rows 20
    """
    from batch_scorer.cli import actions

    actions.inspect(path, rows, program(), as_json)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Write a web page about a run.")
@click.argument("run", metavar="OUT", shell_complete=complete.directories)
@click.option(
    "--output", metavar="FILE", help="Where to write it.  [default: OUT/report.html; for a run in a store, report.html]"
)
@click.option("--reference", metavar="OUT", shell_complete=complete.directories,
              help="An earlier run to compare with.")  # fmt: skip
@click.option("--text-from", multiple=True, metavar="INPUT", shell_complete=complete.files,
              help="Input to take the texts from; may be repeated.")  # fmt: skip
@click.option("--text-column", metavar="NAME", help="Kept column that holds the text.")
@click.option("--label-column", metavar="NAME", help="Kept column with the true label, for measuring quality.")
@label_options(None)
@click.option(
    "--slice-column", multiple=True, metavar="NAME", help="Kept column by which to slice quality; may be repeated."
)
@click.option("--reviews", type=click.IntRange(1, 250), default=100, metavar="N", help="Reviews per list.")
@reports_errors
def report(
    run: str, output: str | None, text_from: tuple[str, ...], slice_column: tuple[str, ...], **rest: Any
) -> None:
    """Write a page about OUT, the output of a run: what drives its decisions, whether to trust them, and reviews.

    The page is one file that needs no network. A run holds no texts: they come from its inputs or a kept column.

    \b
    Examples:
      batch-scorer report out --text-from reviews.parquet
      batch-scorer report out --label-column true_label --slice-column product --output quality.html
      batch-scorer report out --label-column stars --positive-value '>=4' --negative-value '<=2'
      batch-scorer report out/june --reference out/may
    """
    from batch_scorer.cli import report, streams
    from batch_scorer.report.question import Question

    streams.forgive_output()  # the page is the result
    report.report(Question(run, text_from=text_from, slice_columns=slice_column, **rest), output)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Show what changed between two runs.")
@click.argument("a", metavar="A", shell_complete=complete.directories)
@click.argument("b", metavar="B", shell_complete=complete.directories)
@click.option(
    "--output", metavar="DIR", help="Write reviews, words and tokens as Parquet to DIR, which must be new or empty."
)
@click.option("--by", type=click.Choice(["record_id", "source,offset", "distribution"]), default="record_id",
              help="How to match the reviews of the two runs.")  # fmt: skip
@click.option("--rows", type=Count(0), default=10, metavar="N", help="Reviews and words to show.")
@click.option("--label-column", metavar="NAME", help="Column with the true label, kept in both runs.")
@label_options(None)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
@reports_errors
def compare(
    a: str, b: str, output: str | None, by: str, rows: int,
    label_column: str | None, positive_value: tuple[str, ...], negative_value: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Compare two runs, A and B: two models on the same reviews, or one model on two corpora.

    Reviews that are in both are compared one by one: labels, probabilities, and the words behind them. If fewer than
    one in a hundred are in both, the runs are compared by distribution, and the output says so.

    \b
    DIR/reviews.parquet  one row per review in A or B: probabilities, logits, labels
    DIR/tokens.parquet   one row per listed word of a review: its contribution in A and B, null where it is not listed
    DIR/words.parquet    one row per word: how often it is listed, and the sum of its contributions

    \b
    Examples:
      batch-scorer compare out_old out_new
      batch-scorer compare march april --by distribution --json
      batch-scorer compare out_old out_new --label-column true_label --output changes
    """
    from batch_scorer.cli import actions
    from batch_scorer.compare.result import Question

    if output == "":  # most likely an unset shell variable
        raise OptionError("--output is empty", fix="give it a value, or omit it")
    for name, values in (("--positive-value", positive_value), ("--negative-value", negative_value)):
        if values and label_column is None:
            fix = "name the column with the true labels"
            raise OptionError(f"{name} has no effect without --label-column", fix=fix)
    actions.compare(a, b, Question(by, rows, label_column, positive_value, negative_value, output), as_json)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Print SQL that makes runs tables in DuckDB.")
@click.argument("outputs", nargs=-1, required=True, metavar="OUT...", shell_complete=complete.directories)
@click.option("--prefix", default="", metavar="NAME", help="Prefix for the names of the views.")
@reports_errors
def sql(outputs: tuple[str, ...], prefix: str) -> None:
    """Print SQL that gives DuckDB views of the runs in OUT...: `predictions`, one row per review; `tokens`, one row per
    listed word; `errors`, one row per rejected record; and `runs`. Runs that list them have `sentences` and `phrases`
    too. Several runs share the views, told apart by `run_id`.

    Its paths are absolute. This command itself does not need DuckDB; docs/analysts.md has questions to ask.

    \b
    Examples:
      batch-scorer sql out > views.sql && duckdb -init views.sql
      batch-scorer sql june july > views.sql
      batch-scorer sql june --prefix june_ > views.sql
      python -c 'import duckdb; duckdb.execute(open("views.sql").read()); print(duckdb.sql("from runs"))'
    """
    from batch_scorer.cli import actions

    actions.sql(outputs, prefix)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Print a completion script for a shell.")
@click.argument("shell", type=click.Choice(complete.SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which a shell completes commands, options, file names, and columns of the first INPUT.

    \b
    Add this line to ~/.bashrc, or for zsh to ~/.zshrc:
      eval "$(batch-scorer completion bash)"
    For fish:
      batch-scorer completion fish > ~/.config/fish/completions/batch-scorer.fish

    \b
    Examples:
      batch-scorer completion bash
      batch-scorer completion zsh
    """
    click.echo(complete.script(ctx.find_root().command, shell))
