"""What `score` does, once its options are checked: it plans, runs and sums up a job, and says with which code to exit.

Heavy modules are imported where they are used: `batch-scorer --help` has to be quick.
"""

from __future__ import annotations

import json
import signal
import time
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import click

from batch_scorer.config import QUIET, TEXT, VERBOSE, ScoreConfig
from batch_scorer.errors import JobError, StoppedError, UnavailableError
from batch_scorer.escape import safe
from batch_scorer.events import DETAIL, tell, told
from batch_scorer.silence import quieten

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions
    from rich.console import Console

    from batch_scorer.models.artifact import Artifact
    from batch_scorer.planning.plan import Plan
    from batch_scorer.planning.shards import Shards


def score(config: ScoreConfig) -> int:
    """Plans, runs and sums up a job.

    Returns:
        0, or 3 where the run is not a success.

    Raises:
        StoppedError: by Ctrl-C or SIGTERM.
        UnavailableError: a store did not answer.
    """
    try:
        with _Stop() as stop, told(config.messages):
            return _score(config, stop)
    except UnavailableError as error:
        error.fix = f"{error.fix}; then {config.how_to_resume()}"
        raise
    except KeyboardInterrupt:
        raise StoppedError(
            "interrupted",
            where=config.output.directory,
            got="a job that a service runs goes on there, until it is cancelled" if config.job.beam_options else None,
            fix=f"to go on, {config.how_to_resume()}",
        ) from None


