"""What `score` does once its options are checked: it runs the job, shows what happens, and returns the exit code.

Heavy modules are imported where they are used: `batch-scorer --help` has to be quick.
"""

from __future__ import annotations

import json
import time

import click

from batch_scorer.cli import streams
from batch_scorer.cli.framework import secrets, shown_error
from batch_scorer.config import QUIET, TEXT, VERBOSE, ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.escape import as_json, safe
from batch_scorer.events import Event, error_line, logged
from batch_scorer.silence import quieten


def score(config: ScoreConfig) -> int:
    """Plans and runs a job, and shows what it did.

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
        from batch_scorer.ui import summary, terminal
        from batch_scorer.ui.progress import JobScreen

        console = terminal.console(quiet=not speaks)
        with JobScreen(console, plain=messages.verbosity == VERBOSE) as screen:

            def show(event: Event) -> None:
                screen(event)
                if event.name == "workers":  # the last before the work begins; the imports are done
                    interruption.heed()

            result = run_job(config, show, messages.verbosity == VERBOSE or messages.log_file is not None)
    if result is None:
        return 0
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
    return f"{as_json({**json.loads(error_line(error, secrets())), 'time': streams.NOW})}\n"


def dry_run(config: ScoreConfig) -> int:
    """Shows what `score` would do, and how long it would take here. Writes nothing.

    What it shows is its result, and so it is on standard output whatever the format of the log is.
    """
    with logged(config.messages, secrets()):
        quieten()
        start = time.monotonic()
        from batch_scorer.runners.estimate import estimate, estimate_on_dataflow
        from batch_scorer.runners.job import plan_job, plan_sentence
        from batch_scorer.ui import terminal
        from batch_scorer.ui.progress import JobScreen

        console = terminal.console(config.messages.verbosity == QUIET)
        with JobScreen(console, plain=config.messages.verbosity == VERBOSE) as screen:
            job = plan_job(config, screen)
        from batch_scorer.runners import dataflow  # which imports Beam as it finds it

        console.print(f"would score {plan_sentence(job.plan, job.model)}")
        terminal.plan_card(console, config.output.directory, job.plan)
        terminal.damage(console, [file for shard in job.shards for file in shard.damaged()])
        if job.processes is not None and job.plan.reviews:
            seconds = time.monotonic() - start
            terminal.estimate_line(console, estimate(job, job.processes, seconds))
        if dataflow.is_chosen(job.beam_options) and job.plan.reviews:
            pool = dataflow.pool(job.plan, job.beam_options)
            price = config.job.price_per_vcpu_hour
            terminal.estimate_on_dataflow(console, pool, estimate_on_dataflow(job, pool, price))
        console.print("nothing was written")
        return 0
