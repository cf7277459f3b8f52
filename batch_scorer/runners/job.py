"""A whole job: planned, run, summed up. Prints nothing: what happens is passed on as events.

In: the config. Out: a `JobResult`, or a refusal before anything is written.

Heavy modules are imported where they are used: whatever can be refused without Beam is refused at once.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError, RefusedError, UnavailableError
from batch_scorer.escape import counted, safe
from batch_scorer.events import DETAIL, WARNING, Event, OnEvent, ignore
from batch_scorer.models import artifact, engine
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning.options import check_kept
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.planning.shards import Shards
from batch_scorer.runners.interruption import stopped
from batch_scorer.runners.lean import import_beam
from batch_scorer.runners.progress import ShardCounter, followed, shard_event
from batch_scorer.runners.result import JobResult, finished_events
from batch_scorer.runs import directory, layout, rejections
from batch_scorer.runs.claim import claimed
from batch_scorer.runs.earlier import Earlier
from batch_scorer.scoring.caveats import Caveats

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


@dataclass(frozen=True)
class PlannedJob:
    """A job that nothing speaks against; nothing is written yet.

    Args:
        processes: how many local ones will score; None where a runner has its own.
        seconds: what loading the model and planning took.
        import_s: how much of that was Beam's import.
        earlier: the runs that it comes after.
    """

    model: Artifact
    plan: Plan
    shards: Shards
    beam_options: PipelineOptions
    processes: int | None
    seconds: float
    import_s: float
    earlier: Earlier = field(default_factory=Earlier)


def plan_sentence(plan: Plan, model: Artifact) -> str:
    """A plan in one line: `2,000 reviews in 2 shards; model imdb 790ea01cb093`."""
    about = "about " if plan.estimated else ""
    reviews, shards = counted(plan.reviews, "review"), counted(plan.shard_count, "shard")
    return f"{about}{reviews} in {shards}; model {safe(model.manifest['name'])} {model.model_id}"


def plan_job(config: ScoreConfig, on_event: OnEvent = ignore) -> PlannedJob:
    """Checks and plans a job, and writes nothing.

    Args:
        on_event: gets `step` events.

    Raises:
        RefusedError: an option, an input, the output or the model is wrong.
        UnavailableError: a store did not answer.
    """
    start = time.monotonic()
    # What a runner lacks is said before its stores are asked; without one, Beam is imported when all else is well.
    beam_options = _beam_options(config) if config.job.beam_options else None
    storage.use_options(config.job.beam_options)
    model = artifact.load(config.scoring.model or artifact.SHIPPED)
    engine.check_precision(model, config.scoring.precision)
    certainty = Caveats.of(model, config.scoring.target_accuracy, config.scoring.unusual).certainty
    threshold = None if certainty is None else certainty.threshold
    check_kept(config.input.kept, (*model.optional_columns, *config.scoring.asked_columns))
    earlier = Earlier.of(config)
    plan, shards = make_plan(
        config, model.model_id, lambda words: on_event(Event("step", words)), threshold, earlier.read
    )
    earlier.check(plan)
    plan, shards = directory.prepare(config.output, plan, shards)
    importing = time.monotonic()
    beam_options = beam_options or _beam_options(config)
    from batch_scorer.runners import local

    end = time.monotonic()
    processes = local.process_count(plan, config.job.workers) if local.is_local(beam_options) else None
    return PlannedJob(model, plan, shards, beam_options, processes, end - start, end - importing, earlier)


def _beam_options(config: ScoreConfig) -> PipelineOptions:
    if not config.job.beam_options:
        import_beam()
    from batch_scorer.runners import pipeline

    return pipeline.options(config)


def run_job(config: ScoreConfig, on_event: OnEvent = ignore, describe_shards: bool = False) -> JobResult | None:
    """Plans and runs a job to its end.

    Args:
        on_event: gets everything that happens (docs/cli.md lists the events), some of it from another thread.
        describe_shards: whether there is an event for each finished shard, which costs a look at its marker.

    Returns:
        What it did; None where Beam only described a job (a template, or a dry run of its own).

    Raises:
        RefusedError: an option, an input, the output or the model is wrong; nothing was written.
        StoppedError: by Ctrl-C or SIGTERM.
        JobError: the job had begun and failed.

    Example:
        >>> from batch_scorer.config import ScoreConfig
        >>> result = run_job(ScoreConfig.of(["reviews.csv"], "out"))  # doctest: +SKIP
        >>> result.manifest["counts"]["scored"]  # doctest: +SKIP
        47
    """
    try:
        return _run(config, on_event, describe_shards)
    except UnavailableError as error:
        error.fix = f"{error.fix}; then {config.how_to_resume()}"
        raise
    except KeyboardInterrupt:
        elsewhere = "a job on a service continues there until it is cancelled" if config.job.beam_options else None
        raise stopped(config, elsewhere) from None


def _run(config: ScoreConfig, on_event: OnEvent, describe_shards: bool) -> JobResult | None:
    start, output = time.monotonic(), config.output.directory
    job = plan_job(config, on_event)
    for event in _planned_events(job, config):
        on_event(event)

    def say(words: str, warns: bool) -> None:
        on_event(Event("warning", words, WARNING, {"run_id": job.plan.run_id}) if warns else Event("step", words))

    with claimed(output, config.output.resume or config.output.overwrite, say):
        # Once more, now that nobody else can write there.
        plan, shards = directory.prepare(config.output, job.plan, job.shards)
        is_new = plan.earlier_records is not None and not storage.exists(layout.plan_path(output))
        on_event(Event("step", "writing the plan"))
        directory.write(plan, shards, config.output)
        if plan.earlier_records is not None:
            _index(job.earlier, plan, config, on_event, is_new)

        def on_shard(index: int) -> None:
            on_event(shard_event(plan, output, index))

        counter = ShardCounter(output, job.shards.reviews, on_shard if describe_shards else None)
        if config.output.resume:
            counter()
        try:
            with followed(counter, plan, output, on_event):
                if not _run_pipeline(plan, config, job.beam_options, on_event):
                    return None
        except (KeyboardInterrupt, JobError):
            if not directory.is_complete(output):
                raise  # otherwise everything was done except for the end of its processes
        finally:
            directory.finish(output)
        if plan.earlier_records is not None:
            directory.remove_index(output)
        counter()  # the last shards finished after the last look at them
        before = counter.untouched if config.output.resume else 0  # others were damaged, or repaired
        manifest = json.loads(storage.read_bytes(layout.manifest_path(output)))
    before = min(before, manifest["counts"]["scored"])
    rejected = rejections.rejected_by_code(output, manifest)
    seconds = time.monotonic() - start
    result = JobResult(
        *(output, manifest, seconds, before, job.processes, rejected),
        unreadable=rejections.unreadable_files(output, manifest),
        badly_encoded=rejections.badly_encoded_input(output, manifest, rejected),
        first_rejected=rejections.first_rejected(output, manifest, rejected),
    )
    for event in finished_events(result):
        on_event(event)
    return result


def _index(earlier: Earlier, plan: Plan, config: ScoreConfig, on_event: OnEvent, is_new: bool) -> None:
    """Writes the file by which the workers know the records of earlier runs."""
    from batch_scorer.runs.indexing import write_index

    assert plan.earlier_records is not None
    on_event(Event("step", f"looking up {counted(plan.earlier_records['rows'], 'record')} of earlier runs"))
    try:
        write_index(earlier.runs, plan.earlier_records, config.output.directory)
    except RefusedError:
        if is_new:  # once the earlier run is repaired or gone, the same command is to start
            directory.withdraw(config.output.directory)
        raise
    except OSError as error:
        raise JobError(
            "the list of the records of earlier runs cannot be written",
            where=config.output.directory,
            got=str(error),
            fix=f"free disk space, then {config.how_to_resume()}",
        ) from error


def _run_pipeline(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions, on_event: OnEvent) -> bool:
    from batch_scorer.runners import pipeline

    run = {"run_id": plan.run_id}
    return pipeline.run(plan, config, beam_options, lambda line: on_event(Event("job", line, fields=run)))


def _planned_events(job: PlannedJob, config: ScoreConfig) -> list[Event]:
    """The plan in a line, and what --verbose adds before the work begins."""
    from batch_scorer.runners.graph import versions

    plan, model, numbers = job.plan, job.model, versions()
    size = {"reviews": plan.reviews, "estimated": plan.estimated, "shards": plan.shard_count}
    identity = {"run_id": plan.run_id, **size, "model_id": model.model_id, "model_name": model.manifest["name"]}
    events = [
        Event("planned", f"{plan_sentence(plan, model)}; run {safe(plan.run_id)}", fields=identity),
        Event("versions", ", ".join(f"{k} {v}" for k, v in numbers.items()), DETAIL, {"versions": numbers}),
    ]
    for summary in plan.inputs:
        formats = ", ".join(f"{count:,} {name}" for name, count in summary["formats"].items())
        message = f"{summary['input']}: {formats}, {counted(summary['bytes'], 'byte')}"
        events.append(Event("input", message, DETAIL, summary))
    text, identity_column, kept = plan.fields.text, plan.fields.id, [kept.name for kept in plan.fields.kept]
    message = f"text {text}, id {identity_column or 'source#offset'}, kept {', '.join(kept) or 'nothing'}"
    events.append(Event("columns", message, DETAIL, {"text": text, "id": identity_column, "kept": kept}))
    where = (
        f"here, in {counted(job.processes, 'process')}" if job.processes else "on the runner of the options after --"
    )
    output = config.output.directory
    message = f"loaded and planned in {job.seconds:.1f} s; scores {where}; writes to {output}"
    fields = {"processes": job.processes, "planned_s": round(job.seconds, 3), "output": output}
    return [*events, Event("workers", message, DETAIL, fields)]