class _Stop:
    """Lets SIGTERM end the body as Ctrl-C does, and remembers both: what is imported meanwhile may swallow either."""

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> _Stop:
        numbers = [signal.SIGTERM]
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # what runs in the background ignores it
            numbers.append(signal.SIGINT)
        self._before = {number: signal.signal(number, self._stop) for number in numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        first, self._asked = not self._asked, True
        handler = signal.getsignal(signal.SIGINT)  # perhaps Beam's by now, which stops the job server that it started
        if first and callable(handler) and handler != self._stop:
            handler(number, frame)
        raise KeyboardInterrupt  # unless that did

    def heed(self) -> None:
        """Ends the body if that was asked for and came to nothing."""
        if self._asked:
            raise KeyboardInterrupt


def _score(config: ScoreConfig, stop: _Stop) -> int:
    from batch_scorer.ui import terminal

    speaks = config.messages.log_format == TEXT and config.messages.verbosity != QUIET
    console, start = terminal.console(quiet=not speaks), time.monotonic()
    model, made, shards, beam_options = _planned(config, console)
    from batch_scorer import storage
    from batch_scorer.runners import pipeline
    from batch_scorer.runs import directory, layout, plan_files
    from batch_scorer.ui import progress, summary

    line, run = f"{terminal.plan_line(made, model)}; run {safe(made.run_id)}", {"run_id": made.run_id}
    console.print(line)
    size = {"reviews": made.reviews, "estimated": made.estimated, "shards": made.shard_count}
    tell("planned", line, **run, **size, model_id=model.model_id, model_name=model.manifest["name"])
    processes = pipeline.process_count(made, config.job.workers) if pipeline.is_local(beam_options) else None
    _tell_details(config, made, processes, time.monotonic() - start)
    stop.heed()
    plain = config.messages.verbosity == VERBOSE
    with directory.claimed(config.output.directory):
        made = directory.prepare(config.output, made)  # once more, now that nobody else can write there
        try:
            with progress.steps(console, plain) as say:
                say("writing the plan")
                directory.begin(config.output)
                plan_files.write_plan(made, shards, config.output.directory)
        except OSError as error:
            raise directory.unwritable(config.output.directory, error) from error
        every_s = 10.0 if storage.is_remote(config.output.directory) else 0.5
        heard = plain or config.messages.log_file is not None
        on_shard = progress.tell_shard(config.output.directory, made.shard_count, made.run_id) if heard else None
        done = progress.reviews_done(config.output.directory, shards.reviews, on_shard)
        before = done() if config.output.resume else 0

        def tell_line(said: str) -> None:
            console.print(safe(said))
            tell("job", said, **run)

        try:
            with progress.progress(console, done, made.reviews, made.estimated, every_s, plain):
                if not pipeline.run(made, config, beam_options, tell_line):
                    return 0
        except (KeyboardInterrupt, JobError):
            if not directory.is_complete(config.output.directory):
                raise  # else all was done but the end of its processes
        finally:
            directory.finish(config.output.directory)
        done()  # the last shards were done after the last look at them
        manifest = json.loads(storage.read_bytes(layout.manifest_path(config.output.directory)))
    rejected = summary.rejected_by_code(config.output.directory, manifest)
    before = min(before, manifest["counts"]["scored"])
    summary.summary(console, config, summary.Ended(manifest, time.monotonic() - start, before, processes, rejected))
    reason = manifest["not_a_success"]
    if reason and speaks:
        click.secho("not a success: ", fg="yellow", bold=True, err=True, nl=False)
        click.echo(safe(reason), err=True)
    return 3 if reason else 0


def _tell_details(config: ScoreConfig, made: Plan, processes: int | None, planned_s: float) -> None:
    """What --verbose says before the work begins."""
    from batch_scorer.runners.graph import versions

    said = versions()
    tell("versions", ", ".join(f"{name} {number}" for name, number in said.items()), DETAIL, versions=said)
    for found in made.inputs:
        formats = ", ".join(f"{count:,} {name}" for name, count in found["formats"].items())
        tell("input", f"{found['input']}: {formats}, {found['bytes']:,} bytes", DETAIL, **found)
    text, identity, kept = made.fields.text, made.fields.id, [kept.name for kept in made.fields.kept]
    said_columns = f"text {text}, id {identity or 'source#offset'}, kept {', '.join(kept) or 'nothing'}"
    tell("columns", said_columns, DETAIL, text=text, id=identity, kept=kept)
    where = f"here, in {processes} process(es)" if processes else "on the runner of the options after --"
    said_plan = f"loaded and planned in {planned_s:.1f} s; scores {where}; writes to {config.output.directory}"
    tell(
        "workers", said_plan, DETAIL, processes=processes, planned_s=round(planned_s, 3), output=config.output.directory
    )


def dry_run(config: ScoreConfig) -> int:
    """Shows what `score` would do, and how long it would take here. Writes nothing.

    What it shows is its result, and so on standard output whatever the format of the log is.
    """
    with told(config.messages):
        return _dry_run(config)


def _dry_run(config: ScoreConfig) -> int:
    from batch_scorer.ui import terminal

    console, start = terminal.console(config.messages.verbosity == QUIET), time.monotonic()
    model, made, shards, beam_options = _planned(config, console)
    from batch_scorer.runners import dataflow, pipeline
    from batch_scorer.runners.estimate import estimate, estimate_on_dataflow

    console.print(f"would score {terminal.plan_line(made, model)}")
    terminal.plan_card(console, config, made)
    if pipeline.is_local(beam_options) and made.reviews:
        terminal.estimate_line(console, estimate(made, shards, model, config, time.monotonic() - start))
    if dataflow.is_chosen(beam_options) and made.reviews:
        pool = dataflow.pool(made, beam_options)
        found = estimate_on_dataflow(made, shards, model, pool, config.job.price_per_vcpu_hour)
        terminal.estimate_on_dataflow(console, pool, found)
    console.print("nothing was written")
    return 0


def _planned(config: ScoreConfig, console: Console) -> tuple[Artifact, Plan, Shards, PipelineOptions]:
    """Everything that can be refused, before anything is written."""
    quieten()
    # What a runner lacks is said before its stores are asked; without one, Beam is imported when all else is well.
    beam_options = _beam_options(config) if config.job.beam_options else None
    from batch_scorer import storage
    from batch_scorer.models import artifact, engine
    from batch_scorer.planning import plan
    from batch_scorer.runs import directory
    from batch_scorer.ui import progress

    storage.use_options(config.job.beam_options)
    model = artifact.load(config.scoring.model or artifact.SHIPPED)
    engine.check_precision(model, config.scoring.precision)
    with progress.steps(console, config.messages.verbosity == VERBOSE) as say:
        made, shards = plan.make_plan(config, model.model_id, say)
    return model, directory.prepare(config.output, made), shards, beam_options or _beam_options(config)


def _beam_options(config: ScoreConfig) -> PipelineOptions:
    from batch_scorer.runners import pipeline

    return pipeline.options(config)
