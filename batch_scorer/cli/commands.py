"""The commands that look at a review, a model or a run: options in, one call of `cli.actions`.

And `completion`, with which a shell completes all of them.
"""

from __future__ import annotations

from typing import Any

import click

from batch_scorer.cli import completion as complete
from batch_scorer.cli.framework import SETTINGS, Command, program, reports_errors
from batch_scorer.errors import OptionError


@click.command(cls=Command, context_settings=SETTINGS, short_help="Score one review and show what each word adds.")
@click.argument("text")
@click.option("--model", metavar="DIR", shell_complete=complete.directories,
              help="Model artefact.  [default: the shipped model]")  # fmt: skip
@click.option("--top-k", type=click.IntRange(0), default=10, metavar="N", help="Words to list.")
@click.option("--json", "as_json", is_flag=True, help="Print the columns of `predictions` as one JSON object.")
@reports_errors
def explain(text: str, model: str | None, top_k: int, as_json: bool) -> None:
    """Scores one review, TEXT, and shows what each word adds to its score. `-` reads it from standard input.

    A word's colour says which way it pushes the score, and how strong it is how much attention the word has. Where
    there is no colour, the listed words carry their contribution.

    \b
    Examples:
      batch-scorer explain "Slow to start, but what a finish."
      batch-scorer explain - --json < review.txt
    """
    from batch_scorer.cli import actions

    actions.explain(text, model, top_k, as_json)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Show what a model or the output of a run contains.")
@click.argument("path", metavar="MODEL|OUT", required=False, shell_complete=complete.directories)
@click.option("--rows", type=click.IntRange(0), default=8, metavar="N", help="Predictions to show from a run.")
@reports_errors
def inspect(path: str | None, rows: int) -> None:
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

    actions.inspect(path, rows, program())


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
@click.option("--positive-value", metavar="VALUE",
              help="Label that means positive.  [default: 1, positive, pos or true, whichever occurs]")  # fmt: skip
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
      batch-scorer report out/june --reference out/may
    """
    from batch_scorer.cli import report
    from batch_scorer.report.question import Question

    report.report(Question(run, text_from=text_from, slice_columns=slice_column, **rest), output)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Show what changed between two runs.")
@click.argument("a", metavar="A", shell_complete=complete.directories)
@click.argument("b", metavar="B", shell_complete=complete.directories)
@click.option(
    "--output", metavar="DIR", help="Write reviews, words and tokens as Parquet to DIR, which must be new or empty."
)
@click.option("--by", type=click.Choice(["record_id", "source,offset", "distribution"]), default="record_id",
              help="How to match the reviews of the two runs.")  # fmt: skip
@click.option("--rows", type=click.IntRange(0), default=10, metavar="N", help="Reviews and words to show.")
@click.option("--label-column", metavar="NAME", help="Column with the true label, kept in both runs.")
@click.option("--positive-value", metavar="VALUE",
              help="Label that means positive.  [default: 1, positive, pos or true, whichever occurs]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
@reports_errors
def compare(
    a: str, b: str, output: str | None, by: str, rows: int,
    label_column: str | None, positive_value: str | None, as_json: bool,
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
    if positive_value is not None and label_column is None:
        raise OptionError(
            "--positive-value has no effect without --label-column", fix="name the column with the true labels"
        )
    actions.compare(a, b, Question(by, rows, label_column, positive_value, output), as_json)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Print SQL that makes runs tables in DuckDB.")
@click.argument("outputs", nargs=-1, required=True, metavar="OUT...", shell_complete=complete.directories)
@click.option("--prefix", default="", metavar="NAME", help="Prefix for the names of the views.")
@reports_errors
def sql(outputs: tuple[str, ...], prefix: str) -> None:
    """Print SQL that gives DuckDB four views of the runs in OUT...: `predictions`, one row per review; `tokens`, one
    row per listed word; `errors`, one row per rejected record; and `runs`. Several runs share the views, told apart by
    `run_id`.

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
