"""The commands that look at a review, a model or a run: options in, one call of `cli.actions`.

And `completion`, with which a shell completes all of them.
"""

from __future__ import annotations

import click

from batch_scorer.cli import completion as complete
from batch_scorer.cli.framework import SETTINGS, Command, program, reports_errors
from batch_scorer.cli.kinds import TextCommand
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
@click.option("--what-if", is_flag=True,
              help="Delete each word, phrase and sentence that is listed, and show how the score moves.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the columns of `predictions` as one JSON object.")
@reports_errors
def explain(
    text: str | None, run: str | None, record_id: str | None, text_from: tuple[str, ...],
    model: str | None, top_k: int | None, sentences: bool, spans: int | None, what_if: bool, as_json: bool,
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
      batch-scorer explain --what-if "This is not a good film."
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
            what_if,
            as_json,
        )
        return
    if text is not None:
        raise OptionError("a TEXT and --run exclude each other", got=f"TEXT {text!r:.80}", fix="give one of them")
    if record_id is None:
        fix = "name its record_id; `batch-scorer inspect OUT` shows some"
        raise OptionError("--run needs the --id of a row", where=f"--run {run}", fix=fix)
    if what_if:
        fix = "give the text itself as TEXT; a run's rows are shown as they were scored"
        raise OptionError("--what-if scores again, and does not go with --run", fix=fix)
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


@click.command(cls=Command, context_settings=SETTINGS, short_help="Print SQL that makes runs tables in DuckDB.")
@click.argument("outputs", nargs=-1, required=True, metavar="OUT...", shell_complete=complete.directories)
@click.option("--prefix", default="", metavar="NAME", help="Prefix for the names of the views.")
@click.option("--newest", is_flag=True, help="Of an id that several runs have, take the rows of the newest run alone.")
@reports_errors
def sql(outputs: tuple[str, ...], prefix: str, newest: bool) -> None:
    """Print SQL that gives DuckDB views of the runs in OUT...: `predictions`, one row per review; `tokens`, one row per
    listed word; `errors`, one row per rejected record; and `runs`. Runs that list them have `sentences` and `phrases`
    too. Several runs share the views, told apart by `run_id`; OUT may be a folder of runs, too.

    Its paths are absolute. This command itself does not need DuckDB; docs/analysts.md has questions to ask.

    \b
    Examples:
      batch-scorer sql out > views.sql && duckdb -init views.sql
      batch-scorer sql june july > views.sql
      batch-scorer sql june --prefix june_ > views.sql
      batch-scorer sql nights --newest > views.sql
      python -c 'import duckdb; duckdb.execute(open("views.sql").read()); print(duckdb.sql("from runs"))'
    """
    from batch_scorer.cli import actions

    actions.sql(outputs, prefix, newest)


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
