"""What a run says of how far its scores can be trusted, as data: `quality` computes it, and `findings` has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Agreement:
    """How many of some reviews have a true label, and how many of these are labelled rightly."""

    reviews: int
    right: int

    @property
    def accuracy(self) -> float | None:
        """The share that is right; None of no reviews."""
        return self.right / self.reviews if self.reviews else None


@dataclass(frozen=True)
class Decisions:
    """Reviews by what was decided, with --target-accuracy.

    Args:
        target: the share of the decided that is to be labelled rightly.
        threshold: the least confidence of a decided review.
        expected: the share that was right of the model's validation reviews that are decided.
        positive, negative, undecided: reviews.
        labelled: the decided ones that have a true label.
    """

    target: float
    threshold: float
    expected: float
    positive: int
    negative: int
    undecided: int
    labelled: Agreement

    @property
    def share(self) -> float:
        """The share that is decided."""
        decided = self.positive + self.negative
        return decided / max(decided + self.undecided, 1)


@dataclass(frozen=True)
class Unusual:
    """Reviews whose texts are unlike those of training, with --unusual.

    Args:
        reviews: how many there are.
        reasons: for each reason that any review has: its name, the reviews that have it, and those of them that have a
            true label.
        known: what the model card has measured on such texts, by reason; empty for models other than the shipped one.
    """

    reviews: int
    reasons: tuple[tuple[str, int, Agreement], ...]
    known: Mapping[str, str]


# Of the shipped model, by its card (docs/model_card.md); a test compares them.
CARD = {
    "790ea01cb093": {
        "short": "77.2% of tweets to airlines, averaged over both labels",
        "long": "92.8% of reviews of 500 words or more",
        "unknown words": "86.2% of reviews with 15% unknown words or more",
        "other script": "55.7% of Korean film reviews, averaged over both labels",
    }
}


@dataclass(frozen=True)
class Caveats:
    """What was asked to be said of each review beside its score; None where it was not."""

    decisions: Decisions | None = None
    unusual: Unusual | None = None


NO_CAVEATS = Caveats()
