"""The commands that look at what is there, a review, a model or a run: options in, one call of `commands`.

And `completion`, which has a shell help with all of them.
"""

from __future__ import annotations

import click

from batch_scorer import complete
from batch_scorer.cli_frame import SETTINGS, Command, program, reports_errors


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
    from batch_scorer import commands

    commands.explain(text, model, top_k, as_json)


@click.command(cls=Command, context_settings=SETTINGS, short_help="Show what is in a model, or in the output of a run.")
@click.argument("path", metavar="MODEL|OUT", required=False, shell_complete=complete.directories)
@click.option("--rows", type=click.IntRange(0), default=8, metavar="N", help="Predictions to show of a run.")
@reports_errors
def inspect(path: str | None, rows: int) -> None:
    """Shows what is in MODEL, a model artefact, or in OUT, the output of a run. Without either: the shipped model.

    A model is verified as before a run: hashes, shapes, and the score of its probe text.

    Of a run: what happened, how its scores are spread and how far its texts are from those the model was trained on,
    what was rejected, and the first predictions.

    \b
    Examples:
      batch-scorer inspect
      batch-scorer inspect model
      batch-scorer inspect out --rows 20
    """
    from batch_scorer import commands

    commands.inspect(path, rows, program())


@click.command(cls=Command, context_settings=SETTINGS, short_help="Print what a shell needs for completion.")
@click.argument("shell", type=click.Choice(complete.SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Prints what a shell needs to complete commands, options, file names, and columns of the first INPUT.

    \b
    Put this line into ~/.bashrc, or with zsh into ~/.zshrc:
      eval "$(batch-scorer completion bash)"
    With fish:
      batch-scorer completion fish > ~/.config/fish/completions/batch-scorer.fish

    \b
    Examples:
      batch-scorer completion bash
      batch-scorer completion zsh
    """
    click.echo(complete.script(ctx.find_root().command, shell))


@click.command(cls=Command, context_settings=SETTINGS, short_help="Print SQL that makes runs tables of DuckDB.")
@click.argument("outputs", nargs=-1, required=True, metavar="OUT...", shell_complete=complete.directories)
@click.option("--prefix", default="", metavar="NAME", help="What the names of the views begin with.")
@reports_errors
def sql(outputs: tuple[str, ...], prefix: str) -> None:
    """Prints the SQL with which DuckDB has the runs in OUT... as four views: `predictions`, a row a review; `tokens`, a
    row a listed word; `errors`, a row a rejected record; and `runs`. Several runs become one table, by their `run_id`.

    The paths in it are absolute. This command itself needs no DuckDB; docs/analysts.md has questions to ask.

    \b
    Examples:
      batch-scorer sql out > views.sql && duckdb -init views.sql
      batch-scorer sql june july > views.sql
      batch-scorer sql june --prefix june_ > views.sql
      python -c 'import duckdb; duckdb.execute(open("views.sql").read()); print(duckdb.sql("from runs"))'
    """
    from batch_scorer import commands

    commands.sql(outputs, prefix)
