"""Jobs of one process without Beam, which takes longer to build a pipeline than such a job takes for all the rest.

Most tests are about what a job writes. For them the steps of the graph are taken here, in its order, each pickled as
Beam would pickle it. That Beam takes them so is held by tests/runners, and by every job that a test starts in a process
of its own: nothing is replaced there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.planning.plan import Plan
from batch_scorer.runners import job as jobs
from batch_scorer.runs import layout, plan_files

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_run_pipeline = jobs._run_pipeline


@contextmanager
def straight_jobs() -> Iterator[None]:
    """Jobs that would run in this process and nowhere else do so without Beam meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "_run_pipeline", _run_straight)
        yield


@contextmanager
def beam_jobs() -> Iterator[None]:
    """All jobs go through Beam all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "_run_pipeline", _run_pipeline)
        yield


def _run_straight(plan: Plan, config: ScoreConfig, beam_options: PipelineOptions, on_event: Callable[..., Any]) -> bool:
    from batch_scorer.runners import failure, local

    apart = local.process_count(plan, config.job.workers) > 1 or local.MULTI_PROCESSING in str(config.job.beam_options)
    if apart or not local.is_local(beam_options):
        return _run_pipeline(plan, config, beam_options, on_event)
    try:
        _take_steps(plan, config)
    except Exception as error:
        raise failure.failure(failure.text_of(error), config.output.directory, config) from error
    return True


def _take_steps(plan: Plan, config: ScoreConfig) -> None:
    """What `graph.build` describes, watched as `local.run_here` does."""
    from batch_scorer.runners import graph
    from batch_scorer.runners.heartbeat import Watch

    output, started = config.output.directory, datetime.now(UTC).isoformat()
    with Watch(layout.staging(output), config.job.worker_timeout_s, str) as eye:
        score = _sent(graph.ScoreShards(plan, config, eye.directory))
        score.setup()
        fold = graph.FoldSummaries()
        total = fold.create_accumulator()
        for shard in plan_files.read_shards(output, plan.shard_count):
            for summary in score.process(_sent(shard)):
                total = fold.add_input(total, _sent(summary))
        for _ in _sent(graph.Commit(plan, config, started)).process(_sent(fold.extract_output(total))):
            pass


def _sent(value: Any) -> Any:
    """What arrives of something that Beam sends."""
    from apache_beam.internal import pickler

    return pickler.loads(pickler.dumps(value))
