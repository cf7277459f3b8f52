"""Scores whatever the evaluation needs with the engine that jobs use: complete, shortened or made-up reviews."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import EngineError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.protocol import Doubles, Engine
from batch_scorer.models.tokenizer import Ids
from batch_scorer.models.windows import Windows
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


def explained(engine: Engine, windows: Windows) -> tuple[Doubles, list[tuple[Doubles, Doubles]]]:
    """Logits of N reviews before calibration, float64[N], and contribution and attention of each word that is read.

    The latter are float64[n] each, of a review of n words; a word of several pieces has their sums.

    Raises:
        EngineError: the engine failed on a review.
    """
    logits, parts = np.empty(len(windows)), dict[int, tuple[Doubles, Doubles]]()
    for batch in scored(engine, windows.ids):
        logits[batch.rows] = batch.scores.logit
        scores = windows.by_word(batch.rows, batch.scores)
        for column, row in enumerate(batch.rows.tolist()):
            parts[row] = (scores.contribution[:, column], scores.attention[:, column])  # padding first
    out: list[tuple[list[Doubles], list[Doubles]]] = [([], []) for _ in range(windows.n_reviews)]
    for window, (row, n, share) in enumerate(zip(windows.review, windows.n_words, windows.share, strict=True)):
        for values, joined in zip(parts[window], out[row], strict=True):
            joined.append(share * values[len(values) - n :])
    words = [(np.concatenate(contribution), np.concatenate(attention)) for contribution, attention in out]
    return windows.pool(logits), words


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


@dataclass(frozen=True)
class Reviews:
    """N reviews, each read as far as the model reads it, in windows where it does so.

    Args:
        logits: float64[N], before calibration.
        unknown: float64[N], share of the ids read that stand for something unknown.
        temperature: what the logits are divided by: one for all, or float64[N].
    """

    logits: Doubles
    unknown: Doubles
    temperature: float | Doubles


def score_reviews(
    artifact: Artifact,
    engine: Engine,
    tokens: Sequence[Sequence[str]],
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Reviews:
    """Scores N reviews, each given by its words.

    Args:
        on_done: called after each batch with the number of windows done, and of all windows.

    Raises:
        EngineError: see `scored`.
    """
    windows = Windows.of(artifact.tokenizer, tokens)
    read = windows.ids_read
    unknown = windows.unknown_ids / np.maximum(read, 1)
    temperature = artifact.temperature if artifact.calibration is None else artifact.temperatures(read, unknown)
    return Reviews(windows.pool(logits(engine, windows.ids, on_done)), unknown, temperature)
