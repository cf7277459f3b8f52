"""The commands that answer questions to finished runs, `report` and `compare`: options in, one call each."""

from __future__ import annotations

from typing import Any

import click

from batch_scorer.cli import completion as complete
from batch_scorer.cli.framework import SETTINGS, Command, reports_errors
from batch_scorer.cli.inputs import label_options
from batch_scorer.cli.numbers import Count
from batch_scorer.errors import OptionError


@click.command(cls=Command, context_settings=SETTINGS, short_help="Write a web page about a run.")
@click.argument("runs", nargs=-1, required=True, metavar="OUT...", shell_complete=complete.directories)
@click.option("--output", metavar="FILE",
              help="Where to write it.  [default: OUT/report.html; for several, or a run in a store, report.html]",
              )  # fmt: skip
@click.option("--reference", metavar="OUT", shell_complete=complete.directories,
              help="An earlier run to compare with.")  # fmt: skip
@click.option("--text-from", multiple=True, metavar="INPUT", shell_complete=complete.files,
              help="Input to take the texts from; may be repeated.")  # fmt: skip
@click.option("--text-column", metavar="NAME", help="Kept column that holds the text.")
@click.option("--rescore", is_flag=True, help="Score the reviews shown again: colour every word, and measure what "
              "deleting each listed word, phrase and sentence changes.")  # fmt: skip
@click.option("--model", metavar="DIR", shell_complete=complete.directories,
              help="The run's model, for --rescore.  [default: the shipped one]")  # fmt: skip
@click.option("--label-column", metavar="NAME", help="Kept column with the true label, for measuring quality.")
@label_options(None)
@click.option(
    "--slice-column", multiple=True, metavar="NAME", help="Kept column by which to slice quality; may be repeated."
)
@click.option("--group-by", multiple=True, metavar="NAME",
              help="Kept column whose values are groups to compare; may be repeated.")  # fmt: skip
@click.option("--over", metavar="NAME", help="Kept column with dates: show groups over time, and which of them moved.")
@click.option("--by", type=click.Choice(["day", "week", "month", "year"]),
              help="Length of a period.  [default: whichever fits the time covered]")  # fmt: skip
@click.option("--date-format", metavar="FORMAT",
              help="How the dates read, such as %d/%m/%Y; or s, ms, us, ns for numbers since 1970.")  # fmt: skip
@click.option("--title", metavar="TEXT", help="Title of the page.")
@click.option("--reviews", type=click.IntRange(1, 250), default=100, metavar="N", help="Reviews per list.")
@reports_errors
def report(
    runs: tuple[str, ...], output: str | None, text_from: tuple[str, ...], slice_column: tuple[str, ...], **rest: Any
) -> None:
    """Write a page about OUT, the output of a run: what drives its decisions, whether to trust them, and reviews.

    The page is one file that needs no network. A run holds no texts: they come from its inputs or a kept column.
    Several runs, or a folder of them, are one table: of an id that several have, the rows of the newest count.

    \b
    Examples:
      batch-scorer report out --text-from reviews.parquet
      batch-scorer report out --text-from reviews.parquet --rescore
      batch-scorer report out --label-column true_label --slice-column product --output quality.html
      batch-scorer report out --label-column stars --positive-value '>=4' --negative-value '<=2'
      batch-scorer report out/june --reference out/may
      batch-scorer report nights --text-from incoming --group-by product --over date
      batch-scorer report out --group-by product --over date --text-from reviews.parquet --title 'Reviews of May'
    """
    from batch_scorer.cli import report, streams
    from batch_scorer.report.question import Question

    streams.forgive_output()  # the page is the result
    report.report(Question(runs[0], others=runs[1:], text_from=text_from, slice_columns=slice_column, **rest), output)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Show what changed between two runs.")
@click.argument("a", metavar="A", shell_complete=complete.directories)
@click.argument("b", metavar="B", shell_complete=complete.directories)
@click.option(
    "--output", metavar="DIR", help="Write reviews, words and tokens as Parquet to DIR, which must be new or empty."
)
@click.option("--by", type=click.Choice(["record_id", "source,offset", "distribution"]), default="record_id",
              help="How to match the reviews of the two runs.")  # fmt: skip
@click.option("--rows", type=Count(0), default=10, metavar="N", help="Reviews, words and groups to show.")
@click.option("--group-by", multiple=True, metavar="NAME",
              help="Column whose values are groups to compare, kept in both runs; may be repeated.")  # fmt: skip
@click.option("--label-column", metavar="NAME", help="Column with the true label, kept in both runs.")
@label_options(None)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
@reports_errors
def compare(
    a: str, b: str, output: str | None, by: str, rows: int, group_by: tuple[str, ...],
    label_column: str | None, positive_value: tuple[str, ...], negative_value: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Compare two runs, A and B: two models on the same reviews, or one model on two corpora.

    Reviews that are in both are compared one by one: labels, probabilities, and the words behind them. If fewer than
    one in a hundred are in both, the runs are compared by distribution, and the output says so.

    \b
    DIR/reviews.parquet  one row per review in A or B: probabilities, logits, labels
    DIR/tokens.parquet   one row per listed word of a review: its contribution in A and B, null where it is not listed
    DIR/words.parquet    one row per word: how often it is listed, and the sum of its contributions
    DIR/groups.parquet   one row per group, with --group-by: its shares of positive reviews, and whether it moved

    \b
    Examples:
      batch-scorer compare out_old out_new
      batch-scorer compare march april --by distribution --json
      batch-scorer compare march april --group-by product
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
    actions.compare(a, b, Question(by, rows, label_column, positive_value, negative_value, output, group_by), as_json)
