"""The commands that look at what is there, a review, a model or a run: options in, one call of `commands`."""

from __future__ import annotations

from typing import Any

import click

from batch_scorer.cli_frame import SETTINGS, reports_errors


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
@click.argument("run", metavar="OUT")
@click.option(
    "--output", metavar="FILE", help="Where to write it.  [default: OUT/report.html; of a store, report.html]"
)
@click.option("--reference", metavar="OUT", help="An earlier run, to compare with.")
@click.option("--text-from", multiple=True, metavar="INPUT", help="Input to take the texts from; may be repeated.")
@click.option("--text-column", metavar="NAME", help="Kept column that holds the text.")
@click.option("--label-column", metavar="NAME", help="Kept column that holds the truth, to measure quality by.")
@click.option("--positive-value", metavar="VALUE",
              help="Label that means positive.  [default: 1, positive, pos or true, whichever is there]")  # fmt: skip
@click.option("--slice-column", multiple=True, metavar="NAME", help="Kept column to slice quality by; may be repeated.")
@click.option("--reviews", type=click.IntRange(1, 250), default=100, metavar="N", help="Reviews in each list.")
@reports_errors
def report(
    run: str, output: str | None, text_from: tuple[str, ...], slice_column: tuple[str, ...], **rest: Any
) -> None:
    """Writes a page about OUT, the output of a run: what drives its decisions, whether to trust them, and reviews.

    The page is one file that needs no network. A run holds no texts: they come from its inputs, or a kept column.

    \b
    Examples:
      batch-scorer report out --text-from reviews.parquet
      batch-scorer report out --label-column true_label --slice-column product --output quality.html
      batch-scorer report out/june --reference out/may
    """
    from batch_scorer.report import command
    from batch_scorer.report.question import Question

    command.report(Question(run, text_from=text_from, slice_columns=slice_column, **rest), output)
