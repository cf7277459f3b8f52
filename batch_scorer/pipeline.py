"""The Beam job: Read plan -> Spread shards -> Score shards -> Summarise -> Commit.

Beam moves descriptors of shards and summaries of what was done; a review never leaves the worker that reads it.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment
from apache_beam.utils.shared import Shared

from batch_scorer import __version__, artifact, summarise
from batch_scorer.artifact import SHIPPED
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError, OptionError, PipelineError
from batch_scorer.plan import Plan, read_shards
from batch_scorer.records import Shard
from batch_scorer.summarise import STAGES, Counts, Summary

WORKER_REVIEWS = 4_000  # take about as long as a second process needs to start and to load the model
LOCAL_RUNNERS = ("DirectRunner", "FnApiRunner")


class ScoreShards(beam.DoFn):  # type: ignore[misc]
    """Scores one shard at a time with a model that is loaded once a process."""

    def __init__(self, plan: Plan, config: ScoreConfig) -> None:
        self._plan, self._config = plan, config
        self._shared = Shared()
        self._counters = {name: Metrics.counter("reviews", name) for name in vars(Counts())}
        self._timings = {stage: Metrics.distribution(stage, "shard_ms") for stage in STAGES}

    def setup(self) -> None:
        self._scorer = self._shared.acquire(self._load)

    def _load(self) -> Any:
        from batch_scorer.engine import load_engine
        from batch_scorer.shard import Scorer

        model = artifact.load(self._config.model or SHIPPED)
        if model.model_id != self._plan.model_id:
            raise JobError(
                "the worker has another model than the job was planned with",
                where=self._config.model or SHIPPED,
                expected=f"model {self._plan.model_id}",
                got=f"model {model.model_id}",
                fix="give --model a place that every worker reads, and do not change it during the run",
            )
        return Scorer(model, load_engine(model, self._plan.precision))

    def process(self, shard: Shard) -> Iterator[Summary]:
        from batch_scorer.shard import score_shard

        # A marker from before a crash, or from an earlier try of the same bundle, stands for the work it describes.
        summary = summarise.finished_shard(shard.index, self._plan, self._config.output)
        if summary is None:
            summary = score_shard(shard, self._plan, self._scorer, self._config.output)
            for name, count in vars(summary.counts).items():
                self._counters[name].inc(count)
            for stage, seconds in summary.timings.items():
                self._timings[stage].update(round(1000 * seconds))
        yield summary


class FoldSummaries(beam.CombineFn):  # type: ignore[misc]
    """Adds up what the shards did."""

    def create_accumulator(self) -> Summary:
        return Summary()

    def add_input(self, accumulator: Summary, element: Summary) -> Summary:
        return accumulator + element

    def merge_accumulators(self, accumulators: Iterable[Summary]) -> Summary:
        return summarise.fold(accumulators)

    def extract_output(self, accumulator: Summary) -> Summary:
        return accumulator


class Commit(beam.DoFn):  # type: ignore[misc]
    """Writes the manifest, and `_SUCCESS` last."""

    def __init__(self, plan: Plan, config: ScoreConfig, started: str) -> None:
        self._plan, self._config, self._started = plan, config, started

    def process(self, summary: Summary) -> Iterator[str]:
        from batch_scorer.model import fold_head

        model = artifact.load(self._config.model or SHIPPED)
        _, bias = fold_head(model.tensors, model.architecture.batch_norm_epsilon)
        summarise.commit(
            summary, self._plan, model, bias, self._config, versions(), self._started, datetime.now(UTC).isoformat()
        )
        yield self._plan.run_id


def versions() -> dict[str, str]:
    """What the run was made with."""
    packages = ("apache-beam", "tensorflow", "pyarrow", "numpy")
    own = {"python": platform.python_version(), "batch-scorer": __version__}
    return {**own, **{name: version(name) for name in packages}}


def build(pipeline: beam.Pipeline, plan: Plan, config: ScoreConfig, started: str) -> None:
    """Adds the whole job to `pipeline`."""
    (
        pipeline
        | "Start" >> beam.Create([config.output])
        | "Read plan" >> beam.FlatMap(read_shards, shard_count=plan.shard_count)
        | "Spread shards" >> beam.Reshuffle()
        | "Score shards" >> beam.ParDo(ScoreShards(plan, config))
        | "Summarise" >> beam.CombineGlobally(FoldSummaries())
        | "Commit" >> beam.ParDo(Commit(plan, config, started))
    )


def options(config: ScoreConfig) -> PipelineOptions:
    """Beam's options, with our defaults where the user gave none.

    Raises:
        OptionError: Beam does not know one of them, or the runner lacks one.
    """
    given = PipelineOptions(list(config.beam_options))
    known = PipelineOptions([]).get_all_options()
    # Beam passes over words that belong to no option, and a runner misspelt so would be no runner at all.
    stray = [
        word
        for before, word in zip(("", *config.beam_options), config.beam_options, strict=False)
        if not word.startswith("-") and ("=" in before or not before.startswith("-"))
    ]
    unknown = [name for name in given.get_all_options(retain_unknown_options=True) if name not in known]
    if stray or unknown:
        raise OptionError(
            "Beam does not know an option",
            where=f"after --: {' '.join(config.beam_options)}",
            got=stray[0] if stray else f"--{unknown[0]}",
            fix="see the options of your runner in Beam's documentation",
        )
    if not is_local(given):
        try:
            beam.Pipeline(options=PipelineOptions(list(config.beam_options)))  # looks for the runner and what it needs
        except (ValueError, ImportError, AttributeError) as error:
            raise OptionError(
                "Beam refuses its options",
                where=f"after --: {' '.join(config.beam_options)}",
                got=" ".join(str(error).split()),
                fix="see the options of your runner in Beam's documentation",
            ) from error
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


def run(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions) -> None:
    """Runs the job to its end.

    Raises:
        PipelineError: a step failed.
    """
    started = datetime.now(UTC).isoformat()
    runner = None
    if is_local(beam_options):
        workers = process_count(plan, config.workers)
        # By name: `DirectRunner` would first look for a runner on the network.
        runner = FnApiRunner(default_environment=_processes() if workers > 1 else None)
        beam_options.view_as(DirectOptions).direct_num_workers = workers
        beam_options.view_as(StandardOptions).runner = "FnApiRunner"
    try:
        pipeline = beam.Pipeline(runner=runner, options=beam_options)
        build(pipeline, plan, config, started)
        pipeline.run().wait_until_finish()
    except Exception as error:
        raise PipelineError(
            "the job failed",
            where=config.output,
            got=_cause(error),
            fix=f"mend the cause, then {config.how_to_resume()}",
        ) from error


def _processes() -> SubprocessSDKEnvironment:
    """Workers in processes of their own (what `--direct_running_mode=multi_processing` does, with our `worker`)."""
    # Ctrl-C reaches every process of the terminal: the driver decides, and the workers end with it.
    command = f"trap '' INT; exec {shlex.quote(sys.executable)} -m batch_scorer.worker"
    return SubprocessSDKEnvironment.from_command_string(command)


def _cause(error: Exception) -> str:
    """What went wrong in a worker, on one line.

    Beam hands on a worker's exception as a copy without its details, or as a traceback in text; both are in the text of
    the whole chain.
    """
    text = "".join(traceback.format_exception(error))
    ours = re.search(r"batch_scorer\.errors\.\w+: (?P<what>.*(?:\n  [a-z ]+: .*)*)", text)
    if ours:
        return "; ".join(" ".join(line.split()) for line in ours["what"].splitlines())
    # The class as a traceback has it, with its module or not, and what it says.
    raised = [line for line in text.splitlines() if re.match(r"(\w+\.)+\w+: \S|\w+(Error|Exception|Interrupt)\b", line)]
    return raised[0][:500] if raised else type(error).__name__
