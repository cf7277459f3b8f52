"""The command line: `score`, whose options become one config, beside `cli.commands` and `cli.run_commands`."""

from __future__ import annotations

import sys
from typing import Any

import click

from batch_scorer import __version__
from batch_scorer.cli import commands, completion, run_commands
from batch_scorer.cli.check import check
from batch_scorer.cli.framework import SETTINGS, option, program, reports_errors
from batch_scorer.cli.inputs import reading_options
from batch_scorer.cli.kinds import BeamCommand, EscapingGroup
from batch_scorer.cli.numbers import Count, Number
from batch_scorer.cli.review import review
from batch_scorer.config import (
    AFTER_BY,
    LARGEST_TOTAL,
    LOG_FORMATS,
    PRECISIONS,
    QUIET,
    USUAL,
    VERBOSE,
    InputConfig,
    JobConfig,
    MessageConfig,
    ScoreConfig,
    ScoringConfig,
)
from batch_scorer.errors import OptionError
from batch_scorer.escape import command_without_secrets
from batch_scorer.planning.options import check_beam_options, check_options, kept_columns

# The sections of the help of `score`.
_FIRST, _INPUT, _OUTPUT = "Options that matter first", "Input", "Output"
_MODEL, _RUN, _MESSAGES = "Model", "Run", "Messages"


@click.group(cls=EscapingGroup, context_settings=SETTINGS)
@click.version_option(__version__)
def main() -> None:
    """Score the sentiment of text reviews, and show which words made it so.

    \b
    Examples:
      batch-scorer score reviews.parquet --output out --id-column review_id
      batch-scorer inspect out
      batch-scorer report out --text-from reviews.parquet
      batch-scorer explain "Slow to start, but what a finish."
    """


@main.command(cls=BeamCommand, context_settings=SETTINGS, short_help="Score reviews: files in, Parquet out.")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", shell_complete=completion.files)
@option(_FIRST, "--output", required=True, metavar="DIR", shell_complete=completion.directories,
        help="Directory for the results; must be new or empty.")  # fmt: skip
@option(_FIRST, "--text-column", default=InputConfig.text_column, metavar="NAME", shell_complete=completion.columns,
        help="Column that holds the review.")  # fmt: skip
@option(_FIRST, "--id-column", metavar="NAME", shell_complete=completion.columns,
        help="Column that holds its id.  [default: source#offset]")  # fmt: skip
@option(_FIRST, "--keep", multiple=True, metavar="NAME[=NEW]", shell_complete=completion.columns,
        help="Column to copy to the output; may be repeated.")  # fmt: skip
@option(
    _FIRST,
    "--limit",
    type=Count(1, LARGEST_TOTAL),
    metavar="N",
    help="Score only the first N records, to try things out.",
)
@option(_FIRST, "--dry-run", is_flag=True,
        help="Show what would be done and how long it would take; write nothing.")  # fmt: skip
@reading_options(_INPUT)
@option(_INPUT, "--after", multiple=True, metavar="OUT", shell_complete=completion.directories,
        help="Pass over files that an earlier run, or the runs in a folder, have read; may be repeated.")  # fmt: skip
@option(_INPUT, "--after-by", type=click.Choice(AFTER_BY), default=InputConfig.after_by,
        help="record: of other files, pass over the records read before with the same id and text.")  # fmt: skip
@option(_OUTPUT, "--resume", is_flag=True, help="Continue an unfinished run in --output; start it if there is none.")
@option(_OUTPUT, "--overwrite", is_flag=True, help="Delete an earlier run in --output first.")
@option(
    _OUTPUT,
    "--top-k",
    type=Count(0),
    default=ScoringConfig.top_k,
    metavar="N",
    help="Words to list per review; 0 for none.",
)
@option(_OUTPUT, "--sentences", is_flag=True, help="List every sentence, with what it adds to the score.")
@option(_OUTPUT, "--spans", type=Count(0), default=ScoringConfig.spans, metavar="N",
        help="Phrases to list per review; 0 for no such list.")  # fmt: skip
@option(_OUTPUT, "--no-text-hash", is_flag=True,
        help="Leave out the hash of each text, from which short ones can be guessed.")  # fmt: skip
@option(_OUTPUT, "--no-excerpt", is_flag=True, help="Keep the text of rejected records out of DIR/errors.")
@option(_OUTPUT, "--run-id", metavar="ID", help="Name of the run.  [default: from the plan]")
@option(_MODEL, "--model", metavar="DIR", shell_complete=completion.directories,
        help="Model artefact.  [default: the shipped model]")  # fmt: skip
@option(_MODEL, "--precision", type=click.Choice(PRECISIONS), default=ScoringConfig.precision,
        help="Precision of the network's products; bfloat16 is faster where the processor supports it.")  # fmt: skip
