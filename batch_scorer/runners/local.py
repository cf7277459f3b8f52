"""A job on this machine, in this process or in several, with an eye on each worker.

In: the plan and the config. Out: nothing; whatever a step of the graph failed with is raised.
"""

from __future__ import annotations

import os
import threading

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions, WorkerOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import WorkerError
from batch_scorer.planning.plan import Plan
from batch_scorer.runners import heartbeat, worker
from batch_scorer.runners.failure import is_of_a_step
from batch_scorer.runners.graph import build
from batch_scorer.runners.heartbeat import Watch
from batch_scorer.runs import layout, plan_files

WORKER_REVIEWS = 4_000  # take about as long as a second process needs to start and to load the model
GRACE_SECONDS = 2.0
RUNNERS = ("DirectRunner", "FnApiRunner")
MULTI_PROCESSING = "multi_processing"


def process_count(plan: Plan, workers: int | None) -> int:
    """How many local processes will score: `workers`, or as many cores as the reviews keep busy."""
    if workers is None:
        workers = min(_usable_cores(), plan.reviews // WORKER_REVIEWS)
    return max(1, min(workers, plan.shard_count))


def _usable_cores() -> int:
    """The cores that this process may use, where the system says; all of them on macOS."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_local(beam_options: PipelineOptions) -> bool:
    """Whether the job runs in this machine's own processes."""
    return beam_options.view_as(StandardOptions).runner in (None, *RUNNERS)


def run_here(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions) -> None:
    """Runs the job in this process, or in several as `--direct_running_mode=multi_processing` would, and watches it.

    Raises:
        WorkerError: a worker died or stopped responding.
        Exception: whatever a step of the graph failed with.
    """
    workers = process_count(plan, config.job.workers)
    base = layout.staging(config.output.directory)

    def name_of(index: int) -> str:
        return str(plan_files.shard_at(config.output.directory, index))

    direct = beam_options.view_as(DirectOptions)
    apart = workers > 1 or direct.direct_running_mode == MULTI_PROCESSING
    with Watch(base, config.job.worker_timeout_s, name_of, awaits=workers * apart) as eye:
        command = SubprocessSDKEnvironment.from_command_string(
            worker.command(eye.directory, lean=not config.job.beam_options)
        )
        # By name: `DirectRunner` would first try to download a runner.
        runner = FnApiRunner(default_environment=command if apart else None)
        direct.direct_num_workers = workers
        if direct.direct_running_mode == MULTI_PROCESSING:
            direct.direct_running_mode = "in_memory"  # else Beam starts workers that nobody watches
        if config.messages.log_file:
            beam_options.view_as(WorkerOptions).default_sdk_harness_log_level = "DEBUG"
        beam_options.view_as(StandardOptions).runner = "FnApiRunner"
        pipeline = beam.Pipeline(runner=runner, options=beam_options)
        build(pipeline, plan, config, eye.directory)
        # In a thread, since Beam would wait forever for a worker that is gone.
        running = _Running(pipeline)
        running.start()
        while running.is_alive():
            running.join(heartbeat.CHECK_SECONDS)
            try:
                eye.check()
            except WorkerError:
                running.join(GRACE_SECONDS)  # a job that fails ends its workers, and then its own error says more
                if running.is_alive() or not is_of_a_step(running.error):
                    eye.check()  # by now we know how the worker died
                    raise
        if running.error and not is_of_a_step(running.error):
            eye.check()  # Beam only knows that a connection was closed, not that a worker died
    if running.error:
        raise running.error


class _Running(threading.Thread):
    """A pipeline that runs in a thread of its own; `error` is what it failed with."""

    def __init__(self, pipeline: beam.Pipeline) -> None:
        super().__init__(daemon=True)
        self._pipeline = pipeline
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._pipeline.run().wait_until_finish()
        except BaseException as error:
            self.error = error
