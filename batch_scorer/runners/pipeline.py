"""Runs the graph: on this machine, watching its workers, or on the runner that the options name."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import traceback

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions, WorkerOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OptionError, PipelineError, StoppedError, WorkerError
from batch_scorer.planning.plan import Plan
from batch_scorer.runners import dataflow, dataflow_job, heartbeat, portable, worker
from batch_scorer.runners.dataflow_job import FailedJobError, Tell
from batch_scorer.runners.graph import build
from batch_scorer.runners.heartbeat import Watch
from batch_scorer.runs import layout, plan_files

WORKER_REVIEWS = 4_000  # take about as long as a second process needs to start and to load the model
GRACE_SECONDS = 2.0
# Want of memory, as Python, threads, malloc, C++ and the loader of shared libraries say it.
_SCARCE = ("MemoryError", "new thread", "allocate memory", "bad_alloc", "failed to map segment")
LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner")
MULTI_PROCESSING = "multi_processing"


def options(config: ScoreConfig) -> PipelineOptions:
    """Beam's options, with our defaults where the user gave none.

    Raises:
        OptionError: Beam does not know one of them, the runner lacks one, or cannot reach what the config names.
    """
    given = PipelineOptions(list(config.job.beam_options))
    known = PipelineOptions([]).get_all_options()
    # Beam passes over words that belong to no option, and a runner misspelt so would be no runner at all.
    stray = [
        word
        for before, word in zip(("", *config.job.beam_options), config.job.beam_options, strict=False)
        if not word.startswith("-") and ("=" in before or not before.startswith("-"))
    ]
    unknown = [name for name in given.get_all_options(retain_unknown_options=True) if name not in known]
    if stray or unknown:
        raise OptionError(
            "Beam does not know an option",
            where=f"after --: {' '.join(config.job.beam_options)}",
            got=stray[0] if stray else f"--{unknown[0]}",
            fix="see the options of your runner in Beam's documentation",
        )
    if dataflow.is_chosen(given):
        dataflow.check(config, given)
    if not is_local(given):
        try:
            beam.Pipeline(options=given)  # looks for the runner and what it needs, on a copy of the options
        except (ValueError, ImportError, AttributeError) as error:
            raise OptionError(
                "Beam refuses its options",
                where=f"after --: {' '.join(config.job.beam_options)}",
                got=" ".join(str(error).split()),
                fix="see the options of your runner in Beam's documentation",
            ) from error
        if not dataflow.is_chosen(given):
            portable.settle(given, config.job.beam_options)
    return given


def process_count(plan: Plan, workers: int | None) -> int:
    """How many local processes are to score: `workers`, or as many cores as the reviews keep busy."""
    if workers is None:
        workers = min(_usable_cores(), plan.reviews // WORKER_REVIEWS)
    return max(1, min(workers, plan.shard_count))


def _usable_cores() -> int:
    """The cores that this process may use, where the system says; all of them on macOS."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_local(beam_options: PipelineOptions) -> bool:
    """Whether the job runs in this machine's own processes."""
    return beam_options.view_as(StandardOptions).runner in (None, *LOCAL_RUNNERS)


def run(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions, tell: Tell = lambda line: None) -> bool:
    """Runs the job to its end.

    Args:
        tell: takes a line for the user.

    Returns:
        Whether a job ran, and not only a description of it was made.

    Raises:
        PipelineError: a step failed, or a service ended the job.
        WorkerError: a local worker died or hangs.
        StoppedError: the user leaves a job that goes on elsewhere.
    """
    try:
        if is_local(beam_options):
            _run_here(plan, config, beam_options)
        elif dataflow.is_chosen(beam_options):
            with tempfile.TemporaryDirectory(prefix="batch-scorer-") as folder:
                dataflow.complete(plan, beam_options, folder)
                pipeline = beam.Pipeline(options=beam_options)
                build(pipeline, plan, config)
                return dataflow_job.run(pipeline, config, tell)
        else:
            pipeline = beam.Pipeline(options=beam_options)
            build(pipeline, plan, config)
            with portable.hushed_workers(pipeline.runner, config.messages.log_file):
                pipeline.run().wait_until_finish()
    except WorkerError as error:
        error.fix = config.how_to_resume()
        raise
    except FailedJobError as error:
        raise _failure(error.reason, error.job.url, config, "a --machine_type with more of it") from error
    except (StoppedError, PipelineError):
        raise
    except Exception as error:
        raise _failure(_text(error), config.output.directory, config) from error
    return True


