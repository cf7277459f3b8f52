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


@dataclass(frozen=True)
class Batching:
    """How a contender groups reviews.

    Args:
        size: reviews per batch, at most.
        equal: whether only reviews of the same length share a batch. Then nothing is padded and no mask is needed, but
            many batches are smaller.
    """

    size: int
    equal: bool = False

    def __str__(self) -> str:
        return f"{self.size}{' of equal length' if self.equal else ''}"


Scorer = Callable[[Sequence[Ids], Batching], Answers]  # of reviews in any order
Run = Callable[[Sequence[Ids]], tuple[Array, Sequence[Array]]]  # of a batch: logits [B], and attention [n] of each


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


def side_by_side(batch: Sequence[Ids]) -> Ids:
    """B reviews of the same length T, time-major: int32[T, B]."""
    return np.ascontiguousarray(np.stack(batch, axis=1))


def in_batches(run: Run, ids: Sequence[Ids], batching: Batching) -> Answers:
    """Scores N reviews in order of length, a batch at a time.

    Args:
        run: scores a batch, all of one length if `batching` says so.
    """
    lengths = np.array([len(x) for x in ids])
    order = np.argsort(lengths, kind="stable")
    logit = np.empty(len(ids), np.float32)
    attention: list[Array] = [logit] * len(ids)
    groups = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1) if batching.equal else [order]
    batches = [
        group[start : start + batching.size] for group in groups for start in range(0, len(group), batching.size)
    ]
    for rows in batches:
        logit[rows], weights = run([ids[i] for i in rows])
        for row, weight in zip(rows, weights, strict=True):
            attention[row] = weight
    return Answers(logit, attention)
