"""The commands that look at what is there, a review, a model or runs: options in, one call of `commands`."""

from __future__ import annotations

import click

from batch_scorer.cli_frame import SETTINGS, reports_errors
from batch_scorer.errors import OptionError


@click.command(context_settings=SETTINGS)
@click.argument("text")
@click.option("--model", metavar="DIR", help="Model artefact.  [default: the shipped model]")
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
    from batch_scorer import commands

    commands.explain(text, model, top_k, as_json)


@click.command(context_settings=SETTINGS)
@click.argument("path", metavar="MODEL|OUT", required=False)
@click.option("--rows", type=click.IntRange(0), default=8, metavar="N", help="Predictions to show of a run.")
@reports_errors
def inspect(path: str | None, rows: int) -> None:
    """Shows what is in MODEL, a model artefact, or in OUT, the output of a run. Without either: the shipped model.

    A model is verified as before a run: hashes, shapes, and the score of its probe text.

    \b
    Examples:
      batch-scorer inspect
      batch-scorer inspect out --rows 20
    """
    from batch_scorer import commands

    commands.inspect(path, rows)


@click.command(context_settings=SETTINGS)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--output", metavar="DIR", help="Write reviews, words and tokens as Parquet to DIR; new or empty.")
@click.option("--by", type=click.Choice(["record_id", "source,offset", "distribution"]), default="record_id",
              help="What tells that two reviews are the same.")  # fmt: skip
@click.option("--rows", type=click.IntRange(0), default=10, metavar="N", help="Reviews and words to show.")
@click.option("--label-column", metavar="NAME", help="Column with the truth, kept in both runs.")
@click.option(
    "--positive-value", metavar="V", help="The value of it that means positive.  [default: 1, true, positive]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON object.")
@reports_errors
def compare(
    a: str, b: str, output: str | None, by: str, rows: int,
    label_column: str | None, positive_value: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Compares two runs, A and B: two models on the same reviews, or one model on two corpora.

    Reviews that are in both are compared one by one: labels, probabilities, and the words that make them. Where fewer
    than one in a hundred are in both, the runs are compared by distribution, and it says so.

    \b
    DIR/reviews.parquet  a row a review in A or B: probabilities, logits, labels
    DIR/tokens.parquet   a row a word listed of it: its contribution in A and in B, null where it is not listed
    DIR/words.parquet    a row a word: how often it is listed, and the sum of its contributions

    \b
    Examples:
      batch-scorer compare out_old out_new
      batch-scorer compare march april --by distribution --json
      batch-scorer compare out_old out_new --label-column true_label --output changes
    """
    from batch_scorer import commands
    from batch_scorer.comparison import Question

    if output == "":  # most likely an unset variable of the shell
        raise OptionError("--output is empty", fix="give it a value, or leave it out")
    if positive_value is not None and label_column is None:
        raise OptionError("--positive-value says nothing without --label-column", fix="name the column of the truth")
    commands.compare(a, b, Question(by, rows, label_column, positive_value, output), as_json)
