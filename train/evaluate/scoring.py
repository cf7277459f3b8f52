"""Reviews through the product's engine, for all that the evaluation scores: whole, shortened, or made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import EngineError
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import Ids
from batch_scorer.scoring.score import FailedReview, ScoredBatch, score_ids


def scored(engine: Engine, reviews: Sequence[Ids]) -> Iterator[ScoredBatch]:
    """Scores reviews, in any order.

    Raises:
        EngineError: the engine fails on a review. The job sets such a one aside; a figure must not.
    """
    for found in score_ids(engine, reviews):
        if isinstance(found, FailedReview):
            raise EngineError(
                "the engine fails on a review",
                where=f"review {found.row}, counted from 0, of {len(reviews[found.row])} ids",
                got=found.reason,
                fix="check the model with `batch-scorer inspect MODEL`",
            )
        yield found


def logits(
    engine: Engine, reviews: Sequence[Ids], on_done: Callable[[int, int], None] = lambda done, total: None
) -> npt.NDArray[np.float64]:
    """Raw logits, float64[N], in the order given; `on_done` is told how many of N are done.

    Raises:
        EngineError: see `scored`.
    """
    out, done = np.empty(len(reviews)), 0
    for batch in scored(engine, reviews):
        out[batch.rows] = batch.scores.logit
        done += len(batch.rows)
        on_done(done, len(reviews))
    return out