@option(_MODEL, "--target-accuracy", type=Number(0.5, 1), metavar="X",
        help="Add a column that says which reviews to decide for this share of their labels to be right.")  # fmt: skip
@option(_MODEL, "--unusual", is_flag=True,
        help="Add a column that says which texts are unlike those of training, and why.")  # fmt: skip
@option(_RUN, "--workers", type=Count(1), metavar="N",
        help="Local processes.  [default: one per core, fewer for few reviews]")  # fmt: skip
@option(_RUN, "--max-error-rate", type=Number(0, 1), default=JobConfig.max_error_rate, metavar="X",
        help="Share of rejected records above which the exit code is 3.")  # fmt: skip
@option(_RUN, "--allow-unreadable", is_flag=True, help="Do not count damaged files as a failure (exit code 3).")
@option(_RUN, "--allow-empty", is_flag=True,
        help="Succeed where there is nothing to score: no file matches, or no record has text.")  # fmt: skip
@option(_RUN, "--shard-rows", type=Count(1), metavar="N",
        help="Approximate reviews per shard.  [default: from the plan]")  # fmt: skip
@option(_RUN, "--worker-timeout", type=Number(1), default=JobConfig.worker_timeout_s, metavar="SECONDS",
        help="End the job if a local worker takes longer for one step.")  # fmt: skip
@option(_RUN, "--price-per-vcpu-hour", type=Number(0), metavar="X", help="Let --dry-run show costs as well.")
@option(_MESSAGES, "-q", "--quiet", is_flag=True,
        help="Print only warnings and errors, on standard error.")  # fmt: skip
@option(_MESSAGES, "--json", "as_json", is_flag=True,
        help="Print the summary, or with --dry-run the plan and the estimate, as one JSON object.")  # fmt: skip
@option(_MESSAGES, "-v", "--verbose", is_flag=True,
        help="Print what the job does: versions, plan, each finished shard and its timings.")  # fmt: skip
@option(_MESSAGES, "--log-format", type=click.Choice(LOG_FORMATS), default=MessageConfig.log_format,
        help="json: one object per line, on standard error and in the log file.")  # fmt: skip
@option(_MESSAGES, "--log-file", metavar="FILE", shell_complete=completion.files,
        help="Write a log for troubleshooting; it never contains a review.")  # fmt: skip
@click.pass_context
@reports_errors
def score(
    ctx: click.Context,
    keep: tuple[str, ...],
    input_format: str,
    dry_run: bool,
    no_excerpt: bool,
    worker_timeout: float,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score the reviews in INPUT: files, directories and globs of Parquet, JSON lines, CSV, TSV, one review per line or
    per file, compressed or not.

    Writes DIR/predictions/*.parquet, one row per review, and DIR/errors/*.parquet, one row per bad record.

    \b
    Examples:
      batch-scorer score reviews.parquet --output out --id-column review_id --keep label=true_label
      batch-scorer score 'exports/*.csv.gz' letters/ --output out --limit 1000
      batch-scorer score reviews.jsonl --output out --text-column review.body --dry-run
      batch-scorer score reviews.parquet --output out --log-format json 2> events.jsonl
      batch-scorer score 'tonight/*.jsonl' --output out --allow-empty --json > summary.json
      batch-scorer score gs://bucket/reviews/*.parquet --output gs://bucket/out -- \\
          --runner=DataflowRunner --project=P --region=R --temp_location=gs://bucket/tmp

    \b
    Exit codes:
      0  done
      1  the job failed
      2  refused: an option, input, output or model is wrong; nothing was started
      3  finished, but too many records were rejected or something was unreadable
    """
    beam_options = ctx.meta["beam_options"]
    check_beam_options(beam_options, {name for param in ctx.command.get_params(ctx) for name in param.opts})
    if not beam_options:
        from batch_scorer.runners.lean import forgo_pandas

        forgo_pandas()  # before pyarrow is imported
    config = ScoreConfig.of(
        **options,
        input_format=None if input_format == "auto" else input_format,
        kept=kept_columns(keep),
        excerpts=not no_excerpt,
        worker_timeout_s=worker_timeout,
        verbosity=QUIET if quiet else VERBOSE if verbose else USUAL,
        program=program(),
        command=command_without_secrets(sys.argv),
        beam_options=beam_options,
    )
    check_options(config)
    if quiet and verbose:
        raise OptionError("--quiet and --verbose cannot be combined", fix="give one of them")
    from batch_scorer.cli import score

    sys.exit((score.dry_run if dry_run else score.score)(config, as_json))


for command in (
    commands.inspect,
    commands.explain,
    run_commands.report,
    run_commands.compare,
    check,
    review,
    commands.sql,
    commands.completion,
):
    main.add_command(command)
