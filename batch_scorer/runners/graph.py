"""The Beam graph: Start -> List plan -> Read plan -> Spread shards -> Score shards -> Summarise -> Commit.

Beam moves descriptors of shards and summaries of what was done; a review never leaves the worker that reads it.
"""

from __future__ import annotations

import gc
import platform
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from batch_scorer import __version__, storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.formats.records import Shard
from batch_scorer.models import artifact
from batch_scorer.models.artifact import SHIPPED
from batch_scorer.planning.plan import Plan
from batch_scorer.runners.heartbeat import LOADING, Pulse
from batch_scorer.runs import manifest, markers, plan_files
from batch_scorer.runs.markers import STAGES, Counts, Summary, Total


class ScoreShards(beam.DoFn):  # type: ignore[misc]
    """Scores one shard at a time with a model that is loaded once per process.

    Args:
        watched: directory of the driver's `Watch`, if it watches.
    """

    def __init__(self, plan: Plan, config: ScoreConfig, watched: str | None) -> None:
        self._plan, self._config, self._watched = plan, config, watched
        self._shared = Shared()
        self._counters = {name: Metrics.counter("reviews", name) for name in vars(Counts())}
        self._timings = {stage: Metrics.distribution(stage, "shard_ms") for stage in STAGES}

    def setup(self) -> None:
        storage.use_options(self._config.job.beam_options)
        self._pulse = Pulse(self._watched)
        with self._pulse.doing(LOADING), storage.beating(self._pulse):
            self._scorer = self._shared.acquire(self._load)

    def _load(self) -> Any:
        from batch_scorer.models.engine import load_engine
        from batch_scorer.runs.record_index import RecordIndex
        from batch_scorer.scoring.caveats import Caveats
        from batch_scorer.scoring.chunk import Scorer

        model = artifact.load(self._config.scoring.model or SHIPPED)
        if model.model_id != self._plan.model_id:
            raise JobError(
                "the worker's model is not the one that the job was planned with",
                where=self._config.scoring.model or SHIPPED,
                expected=f"model {self._plan.model_id}",
                got=f"model {model.model_id}",
                fix="give --model a place that every worker reads, and do not change it during the run",
            )
        self._pulse()
        caveats = Caveats.of(model, self._plan.target_accuracy, self._plan.unusual)
        earlier = RecordIndex.open(self._plan, self._config.output.directory, self._pulse)
        scorer = Scorer(model, load_engine(model, self._plan.precision), caveats, earlier)
        # Every few thousand records Python looks through all objects, and TensorFlow's live as long as the process.
        gc.freeze()
        return scorer

    def process(self, shard: Shard) -> Iterator[Summary]:
        with self._pulse.doing(shard.index), storage.beating(self._pulse):
            summary = self._done(shard)
        yield summary

    def _done(self, shard: Shard) -> Summary:
        from batch_scorer.scoring.shard import score_shard

        # A marker from before a crash, or from an earlier attempt at the same bundle, means that its work is done.
        summary = markers.finished_shard(shard.index, self._plan, self._config.output.directory)
        if summary is None:
            summary = score_shard(shard, self._plan, self._scorer, self._config.output.directory, self._pulse)
            for name, count in vars(summary.counts).items():
                self._counters[name].inc(count)
            for stage, seconds in summary.timings.items():
                self._timings[stage].update(round(1000 * seconds))
        return summary


class FoldSummaries(beam.CombineFn):  # type: ignore[misc]
    """Adds up what the shards did."""

    def create_accumulator(self) -> Total:
        return Total()

    def add_input(self, accumulator: Total, element: Summary) -> Total:
        return accumulator.add(element)

    def merge_accumulators(self, accumulators: Iterable[Total]) -> Total:
        each = iter(accumulators)
        total = next(each)  # Beam allows only the first one to be changed
        for other in each:
            total.add(other)
        return total

    def extract_output(self, accumulator: Total) -> Summary:
        return accumulator.summary()


class Commit(beam.DoFn):  # type: ignore[misc]
    """Writes the manifest, and `_SUCCESS` last."""

    def __init__(self, plan: Plan, config: ScoreConfig, started: str) -> None:
        self._plan, self._config, self._started = plan, config, started

    def process(self, summary: Summary) -> Iterator[str]:
        from batch_scorer.models.network import fold_head

        storage.use_options(self._config.job.beam_options)
        model = artifact.load(self._config.scoring.model or SHIPPED)
        parts = markers.parts_of(self._plan, self._config.output.directory)
        _, bias = fold_head(model.tensors, model.architecture.batch_norm_epsilon)
        manifest.commit(
            summary,
            parts,
            self._plan,
            model,
            bias,
            self._config,
            versions(),
            self._plan.started or self._started,
            datetime.now(UTC).isoformat(),
        )
        yield self._plan.run_id


def _list_pieces(output: str, beam_options: tuple[str, ...]) -> list[str]:
    storage.use_options(beam_options)
    return plan_files.pieces(output)


def _read_piece(name: str, output: str, beam_options: tuple[str, ...]) -> Iterator[Shard]:
    storage.use_options(beam_options)
    yield from plan_files.read_piece(output, name)


def versions() -> dict[str, str]:
    """The versions of what the run was made with."""
    packages = ("apache-beam", "tensorflow", "pyarrow", "numpy")
    own = {"python": platform.python_version(), "batch-scorer": __version__}
    return {**own, **{name: _version(name) for name in packages}}


def _version(package: str) -> str:
    """The version of a package, which may be installed under another name, as TensorFlow is by `tensorflow-cpu`.

    Then that name is given with it; what no distribution provides is `unknown`.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(package.replace("-", "_"), ())
        return ", ".join(f"{metadata.version(name)} ({name})" for name in sorted({*names})) or "unknown"


def build(pipeline: beam.Pipeline, plan: Plan, config: ScoreConfig, watched: str | None = None) -> None:
    """Adds the whole job, whose clock starts now, to `pipeline`; `watched` is the directory of a `Watch`, if any."""
    started = datetime.now(UTC).isoformat()
    summarise = beam.CombineGlobally(FoldSummaries())
    if plan.shard_count:
        # Beam would find out whether there is anything to sum up by a side input, and so in another stage, for which
        # Flink starts other workers: "Commit" would wait for them.
        summarise = summarise.without_defaults()
    pieces = (
        pipeline
        | "Start" >> beam.Create([config.output.directory])
        | "List plan" >> beam.FlatMap(_list_pieces, config.job.beam_options)
    )
    if plan.shard_count > plan_files.PIECE_SHARDS:  # else there is hardly more than one, and a stage takes time
        pieces |= "Spread plan" >> beam.Reshuffle()
    (
        pieces
        | "Read plan" >> beam.FlatMap(_read_piece, config.output.directory, config.job.beam_options)
        | "Spread shards" >> beam.Reshuffle()
        | "Score shards" >> beam.ParDo(ScoreShards(plan, config, watched))
        | "Summarise" >> summarise
        | "Commit" >> beam.ParDo(Commit(plan, config, started))
    )