def _run_here(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions) -> None:
    """Runs the job in this process, or in more (what `--direct_running_mode=multi_processing` does), and watches it."""
    workers = process_count(plan, config.job.workers)
    base = layout.staging(config.output.directory)

    def name_of(index: int) -> str:
        return str(plan_files.shard_at(config.output.directory, index))

    direct = beam_options.view_as(DirectOptions)
    apart = workers > 1 or direct.direct_running_mode == MULTI_PROCESSING
    with Watch(base, config.job.worker_timeout_s, name_of, awaits=apart) as eye:
        command = SubprocessSDKEnvironment.from_command_string(worker.command(eye.directory))
        # By name: `DirectRunner` would first look for a runner on the network.
        runner = FnApiRunner(default_environment=command if apart else None)
        direct.direct_num_workers = workers
        if direct.direct_running_mode == MULTI_PROCESSING:
            direct.direct_running_mode = "in_memory"  # else Beam starts workers that nobody watches
        if config.messages.log_file:
            beam_options.view_as(WorkerOptions).default_sdk_harness_log_level = "DEBUG"
        beam_options.view_as(StandardOptions).runner = "FnApiRunner"
        pipeline = beam.Pipeline(runner=runner, options=beam_options)
        build(pipeline, plan, config, eye.directory)
        # In a thread, since Beam would wait for ever for a worker that is gone.
        running = _Running(pipeline)
        running.start()
        while running.is_alive():
            running.join(heartbeat.CHECK_SECONDS)
            try:
                eye.check()
            except WorkerError:
                running.join(GRACE_SECONDS)  # a job that fails ends its workers, and its own error says more then
                if running.is_alive() or not _is_of_a_step(running.error):
                    eye.check()  # by now it is known how the worker died
                    raise
        if running.error and not _is_of_a_step(running.error):
            eye.check()  # Beam knows of a connection that was closed, and not of the worker that died
    if running.error:
        raise running.error


class _Running(threading.Thread):
    """A pipeline on its way: in a thread, since Beam would wait for ever for a worker that is gone.

    `error` is what it failed with.
    """

    def __init__(self, pipeline: beam.Pipeline) -> None:
        super().__init__(daemon=True)
        self._pipeline = pipeline
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._pipeline.run().wait_until_finish()
        except BaseException as error:
            self.error = error


def _is_of_a_step(error: BaseException | None) -> bool:
    """Whether a step of the graph failed, rather than the connection to its worker."""
    text = _text(error)
    return error is not None and (_ours(text) is not None or "[while running '" in text)


def _text(error: BaseException | None) -> str:
    """`error` and all that led to it, with tracebacks."""
    return "".join(traceback.format_exception(error))


def _ours(text: str) -> re.Match[str] | None:
    """An error of ours in the text of an error and all that led to it."""
    text = re.sub(r" \[while running '[^'\n]*'\]", "", text)  # Beam puts it behind whatever line is the last
    return re.search(r"batch_scorer\.errors\.\w+: (?P<what>.*)(?P<details>(?:\n  [a-z ]+: .*)*)", text)


def _failure(text: str, where: str, config: ScoreConfig, less: str = "fewer --workers") -> PipelineError:
    """What went wrong in a worker, and what to do about it.

    Beam hands on a worker's exception as a copy without its details, or as a traceback in text; both are in the text of
    the whole chain. A service sends the traceback in a message.

    Args:
        text: of the whole chain, or of the message.
        where: it is, if it does not say itself.
        less: what helps in want of memory.
    """
    ours = _ours(text)
    if ours is None:
        cause = _cause(text)
        scarce = any(word in cause for word in _SCARCE)
        mend = f"give it more memory, or {less}" if scarce else "mend the cause"
        return PipelineError("the job failed", where=where, got=cause, fix=f"{mend}, then {config.how_to_resume()}")
    told = {"where": where, **dict(re.findall(r"\n  ([a-z ]+): +(.*)", ours["details"]))}
    return PipelineError(
        f"the job failed: {ours['what']}",
        where=told["where"],
        expected=told.get("expected"),
        got=told.get("got"),
        fix=f"{told.get('to fix', 'mend the cause')}; then {config.how_to_resume()}",
    )


def _cause(text: str) -> str:
    """What an exception that is not ours says, on one line."""
    # The class as a traceback has it, with its module or not, and what it says.
    said = [
        line
        for line in text.splitlines()
        if not line.endswith("recent call last):")
        and re.match(r"(\w+\.)+\w+: \S|\w+(Error|Exception|Interrupt)\b", line)
    ]
    details = re.search(r'^\s+details = "(.+)"$', text, re.MULTILINE)  # of gRPC, whose errors take several lines
    return details[1] if details else (said or text.strip().splitlines()[-1:] or ["no reason was given"])[0][:500]
