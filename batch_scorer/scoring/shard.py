"""One shard through all the stages: read, encode, score, explain, write. No Beam here, and nothing between shards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from batch_scorer import storage
from batch_scorer.errors import ChangedError
from batch_scorer.formats.records import Shard
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.profile import EMPTY, measure
from batch_scorer.models.protocol import Engine
from batch_scorer.planning.plan import Plan
from batch_scorer.runs.manifest import STAGES, Counts, Summary, write_marker
from batch_scorer.schema import Rejection
from batch_scorer.scoring.encode import Encoded, encode, rejection
from batch_scorer.scoring.explain import Explanation
from batch_scorer.scoring.read import Chunk, read
from batch_scorer.scoring.score import FailedReview, ScoredBatch, score
from batch_scorer.scoring.write import ShardWriter, predictions
from batch_scorer.storage import Beat


@dataclass(frozen=True)
class Scorer:
    """A model, ready to score."""

    artifact: Artifact
    engine: Engine


@dataclass
class _Clock:
    """Seconds spent in each stage; each stop of it is a beat."""

    beat: Beat | None = None
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start
            if self.beat:
                self.beat()


def score_shard(shard: Shard, plan: Plan, scorer: Scorer, output: str, beat: Beat | None = None) -> Summary:
    """Scores one shard, publishes its parts, and marks it as done.

    Args:
        beat: called at each step forward.

    Raises:
        EngineError: the engine fails on every review of a batch.
        ChangedError: an input is not what it was when the job was planned.
        OSError: the output cannot be written.
    """
    clock, total = _Clock(beat), EMPTY
    read_count = scored = rejected = unreadable = 0
    chunks = read(shard, plan.fields, beat)
    with ShardWriter(output, shard.index, plan) as writer:
        while True:
            with clock("read"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            damage = sum(r.offset is None for r in chunk.rejected)
            encoded, explanation, chosen, lost = score_chunk(chunk, scorer, plan.top_k, clock)
            with clock("write"):
                if len(chosen):
                    rows = predictions(encoded, explanation, chosen, plan, scorer.artifact)
                    writer.add_predictions(rows)
                    total += measure(
                        encoded.n_tokens[chosen],
                        encoded.n_tokens_used[chosen],
                        encoded.oov_words[chosen],
                        rows["probability"].to_numpy(),
                        encoded.foreign_words[chosen],
                    )
                writer.add_rejections([*chunk.rejected, *lost])
            read_count += len(chunk.texts) + len(chunk.rejected) - damage
            scored += len(chosen)
            rejected += len(chunk.rejected) - damage + len(lost)
            unreadable += damage
        _refuse_changed(shard)
        with clock("write"):
            parts = writer.publish(beat)
    summary = Summary(1, Counts(read_count, scored, rejected, unreadable), parts, total, clock.seconds)
    write_marker(summary, shard.index, plan, output)
    return summary


def _refuse_changed(shard: Shard) -> None:
    """Compares the inputs, now that they have been read, with what they were when the job was planned.

    Else the rows of a run would be of two states of its input, and those of an input that is gone would be missing.
    """
    for path, (size_bytes, modified) in zip(shard.paths, shard.stamps, strict=True):
        found = storage.look_at(path)
        if found is None or (found.size_bytes, found.modified) != (size_bytes, modified):
            raise ChangedError(
                "an input has changed since the job was planned",
                where=path,
                expected=f"{size_bytes:,} bytes, {_date(modified)}",
                got=f"{found.size_bytes:,} bytes, {_date(found.modified)}" if found else "no such file",
                fix="put it back as it was, date and all (or start anew with --overwrite)",
            )


def _date(modified: float) -> str:
    return f"of {datetime.fromtimestamp(modified, UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def score_chunk(
    chunk: Chunk, scorer: Scorer, top_k: int, clock: _Clock | None = None
) -> tuple[Encoded, Explanation, np.ndarray, list[Rejection]]:
    """Encodes, scores and explains one chunk.

    Returns:
        The encoded reviews, their explanation, the indices of those that were scored, and the rejected others.
    """
    clock = clock or _Clock()
    with clock("encode"):
        encoded, rejected = encode(chunk, scorer.artifact.tokenizer)
    explanation = Explanation(encoded, top_k)
    good = np.ones(len(encoded.ids), np.bool_)
    batches = score(scorer.engine, encoded.ids)
    while True:
        with clock("score"):
            batch = next(batches, None)
        if batch is None:
            break
        with clock("explain"):
            if isinstance(batch, ScoredBatch):
                explanation.add(batch)
            else:
                _reject(batch, encoded, good, rejected)
    return encoded, explanation, np.flatnonzero(good), rejected


def _reject(failed: FailedReview, encoded: Encoded, good: np.ndarray, rejected: list[Rejection]) -> None:
    good[failed.row] = False
    rejected.append(rejection(encoded, failed.row, "engine_failed", failed.reason))
