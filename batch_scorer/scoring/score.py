"""Score: the windows of encoded reviews -> logits, attention and contributions, in micro-batches of similar length.

A batch that the engine fails on is halved until the bad window is alone; the others are scored. A review of which a
window fails is rejected.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import EngineError
from batch_scorer.models.protocol import Doubles, Engine, Scores
from batch_scorer.models.tokenizer import Ids
from batch_scorer.schema import Rejection
from batch_scorer.scoring.encode import Encoded

REASON_CHARACTERS = 200
JOINED = 1 << 15  # positions of all windows of batches that are joined, padding too: what they need is in the cache

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredBatch:
    """Windows `rows` (their indices among those of the piece, [B]) and what the engine says of each by itself."""

    rows: npt.NDArray[np.intp]
    scores: Scores

    @staticmethod
    def join(batches: Sequence[ScoredBatch]) -> ScoredBatch:
        """Several batches as one, all padded to its longest window."""
        if len(batches) == 1:
            return batches[0]
        longest = max(len(batch.scores.attention) for batch in batches)

        def padded(values: Sequence[Doubles]) -> Doubles:
            return np.concatenate([np.pad(one, ((longest - len(one), 0), (0, 0))) for one in values], axis=1)

        return ScoredBatch(
            np.concatenate([batch.rows for batch in batches]),
            Scores(
                np.concatenate([batch.scores.logit for batch in batches]),
                padded([batch.scores.attention for batch in batches]),
                padded([batch.scores.contribution for batch in batches]),
            ),
        )


@dataclass(frozen=True)
class FailedReview:
    """Window `row`, on which the engine fails even when it is alone.

    Args:
        reason: what the engine raised, in at most `REASON_CHARACTERS`. It was given ids, and knows nothing of the text.
    """

    row: int
    reason: str


@dataclass(frozen=True)
class Scored:
    """A piece of a chunk that is being scored.

    Args:
        encoded: its N reviews, and the rejections so far.
        batches: the windows of the N reviews, each in one scored batch, but for those that failed, and one more
            rejection for each review that has some of these. As `score` makes it, an iterator that runs the engine at
            each step: the attention of a whole piece would take gigabytes.
    """

    encoded: Encoded
    batches: Iterable[ScoredBatch | Rejection]


def score(encoded: Encoded, engine: Engine) -> Scored:
    """Scores the windows of a piece, batch by batch, as they are asked for.

    The batches raise what `score_ids` does.
    """
    return Scored(encoded, _batches(encoded, engine))


def joined(batches: Iterable[ScoredBatch | Rejection]) -> Iterator[ScoredBatch | Rejection]:
    """Neighbours joined into larger batches: of short texts, the calls that explain one take longer than their work."""
    waiting: list[ScoredBatch] = []
    windows = longest = 0
    for batch in batches:
        if isinstance(batch, Rejection):
            yield batch
            continue
        windows, longest = windows + len(batch.rows), max(longest, len(batch.scores.attention))
        if waiting and windows * longest > JOINED:
            yield ScoredBatch.join(waiting)
            waiting, windows, longest = [], len(batch.rows), len(batch.scores.attention)
        waiting.append(batch)
    if waiting:
        yield ScoredBatch.join(waiting)


def _batches(encoded: Encoded, engine: Engine) -> Iterator[ScoredBatch | Rejection]:
    failed: set[int] = set()
    for outcome in score_ids(engine, encoded.windows.ids, encoded.windows.review):
        if not isinstance(outcome, FailedReview):
            yield outcome
        elif (review := int(encoded.windows.review[outcome.row])) not in failed:
            failed.add(review)
            yield encoded.rejection(review, "engine_failed", outcome.reason)


def score_ids(
    engine: Engine, ids: Sequence[Ids], review: npt.NDArray[np.integer] | None = None
) -> Iterator[ScoredBatch | FailedReview]:
    """Scores M windows, shortest first; of those that are equal, one, as its result depends on no other window.

    Args:
        review: [M], which review each window belongs to; None: each is a review.

    Raises:
        EngineError: every window of a batch fails, and they are of more than one review; or there is too little memory.
    """
    equal = _equal(ids)
    order = np.array(sorted(equal, key=lambda row: len(ids[row])), np.intp)
    # The batch that is not full costs as much as one that is, and so it is the first, of the shortest reviews.
    ends = range(len(order) % engine.batch_size or engine.batch_size, len(order) + 1, engine.batch_size)
    for end in ends:
        rows = order[max(0, end - engine.batch_size) : end]
        failed = 0
        for outcome in _score_batch(engine, ids, rows):
            if isinstance(outcome, FailedReview):
                failed += 1
                if failed == len(rows) > 1 and (review is None or np.ptp(review[rows]) > 0):
                    raise EngineError(
                        "the engine fails on every review of a batch",
                        where=f"{len(rows)} reviews of {len(ids[rows[0]])} to {len(ids[rows[-1]])} ids",
                        got=outcome.reason,
                        fix="check the model with `batch-scorer inspect MODEL`",
                    )
            yield outcome
            yield from _again(outcome, equal, engine.batch_size)


def _equal(ids: Sequence[Ids]) -> dict[int, list[int]]:
    """The first window of each kind -> the others that have the same ids."""
    first: dict[bytes, int] = {}
    equal: dict[int, list[int]] = {}
    for row, window in enumerate(ids):
        found = first.setdefault(window.tobytes(), row)
        if found == row:
            equal[row] = []
        else:
            equal[found].append(row)
    return equal


def _again(
    outcome: ScoredBatch | FailedReview, equal: Mapping[int, Sequence[int]], batch_size: int
) -> Iterator[ScoredBatch | FailedReview]:
    """What holds for the windows that are equal to those of an outcome, in batches of the usual size."""
    if isinstance(outcome, FailedReview):
        yield from (dataclasses.replace(outcome, row=row) for row in equal[outcome.row])
        return
    copies = [(row, column) for column, first in enumerate(outcome.rows.tolist()) for row in equal[first]]
    for start in range(0, len(copies), batch_size):
        rows, columns = np.array(copies[start : start + batch_size], np.intp).T
        scores = outcome.scores
        scores = Scores(scores.logit[columns], scores.attention[:, columns], scores.contribution[:, columns])
        yield ScoredBatch(rows, scores)


def _score_batch(
    engine: Engine, ids: Sequence[Ids], rows: npt.NDArray[np.intp]
) -> Iterator[ScoredBatch | FailedReview]:
    try:
        scores = engine.run([ids[i] for i in rows])
        bad = ~np.isfinite(scores.logit)
        if not bad.any():
            yield ScoredBatch(rows, scores)
            return
        reason = f"the logit is {scores.logit[bad][0]}"
    except MemoryError as error:
        # Not the fault of a review: each needs as much, and half a batch is scored as a full one.
        raise EngineError(
            "there is too little memory to score",
            where=f"{len(rows)} reviews of {len(ids[rows[0]])} to {len(ids[rows[-1]])} ids",
            got=_reason(error),
            fix="use fewer --workers, or a machine with more memory; --resume continues from here",
        ) from error
    except Exception as error:
        # Whatever the engine raises, including a runtime's own classes, is blamed on this batch until shown otherwise.
        reason = _reason(error)
    if len(rows) == 1:
        yield FailedReview(int(rows[0]), reason)
        return
    _log.warning("a batch of %d reviews failed and is halved", len(rows))
    for half in np.array_split(rows, 2):
        yield from _score_batch(engine, ids, half)


def _reason(error: Exception) -> str:
    """The exception's class and the first line of its message, as far as that can be shown."""
    message = next(iter(str(error).splitlines()), "")
    shown = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return "".join(c for c in shown if c.isprintable())[:REASON_CHARACTERS]
