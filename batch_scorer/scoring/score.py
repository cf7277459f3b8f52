"""Score: encoded reviews -> logits, attention and contributions, in micro-batches of like length.

A batch that the engine fails on is halved until the bad review is alone; the others are scored.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import EngineError
from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.tokenizer import Ids

REASON_CHARACTERS = 200

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredBatch:
    """Reviews `rows` (their indices in the chunk, [B]) and what the engine says of them."""

    rows: npt.NDArray[np.intp]
    scores: Scores


@dataclass(frozen=True)
class FailedReview:
    """Review `row` of the chunk, on which the engine fails even alone.

    Args:
        reason: what the engine raised, in `REASON_CHARACTERS` at most. It was given ids, and knows nothing of the text.
    """

    row: int
    reason: str


def score(engine: Engine, ids: Sequence[Ids]) -> Iterator[ScoredBatch | FailedReview]:
    """Scores the N reviews of a chunk, in any order.

    Raises:
        EngineError: every review of a batch of more than one fails, or there is too little memory.
    """
    order = np.argsort([len(x) for x in ids], kind="stable")
    # The batch that is not full costs as much as one that is, and so it is the first, of the shortest reviews.
    ends = range(len(order) % engine.batch_size or engine.batch_size, len(order) + 1, engine.batch_size)
    for end in ends:
        rows = order[max(0, end - engine.batch_size) : end]
        failed = 0
        for found in _score_batch(engine, ids, rows):
            if isinstance(found, FailedReview):
                failed += 1
                last = found
                if failed == len(rows) > 1:
                    raise EngineError(
                        "the engine fails on every review of a batch",
                        where=f"{len(rows)} reviews of {len(ids[rows[0]])} to {len(ids[rows[-1]])} ids",
                        got=last.reason,
                        fix="check the model with `batch-scorer inspect MODEL`",
                    )
            yield found


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
        # No review's fault: each would want as much, and those of a batch that is halved are scored as a full one.
        raise EngineError(
            "there is too little memory to score",
            where=f"{len(rows)} reviews of {len(ids[rows[0]])} to {len(ids[rows[-1]])} ids",
            got=_reason(error),
            fix="give fewer --workers, or a machine with more memory; --resume goes on from here",
        ) from error
    except Exception as error:
        # Whatever else the engine raises, of a runtime's own classes too, is this batch's fault until shown otherwise.
        reason = _reason(error)
    if len(rows) == 1:
        yield FailedReview(int(rows[0]), reason)
        return
    _log.warning("a batch of %d reviews failed and is halved", len(rows))
    for half in np.array_split(rows, 2):
        yield from _score_batch(engine, ids, half)


def _reason(error: Exception) -> str:
    """The exception's class and the first line of what it says, as far as that can be shown."""
    said = next(iter(str(error).splitlines()), "")
    shown = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return "".join(c for c in shown if c.isprintable())[:REASON_CHARACTERS]
