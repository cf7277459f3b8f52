"""`batch-scorer check`: whether a run is like those before it, as an exit code, a table or JSON."""

from __future__ import annotations

import sys

import click

from batch_scorer import escape
from batch_scorer.check.limits import KINDS
from batch_scorer.cli import completion as complete
from batch_scorer.cli.framework import SETTINGS, Command, reports_errors
from batch_scorer.cli.inputs import label_options

_LIMITS = "\n".join(f"      {name:15} {kind.limit:<5g} {kind.what}" for name, kind in KINDS.items())


@click.command(cls=Command, context_settings=SETTINGS, short_help="Find out whether a run is like those before it.")
@click.argument("output", metavar="OUT", shell_complete=complete.directories)
@click.option("--reference", multiple=True, metavar="OUT", shell_complete=complete.directories,
              help="An earlier run, or a folder of runs, of which the latest 30 count; may be repeated.  "
              "[default: the model's training data]")  # fmt: skip
@click.option("--max", "limits", multiple=True, metavar="NAME=VALUE",
              help="Another limit for a measure, or `off`; may be repeated.")  # fmt: skip
@click.option("--group-by", multiple=True, metavar="NAME",
              help="Kept column of groups, products for instance, to compare one by one; may be repeated.")  # fmt: skip
@click.option("--label-column", metavar="NAME", help="Kept column with the true label, for errors and calibration.")
@label_options(None)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (schemas/check.json).")
@reports_errors
def check(
    output: str, reference: tuple[str, ...], limits: tuple[str, ...], group_by: tuple[str, ...],
    label_column: str | None, positive_value: tuple[str, ...], negative_value: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Check OUT, the output of a run, against the runs before it: a gate between a nightly job and those who use it.

    A limit is broken if the value is over it, and by more than chance explains: what happens to one in a thousand pairs
    of samples of the same reviews does not count.

    \b
    Measures and their limits:
    {limits}

    \b
    Examples:
      batch-scorer check nights/2026-11-29 --reference nights
      batch-scorer check today --reference yesterday --max positive=0.2 --max volume=off
      batch-scorer check nights/2026-11-29 --reference nights --group-by product --json > check.json

    \b
    Exit codes:
      0  within all limits
      2  refused: an option or a run is wrong
      4  a limit is broken
    """
    from batch_scorer.check.check import check as measured
    from batch_scorer.check.result import Question
    from batch_scorer.ui import check as check_view
    from batch_scorer.ui import terminal

    question = Question(output, reference, limits, group_by, label_column, positive_value, negative_value)
    console, checked = terminal.console(), measured(question)
    if as_json:
        click.echo(escape.as_json(check_view.to_json(checked), console.encoding))
    else:
        check_view.show(console, checked)
    sys.exit(checked.exit_code)


check.help = (check.help or "").replace("    {limits}", _LIMITS)
