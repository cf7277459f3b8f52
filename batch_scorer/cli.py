"""The command line: `score`, whose options become one config, beside the commands of `cli_look`; exits."""

from __future__ import annotations

import sys
from typing import Any

import click

from batch_scorer import __version__, cli_look
from batch_scorer.cli_frame import SETTINGS, BeamCommand, EscapingGroup, reports_errors
from batch_scorer.config import FLOAT32, FORMATS, PRECISIONS, Kept, ScoreConfig, without_secrets
from batch_scorer.errors import OptionError


@click.group(cls=EscapingGroup, context_settings=SETTINGS)
@click.version_option(__version__)
def main() -> None:
    """Scores the sentiment of text reviews and says which words made it so.

    \b
    Examples:
      batch-scorer score reviews.parquet --output out
      batch-scorer inspect out
      batch-scorer explain "Slow to start, but what a finish."
    """


@main.command(cls=BeamCommand, context_settings=SETTINGS)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--output", required=True, metavar="DIR", help="Directory for the results; new or empty.")
@click.option("--model", metavar="DIR", help="Model artefact.  [default: the shipped model]")
@click.option("--input-format", type=click.Choice(["auto", *FORMATS]), default="auto", help="auto goes by file names.")
@click.option("--text-column", default="text", metavar="NAME", help="Column of the review.")
@click.option("--id-column", metavar="NAME", help="Column of its id.  [default: source#offset]")
@click.option("--keep", multiple=True, metavar="NAME[=NEW]", help="Column to carry into the output; may be repeated.")
@click.option("--encoding", default="utf-8", metavar="NAME", help="Of CSV, line and one-review files.")
@click.option("--delimiter", metavar="CHAR", help="Of CSV files.  [default: comma; tab for .tsv]")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Score only the first N records, for a trial.")
@click.option("--top-k", type=click.IntRange(0), default=10, metavar="N", help="Words listed a review; 0 for none.")
@click.option("--precision", type=click.Choice(PRECISIONS), default=FLOAT32,
              help="Of the network's products; bfloat16 is faster where the processor multiplies it.")  # fmt: skip
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Local processes.  [default: one a core, fewer if few reviews]",
)
@click.option(
    "--shard-rows", type=click.IntRange(1), metavar="N", help="Reviews in a shard, about.  [default: from the plan]"
)
@click.option(
    "--max-text-bytes", type=click.IntRange(1), default=1_000_000, metavar="N", help="Larger texts are rejected."
)
@click.option("--max-error-rate", type=click.FloatRange(0, 1), default=0.01, metavar="X",
              help="Share of rejected records above which the exit code is 3.")  # fmt: skip
@click.option("--allow-unreadable", is_flag=True, help="Damaged files do not make the exit code 3.")
@click.option("--no-excerpt", is_flag=True, help="Rejected records leave nothing of their text in DIR/errors.")
@click.option("--worker-timeout", type=click.FloatRange(1), default=45, metavar="SECONDS",
              help="A local worker that takes longer for one step ends the job.")  # fmt: skip
@click.option("--log-file", metavar="FILE", help="Write a log, for finding faults; it holds no review.")
@click.option("--run-id", metavar="ID", help="Name of the run.  [default: from the plan]")
@click.option("--dry-run", is_flag=True, help="Show what would be done and how long it would take; write nothing.")
@click.option("--price-per-vcpu-hour", type=click.FloatRange(0), metavar="X", help="Have --dry-run show costs, too.")
@click.option("--resume", is_flag=True, help="Go on with an unfinished run in --output; start it if there is none.")
@click.option("--overwrite", is_flag=True, help="Delete an earlier run in --output first.")
@click.pass_context
@reports_errors
def score(
    ctx: click.Context,
    keep: tuple[str, ...],
    input_format: str,
    dry_run: bool,
    no_excerpt: bool,
    worker_timeout: float,
    **options: Any,
) -> None:
    """Scores the reviews in INPUT: files, directories and globs of Parquet, JSON lines, CSV, TSV, one review a line or
    one review a file, compressed or not.

    Writes DIR/predictions/*.parquet, a row a review, and DIR/errors/*.parquet, a row a bad record. Options for
    Beam's runner go after `--`.

    \b
    Examples:
      batch-scorer score reviews.parquet --output out --id-column review_id --keep label=true_label
      batch-scorer score 'exports/*.csv.gz' letters/ --output out --limit 1000
      batch-scorer score reviews.jsonl --output out --text-column review.body --dry-run
      batch-scorer score gs://bucket/reviews/*.parquet --output gs://bucket/out -- \\
          --runner=DataflowRunner --project=P --region=R --temp_location=gs://bucket/tmp

    \b
    Exit codes:
      0  done
      1  the job failed
      2  refused: a wrong option, input, output or model; nothing was started
      3  finished, but too much was rejected or something was unreadable
    """
    config = ScoreConfig(
        **options,
        input_format=None if input_format == "auto" else input_format,
        kept=_kept(keep),
        excerpts=not no_excerpt,
        worker_timeout_s=worker_timeout,
        command=without_secrets(sys.argv),
        beam_options=ctx.meta["beam_options"],
    )
    for name in ("output", "model", "text_column", "id_column", "encoding", "run_id", "log_file"):
        if options[name] == "":  # most likely an unset variable of the shell
            raise OptionError(f"--{name.replace('_', '-')} is empty", fix="give it a value, or leave it out")
    _check_encoding(config.encoding)
    if config.delimiter is not None and (len(config.delimiter) != 1 or config.delimiter in '"\r\n'):
        raise OptionError("--delimiter is not one character", got=repr(config.delimiter), fix="for a tab: $'\\t'")
    if config.resume and config.overwrite:
        raise OptionError("--resume and --overwrite exclude each other", fix="give one of them")
    from batch_scorer import job

    sys.exit(job.dry_run(config) if dry_run else job.score(config))


def _check_encoding(name: str) -> None:
    # The first tells those that read ASCII as something else: names of hosts, and escapes of Python.
    samples = (rb"xn--mnchen-3ya.\x41\u0041", bytes(range(128)))
    try:
        fits = all(sample.decode(name) == sample.decode("ascii") for sample in samples)
    except (LookupError, UnicodeError):
        fits = False
    if not fits:
        raise OptionError(
            "--encoding cannot be read line by line",
            expected="an encoding whose bytes below 128 are ASCII: utf-8, latin-1, cp1252, gb18030 ...",
            got=name,
            fix="convert the files: iconv -f UTF-16 -t UTF-8",
        )


def _kept(keep: tuple[str, ...]) -> tuple[Kept, ...]:
    from batch_scorer.schema import OUR_COLUMNS

    kept = []
    for spec in keep:
        name, _, new = spec.partition("=")
        kept.append(Kept(name, new or name))
        output_name = kept[-1].output_name
        if output_name in OUR_COLUMNS or [k.output_name for k in kept].count(output_name) > 1:
            raise OptionError(
                f"the output already has a column {output_name!r}",
                where=f"--keep {spec}",
                fix=f"give it another name: --keep {name}={'true_' if name == 'label' else 'input_'}{name}",
            )
    return tuple(kept)


for command in (cli_look.explain, cli_look.inspect, cli_look.compare):
    main.add_command(command)
