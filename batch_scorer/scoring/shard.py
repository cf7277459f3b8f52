"""One shard through all the stages: read, encode, score, explain, write. No Beam here, and nothing between shards."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import chain

from batch_scorer import storage
from batch_scorer.errors import ChangedError
from batch_scorer.formats.records import Shard
from batch_scorer.models.profile import EMPTY, measure
from batch_scorer.planning.plan import Plan
from batch_scorer.runs.manifest import optional_columns
from batch_scorer.runs.markers import STAGES, Counts, Summary, this_worker, write_marker
from batch_scorer.scoring.chunk import Clock, Scorer, score_chunk
from batch_scorer.scoring.new_records import NewRecords
from batch_scorer.scoring.read import read
from batch_scorer.scoring.write import ShardWriter, predictions
from batch_scorer.storage import Beat


def score_shard(shard: Shard, plan: Plan, scorer: Scorer, output: str, beat: Beat | None = None) -> Summary:
    """Scores one shard, publishes its parts, and marks it as done.

    Args:
        beat: called whenever the work moves forward.

    Raises:
        EngineError: the engine fails on every review of a batch.
        ChangedError: an input is not what it was when the job was planned.
        OSError: the output cannot be written.
    """
    clock, profile, caveats = Clock(beat), EMPTY, Counter[str]()
    scored = rejected = empty = unreadable = 0
    with ShardWriter(output, shard.index, plan, optional_columns(plan, scorer.artifact)) as writer:
        new = NewRecords(scorer.earlier)
        chunks = clock.each("read", new.of(read(shard, plan.fields, beat)))
        pieces = (score_chunk(chunk, scorer, plan.top_k, clock, plan.segments) for chunk in chunks)
        for explained in chain.from_iterable(pieces):
            with clock("write"):
                if len(explained):
                    rows = predictions(explained, plan, scorer.artifact, scorer.caveats)
                    writer.add_predictions(rows)
                    caveats += scorer.caveats.count(rows)
                    encoded = explained.encoded
                    profile += measure(
                        encoded.n_tokens,
                        encoded.n_tokens_used,
                        encoded.oov_ids,
                        rows["probability"].to_numpy(),
                        scripts=encoded.scripts,
                        n_ids=encoded.n_ids,
                    )
                rejections = new.rejections(explained.rejected)
                writer.add_rejections(rejections)
            damage = sum(r.offset is None for r in rejections)
            scored += len(explained)
            rejected += len(rejections) - damage
            empty += sum(r.is_empty for r in rejections)
            unreadable += damage
        _refuse_changed(shard)
        with clock("write"):
            parts = writer.publish(beat)
    counts = Counts(scored + rejected, scored, rejected, unreadable, empty, new.passed_over)
    timings = {stage: clock.seconds[stage] for stage in STAGES}
    summary = Summary(1, counts, parts, profile, timings, this_worker(), caveats)
    write_marker(summary, shard.index, plan, output)
    return summary


def _refuse_changed(shard: Shard) -> None:
    """Compares the inputs, now that they have been read, with what they were when the job was planned.

    Otherwise the rows of a run could mix two states of its input, and those of a deleted input would be missing.
    """
    for path, (size_bytes, modified) in zip(shard.paths, shard.stamps, strict=True):
        file = storage.look_at(path)
        if file is None or (file.size_bytes, file.modified) != (size_bytes, modified):
            raise ChangedError(
                "an input has changed since the job was planned",
                where=path,
                expected=f"{size_bytes:,} bytes, {_date(modified)}",
                got=f"{file.size_bytes:,} bytes, {_date(file.modified)}" if file else "no such file",
                fix="restore it, including its modification time (or start over with --overwrite)",
            )


def _date(modified: float) -> str:
    return f"of {datetime.fromtimestamp(modified, UTC):%Y-%m-%d %H:%M:%S.%f} UTC"
