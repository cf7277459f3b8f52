"""What every engine takes and returns: the line between the model and the rest of the job.

Shapes: B reviews, T positions (padded on the left).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import Ids

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """What the network says about B reviews; the last id of each is at position T - 1.

    Args:
        logit: float64[B], ``bias + contribution.sum(axis=0)``.
        attention: float64[T, B], sums to 1 over T.
        contribution: float64[T, B], what each position adds to the logit; without a mask, padding does too.
    """

    logit: Doubles
    attention: Doubles
    contribution: Doubles


def add_up(values: Doubles) -> Doubles:
    """[T, B] -> [B], added up position by position: the zeros of the padding, which come first, change no bit.

    `values.sum(axis=0)` does the same, except for a single review, which it adds up in pairs.
    """
    return np.asarray(np.cumsum(values, axis=0)[-1])


class Engine(Protocol):
    """Anything that scores reviews, at most `batch_size` at a time."""

    batch_size: int
    bias: float

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews, each as the tokenizer gives it."""
        ...
