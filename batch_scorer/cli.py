"""The command line: options in, one config out; prints, and exits."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from batch_scorer import __version__
from batch_scorer.config import FORMATS, Kept, ScoreConfig
from batch_scorer.errors import ArtifactError, OptionError, OutputError, RefusedError, ScorerError

if TYPE_CHECKING:
    from rich.console import Console

_SETTINGS = {"show_default": True, "max_content_width": 100, "help_option_names": ["-h", "--help"]}


class BeamCommand(click.Command):
    """A command whose arguments after `--` go to Beam untouched, so that a typo before it stays an error."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta["beam_options"] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turns our errors into a message and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ScorerError as error:
            click.secho("error: ", fg="red", bold=True, err=True, nl=False)
            click.echo(_printable(str(error)), err=True)
            sys.exit(error.exit_code)

    return wrapped


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__)
def main() -> None:
    """Scores the sentiment of text reviews and says which words made it so.

    \b
    Examples:
      batch-scorer score reviews.parquet --output out
      batch-scorer inspect out
    """


@main.command(cls=BeamCommand, context_settings=_SETTINGS)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--output", required=True, metavar="DIR", help="Directory for the results; new or empty.")
@click.option("--model", metavar="DIR", help="Model artefact.  [default: the shipped model]")
@click.option("--input-format", type=click.Choice(["auto", *FORMATS]), default="auto", help="auto goes by file names.")
@click.option("--text-column", default="text", metavar="NAME", help="Column of the review.")
@click.option("--id-column", metavar="NAME", help="Column of its id.  [default: source#offset]")
@click.option("--keep", multiple=True, metavar="NAME[=NEW]", help="Column to carry into the output; may be repeated.")
@click.option("--top-k", type=click.IntRange(0), default=10, metavar="N", help="Words listed a review; 0 for none.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Local processes.  [default: usable cores]")
@click.option(
    "--shard-rows", type=click.IntRange(1), metavar="N", help="Reviews in a shard, about.  [default: from the plan]"
)
@click.option(
    "--max-text-bytes", type=click.IntRange(1), default=1_000_000, metavar="N", help="Larger texts are rejected."
)
@click.option("--max-error-rate", type=click.FloatRange(0, 1), default=0.01, metavar="X",
              help="Share of rejected records above which the exit code is 3.")  # fmt: skip
@click.option("--allow-unreadable", is_flag=True, help="Damaged files do not make the exit code 3.")
@click.option("--run-id", metavar="ID", help="Name of the run.  [default: from the plan]")
@click.option("--resume", is_flag=True, help="Go on with an unfinished run in --output; start it if there is none.")
@click.option("--overwrite", is_flag=True, help="Delete an earlier run in --output first.")
@click.pass_context
@reports_errors
def score(ctx: click.Context, keep: tuple[str, ...], input_format: str, workers: int | None, **options: Any) -> None:
    """Scores the reviews in INPUT: Parquet, JSON lines, or text files of one review each; files, directories, globs.

    Writes DIR/predictions/*.parquet, a row a review, and DIR/errors/*.parquet, a row a bad record. Options for
    Beam's runner go after `--`.

    \b
    Examples:
      batch-scorer score reviews.parquet --output out --id-column review_id --keep label=true_label
      batch-scorer score 'reviews/*.jsonl' letters/ --output out
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
        workers=workers or len(os.sched_getaffinity(0)),
        command=tuple(sys.argv),
        beam_options=ctx.meta["beam_options"],
    )
    if config.resume and config.overwrite:
        raise OptionError("--resume and --overwrite exclude each other", fix="give one of them")
    sys.exit(_score(config))


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


def _score(config: ScoreConfig) -> int:
    """Plans, runs and sums up; returns the exit code."""
    console = _console()
    start = time.monotonic()
    _quieten()
    from batch_scorer import artifact, outputs, plan, storage, terminal

    model = artifact.load(config.model or artifact.SHIPPED)
    made, shards = plan.make_plan(config, model.model_id)
    made = outputs.prepare(config, made)

    from batch_scorer import pipeline
    from batch_scorer.summarise import verdict

    beam_options = pipeline.options(config)
    about = "about " if made.estimated else ""
    shards_word = "shard" if made.shard_count == 1 else "shards"
    console.print(
        f"{about}{made.reviews:,} reviews in {made.shard_count:,} {shards_word}; model {model.manifest['name']} "
        f"{model.model_id}; run {terminal.safe(made.run_id)}",
        highlight=False,
    )
    outputs.begin(config)
    plan.write_plan(made, shards, config.output)
    every_s = 10.0 if storage.is_remote(config.output) else 0.5
    with terminal.progress(console, terminal.reviews_done(config.output), made.reviews, made.estimated, every_s):
        pipeline.run(made, config, beam_options)
    outputs.finish(config)
    manifest = json.loads(storage.read_bytes(storage.join(config.output, "manifest.json")))
    terminal.summary(console, config.output, manifest, time.monotonic() - start)
    reason = verdict(manifest["counts"], config.max_error_rate, config.allow_unreadable)
    if reason:
        click.secho("not a success: ", fg="yellow", bold=True, err=True, nl=False)
        click.echo(reason, err=True)
        return 3
    return 0


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=False, soft_wrap=True, emoji=False)  # `:heart:` in a file's name is a name


def _quieten() -> None:
    """Keeps TensorFlow and Beam from talking over our own output, here and in the workers."""
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "GRPC_VERBOSITY": "ERROR"}.items():
        os.environ.setdefault(name, value)
    logging.getLogger().setLevel(logging.CRITICAL)  # Beam's imports warn there of extras that are not installed
    for name in ("apache_beam", "tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@main.command(context_settings=_SETTINGS)
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
    from batch_scorer import artifact, outputs, storage, terminal

    console = _console()
    path = path or artifact.SHIPPED
    if storage.exists(storage.join(path, "MODEL_ID")):
        model = artifact.load(path)
        terminal.model_card(console, path, model.manifest, model.model_id)
        return
    if not storage.exists(storage.join(path, "plan.json")):
        raise RefusedError(
            "there is nothing to inspect",
            where=path,
            expected="a model artefact (MODEL_ID) or the output of `batch-scorer score` (plan.json)",
            got="neither" if storage.exists(path) else "nothing there",
        )
    outputs.show(console, path, rows)


__all__ = ["ArtifactError", "OutputError", "main"]
