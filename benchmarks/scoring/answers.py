"""The answers that every contender returns, and how reviews are grouped into batches of similar length and padded.

Shapes: N reviews, B of them in a batch, T positions (the longest review of the batch), n ids of one review.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import PAD, Ids

Array = npt.NDArray[np.floating]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """The network's answers to N reviews, in their order.

    Args:
        logit: float[N].
        attention: float[n] each, one weight per id; they sum to 1.
    """

    logit: Array
    attention: list[Array]


Scorer = Callable[[Sequence[Ids], int], Answers]  # of reviews in any order and the batch size


@dataclass(frozen=True)
class Padded:
    """B reviews for a runtime whose LSTM does not support masks: time-major, padded at the *end*.

    Both directions read from the start; the backward direction reads each review reversed within its own length. So
    both read all words before any padding, and padding changes no state at a position that counts.

    Args:
        ids: int32[T, B].
        flip: int64[T * B]; element t * B + b is the row (of the flattened positions) that mirrors position t within
            review b. Padding mirrors itself. Indexing ids with it reverses them; indexing states restores their order.
        last: int64[B], the row of each review's last position, where both directions end.
    """

    ids: Ids
    flip: Places
    last: Places


def pad_at_end(batch: Sequence[Ids]) -> Padded:
    """Pads B reviews to the longest of them.

    Args:
        batch: int32[n] each, with at least one id.
    """
    lengths = np.array([len(ids) for ids in batch])
    columns = np.arange(len(batch))
    steps = np.arange(lengths.max())[:, None]  # [T, 1]
    padded = np.full((len(steps), len(batch)), PAD, np.int32)  # [T, B]
    for column, ids in enumerate(batch):
        padded[: len(ids), column] = ids
    mirrored = np.where(steps < lengths, lengths - 1 - steps, steps)  # [T, B]
    return Padded(padded, (mirrored * len(batch) + columns).ravel(), (lengths - 1) * len(batch) + columns)


def in_sorted_batches(
    run: Callable[[Sequence[Ids]], tuple[Array, Sequence[Array]]], ids: Sequence[Ids], batch_size: int
) -> Answers:
    """Scores N reviews in order of length, `batch_size` at a time; the last batch may be smaller.

    Args:
        run: scores a batch; returns the logits [B] and the attention [n] of each review.
    """
    order = np.argsort([len(x) for x in ids], kind="stable")
    logit = np.empty(len(ids), np.float32)
    attention: list[Array] = [logit] * len(ids)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        logit[rows], weights = run([ids[i] for i in rows])
        for row, weight in zip(rows, weights, strict=True):
            attention[row] = weight
    return Answers(logit, attention)
