"""Scores whatever the evaluation needs with the engine that jobs use: complete, shortened or made-up reviews."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import EngineError
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import Ids
from batch_scorer.scoring.score import FailedReview, ScoredBatch, score_ids


def scored(engine: Engine, reviews: Sequence[Ids]) -> Iterator[ScoredBatch]:
    """Yields scored batches of reviews, in any order.

    Raises:
        EngineError: the engine failed on a review. A job rejects such a review; a measurement must not leave it out.
    """
    for outcome in score_ids(engine, reviews):
        if isinstance(outcome, FailedReview):
            raise EngineError(
                "the engine failed on a review",
                where=f"review {outcome.row} (counted from 0), {len(reviews[outcome.row])} ids long",
                got=outcome.reason,
                fix="check the model with `batch-scorer inspect MODEL`",
            )
        yield outcome


def logits(
    engine: Engine, reviews: Sequence[Ids], on_done: Callable[[int, int], None] = lambda done, total: None
) -> npt.NDArray[np.float64]:
    """Logits of N reviews before calibration, float64[N], in their order.

    Args:
        on_done: called after each batch with the number of reviews done, and N.

    Raises:
        EngineError: see `scored`.
    """
    out, done = np.empty(len(reviews)), 0
    for batch in scored(engine, reviews):
        out[batch.rows] = batch.scores.logit
        done += len(batch.rows)
        on_done(done, len(reviews))
    return out
