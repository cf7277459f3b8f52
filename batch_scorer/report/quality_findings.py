"""What a report says of labels, predicted and true: `quality` computes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slice:
    """Quality on the reviews where `column` is `value`; `low` and `high` are Wilson's 95 % interval of the accuracy."""

    column: str
    value: str
    reviews: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """A bin of the reliability diagram: mean probability, and the share of its reviews that are actually positive."""

    reviews: int
    probability: float
    positive: float


@dataclass(frozen=True)
class Quality:
    """How the predicted labels compare with the true ones.

    Args:
        column: the column with the true labels.
        positive, negative: its values that mean so, in words.
        reviews: reviews with a true label.
        unlabelled: those without one; `neither` of these have a value that means neither.
        low, high: Wilson's 95 % interval of the accuracy.
        true_positive ... : counts of reviews.
        remarks: sentences on what is odd about the labels.
        ece: expected calibration error over 15 bins of confidence, as `python -m train evaluate` computes it.
    """

    column: str
    positive: str
    negative: str
    reviews: int
    unlabelled: int
    neither: int
    accuracy: float
    low: float
    high: float
    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int
    ece: float
    reliability: tuple[Reliability, ...]
    slices: tuple[Slice, ...]
    remarks: tuple[str, ...] = ()
