"""What `score` does, once its options are checked: it plans, runs and sums up a job, and says with which code to exit.

Heavy modules are imported where they are used: `batch-scorer --help` has to be quick.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError, StoppedError
from batch_scorer.escape import safe
from batch_scorer.quiet import logged, quieten

if TYPE_CHECKING:
    from rich.console import Console

    from batch_scorer.artifact import Artifact
    from batch_scorer.cut import Shards
    from batch_scorer.plan import Plan


def score(config: ScoreConfig) -> int:
    """Plans, runs and sums up a job.

    Returns:
        0, or 3 where the run is not a success.

    Raises:
        StoppedError: by Ctrl-C or SIGTERM.
    """
    try:
        with _terminated_like_interrupted(), logged(config.log_file):
            return _score(config)
    except KeyboardInterrupt:
        raise StoppedError(
            "interrupted",
            where=config.output,
            got="a job that a service runs goes on there, until it is cancelled" if config.beam_options else None,
            fix=f"to go on, {config.how_to_resume()}",
        ) from None


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Lets SIGTERM end the body as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _score(config: ScoreConfig) -> int:
    from batch_scorer import terminal

    console, start = terminal.console(), time.monotonic()
    model, made, shards = _planned(config, console)
    from batch_scorer import outputs, pipeline, progress, storage, stored_plan

    beam_options = pipeline.options(config)
    console.print(f"{terminal.plan_line(made, model)}; run {safe(made.run_id)}")
    with outputs.claimed(config):
        made = outputs.prepare(config, made)  # once more, now that nobody else can write there
        try:
            with progress.steps(console) as say:
                say("writing the plan")
                outputs.begin(config)
                stored_plan.write_plan(made, shards, config.output)
        except OSError as error:
            raise outputs.unwritable(config.output, error) from error
        every_s = 10.0 if storage.is_remote(config.output) else 0.5
        done = progress.reviews_done(config.output, shards.reviews)
        try:
            with progress.progress(console, done, made.reviews, made.estimated, every_s):
                pipeline.run(made, config, beam_options)
        except (KeyboardInterrupt, JobError):
            if not outputs.is_complete(config.output):
                raise  # else all was done but the end of its processes
        finally:
            outputs.finish(config)
        manifest = json.loads(storage.read_bytes(storage.join(config.output, "manifest.json")))
    terminal.summary(console, config.output, manifest, time.monotonic() - start)
    reason = manifest["not_a_success"]
    if reason:
        click.secho("not a success: ", fg="yellow", bold=True, err=True, nl=False)
        click.echo(safe(reason), err=True)
        return 3
    return 0


def dry_run(config: ScoreConfig) -> int:
    """Shows what `score` would do, and how long it would take here. Writes nothing."""
    from batch_scorer import terminal

    console, start = terminal.console(), time.monotonic()
    model, made, shards = _planned(config, console)
    from batch_scorer import pipeline
    from batch_scorer.estimate import estimate

    beam_options = pipeline.options(config)
    local = pipeline.is_local(beam_options)
    console.print(f"would score {terminal.plan_line(made, model)}")
    terminal.plan_card(console, config, made)
    if local and made.reviews:
        terminal.estimate_line(console, estimate(made, shards, model, config, time.monotonic() - start))
    console.print("nothing was written")
    return 0


def _planned(config: ScoreConfig, console: Console) -> tuple[Artifact, Plan, Shards]:
    """Everything that can be refused, before anything is written."""
    quieten()
    from batch_scorer import artifact, engine, outputs, plan, progress

    model = artifact.load(config.model or artifact.SHIPPED)
    engine.check_precision(model, config.precision)
    with progress.steps(console) as say:
        made, shards = plan.make_plan(config, model.model_id, say)
    return model, outputs.prepare(config, made), shards
