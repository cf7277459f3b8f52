"""What `score` does once its options are checked: it runs the job, shows what happens, and returns the exit code.

Heavy modules are imported where they are used: `batch-scorer --help` has to be quick.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click

from batch_scorer import escape
from batch_scorer.cli import streams
from batch_scorer.cli.framework import secrets, shown_error
from batch_scorer.config import QUIET, TEXT, VERBOSE, ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.escape import safe
from batch_scorer.events import Event, error_line, logged
from batch_scorer.silence import quieten

if TYPE_CHECKING:
    from rich.console import Console

    from batch_scorer.runners.dataflow import Pool
    from batch_scorer.runners.estimate import DataflowEstimate, Estimate
    from batch_scorer.runners.job import PlannedJob


def score(config: ScoreConfig, as_json: bool = False) -> int:
    """Plans and runs a job, and shows what it did.

    Args:
        as_json: print nothing on standard output but the summary, as one JSON object.

    Returns:
        0, or 3 where the run is not a success.

    Raises:
        ScorerError: as `runners.job.run_job`.
    """
    from batch_scorer.runners.interruption import Interruption

    streams.forgive_output()  # the run is the result: its outcome decides, whoever reads of it
    messages = config.messages
    speaks = messages.log_format == TEXT and messages.verbosity != QUIET
    with Interruption() as interruption, logged(messages, secrets()), streams.spoken_for(_last_words(config)):
        quieten()
        from batch_scorer.runners.job import run_job
        from batch_scorer.ui import documents, summary, terminal
        from batch_scorer.ui.progress import JobScreen

        console = terminal.console(quiet=as_json or not speaks)
        with JobScreen(console, plain=messages.verbosity == VERBOSE) as screen:

            def show(event: Event) -> None:
                screen(event)
                if event.name == "workers":  # the last before the work begins; the imports are done
                    interruption.heed()

            result = run_job(config, show, messages.verbosity == VERBOSE or messages.log_file is not None)
    if result is None:
        return 0
    if as_json:
        click.echo(escape.as_json(documents.summary(result), console.encoding))
    summary.show(console, config, result)
    if not result.is_success and speaks:
        click.secho("not a success: ", fg="yellow", bold=True, err=True, nl=False)
        click.echo(safe(result.manifest["not_a_success"]), err=True)
    return 0 if result.is_success else 3


def _last_words(config: ScoreConfig) -> str:
    """What to say if this process dies and cannot say anything itself."""
    error = JobError(
        "the process of the job has died",
        where=config.output.directory,
        got="nothing from itself: it was killed, perhaps because memory ran out, or native code crashed",
        fix=f"if memory ran out, use fewer --workers; then {config.how_to_resume()}",
    )
    if config.messages.log_format == TEXT:
        return f"{click.unstyle(shown_error(error, TEXT))}\n"
    return f"{escape.as_json({**json.loads(error_line(error, secrets())), 'time': streams.NOW})}\n"


def dry_run(config: ScoreConfig, as_json: bool = False) -> int:
    """Shows what `score` would do, and how long it would take here. Writes nothing.

    What it shows is its result, and so it is on standard output whatever the format of the log is.

    Args:
        as_json: show it as one JSON object, and nothing else.
    """
    with logged(config.messages, secrets()):
        quieten()
        start = time.monotonic()
        from batch_scorer.runners.job import plan_job
        from batch_scorer.ui import documents, terminal
        from batch_scorer.ui.progress import JobScreen

        console = terminal.console(as_json or config.messages.verbosity == QUIET)
        with JobScreen(console, plain=config.messages.verbosity == VERBOSE) as screen:
            job = plan_job(config, screen)
        if not as_json:
            _show_plan(console, config, job, start)
            return 0
        estimate, runner = None, "local"
        if job.processes is None:
            from apache_beam.options.pipeline_options import StandardOptions

            runner = job.beam_options.view_as(StandardOptions).runner
        if (local := _estimate(config, job, start)) is not None:
            estimate = documents.on_this_machine(local)
        elif (elsewhere := _estimate_on_dataflow(config, job)) is not None:
            estimate = documents.on_dataflow(*elsewhere)
        document = documents.dry_run(job, config.output.directory, runner, estimate)
        click.echo(escape.as_json(document, console.encoding))
        return 0


def _show_plan(console: Console, config: ScoreConfig, job: PlannedJob, start: float) -> None:
    from batch_scorer.runners import dataflow
    from batch_scorer.runners.job import plan_sentence
    from batch_scorer.ui import terminal

    is_here = job.processes is not None
    console.print(f"would score {plan_sentence(job.plan, job.model)}")
    terminal.plan_card(console, config.output.directory, job.plan)
    terminal.damage(console, [file for shard in job.shards for file in shard.damaged()])
    local, elsewhere = _estimate(config, job, start), _estimate_on_dataflow(config, job)
    if local is not None:
        terminal.estimate_line(console, local)
    if elsewhere is not None:
        terminal.estimate_on_dataflow(console, *elsewhere)
    elif local is None and job.plan.reviews and (is_here or dataflow.is_chosen(job.beam_options)):
        terminal.no_estimate(console, is_here)
    console.print("nothing was written")


def _estimate(config: ScoreConfig, job: PlannedJob, start: float) -> Estimate | None:
    """What a job would take here, if it would run here and can score something; `start` is when planning began."""
    from batch_scorer.runners.estimate import estimate

    if job.processes is None or not job.plan.reviews:
        return None
    return estimate(job, job.processes, time.monotonic() - start, config.job.price_per_vcpu_hour)


def _estimate_on_dataflow(config: ScoreConfig, job: PlannedJob) -> tuple[Pool, DataflowEstimate] | None:
    """The workers of a job on Dataflow, and what it would take there, if it can score something."""
    from batch_scorer.runners import dataflow  # which imports Beam as planning finds it
    from batch_scorer.runners.estimate import estimate_on_dataflow

    if not dataflow.is_chosen(job.beam_options) or not job.plan.reviews:
        return None
    pool = dataflow.pool(job.plan, job.beam_options)
    found = estimate_on_dataflow(job, pool, config.job.price_per_vcpu_hour)
    return None if found is None else (pool, found)
