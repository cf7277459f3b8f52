"""`batch-scorer review`: which reviews of a run people should label, as a file for a spreadsheet."""

from __future__ import annotations

from typing import Any

import click

from batch_scorer.cli import completion as complete
from batch_scorer.cli.framework import SETTINGS, Command, reports_errors
from batch_scorer.cli.numbers import Count
from batch_scorer.escape import counted, quoted, safe
from batch_scorer.planning.options import check_given

TASKS = "tasks.csv"


@click.command(cls=Command, context_settings=SETTINGS, short_help="Write a file of reviews for people to label.")
@click.argument("run", metavar="OUT", shell_complete=complete.directories)
@click.option("--output", default=TASKS, metavar="FILE", shell_complete=complete.files,
              help="The CSV file to write; must be new.")  # fmt: skip
@click.option("--least-certain", type=Count(1), metavar="N",
              help="Choose the N reviews whose probability is nearest to the threshold.")  # fmt: skip
@click.option("--unusual", type=Count(1), metavar="N",
              help="Choose N whose texts are unlike those of training (score --unusual).")  # fmt: skip
@click.option("--random", type=Count(1), metavar="N",
              help="Draw N at random, to measure the accuracy by.")  # fmt: skip
@click.option("--seed", type=Count(0), default=0, metavar="N", help="Of the draw: another one draws others.")
@click.option("--prefill", is_flag=True, help="Fill in the model's labels, for people to correct.")
@click.option("--text-from", multiple=True, metavar="INPUT", shell_complete=complete.files,
              help="Input to take the texts from; may be repeated.  "
              "[default: the kept text column, or the run's own inputs]")  # fmt: skip
@reports_errors
def review(run: str, output: str, text_from: tuple[str, ...], **asked: Any) -> None:
    """Write a CSV file of reviews in OUT, the output of a run, for people to label: one row per review, with its text,
    what the model says and why, and a column `label` to fill in with `positive` or `negative`.

    Any spreadsheet opens it, and `python -m train --data tasks.csv` reads it as it comes back; rows without a label are
    left out. Several choices can be combined; `chosen_by` says which took a row, and accuracy can only be measured on
    those that were drawn at random.

    \b
    Examples:
      batch-scorer review out --least-certain 200
      batch-scorer review out --random 300 --seed 7 --output sample.csv
      batch-scorer review out --least-certain 100 --unusual 100 --prefill --text-from reviews.parquet
    """
    from batch_scorer.labelling.question import Question
    from batch_scorer.labelling.tasks import write_tasks

    check_given("output", output)
    given = {name: value for name, value in asked.items() if value is not None}
    written = write_tasks(Question(run, text_from, **given), output)
    taken = ", ".join(f"{count:,} {name}" for name, count in written.tasks.items())
    click.echo(f"tasks  {safe(written.path)}: {counted(written.reviews, 'review')} ({taken})")
    for note in written.notes:
        click.echo(f"  {note}")
    click.echo("  fill in the column label with positive or negative, then, in a checkout of batch-scorer:")
    click.echo(
        f"  python -m train --start-from shipped --data {quoted(written.path)} --id-column record_id --output model"
    )
