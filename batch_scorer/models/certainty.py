"""How sure a model has to be for a wanted share of its labels to be right, by what it knows of its validation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import OptionError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.calibration import ConfidenceCurve, Doubles

RULE_OF_THREE = 3  # n reviews without a mistake only show that at most 3 / n are wrong (Hanley, Lippman-Hand 1983)
_NAME = "--target-accuracy"


@dataclass(frozen=True)
class Certainty:
    """When a review counts as decided: if max(p, 1 - p), with p the probability of its row, is at least `threshold`.

    Args:
        target: the share of the decided whose label is to be right.
        threshold: the least confidence of a decided review, 0.5 to 1.
        accuracy: the share that was right among the validation reviews that it decides.
        share: how many of the validation reviews it decides.
        reviews: validation reviews in all.
    """

    target: float
    threshold: float
    accuracy: float
    share: float
    reviews: int

    def decides(self, probability: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Whether each of N reviews is decided: bool[N].

        Computed in double precision, as a reader of the file would compute it.

        Args:
            probability: float32[N], as in the rows.

        Example:
            >>> Certainty(0.97, 0.75, 0.972, 0.8, 2_000).decides(np.array([0.2, 0.5, 0.75], np.float32)).tolist()
            [True, False, True]
        """
        p = probability.astype(np.float64)
        return np.asarray(np.maximum(p, 1 - p) >= self.threshold)

    def to_json(self) -> dict[str, Any]:
        """As in the manifest of a run."""
        return {
            "target_accuracy": self.target,
            "threshold": self.threshold,
            "expected_accuracy": round(self.accuracy, 4),
            "expected_share": round(self.share, 4),
            "validation_reviews": self.reviews,
        }


def certainty_for(artifact: Artifact, target: float) -> Certainty:
    """The least confidence from which on the model was right as often as wanted, on its validation reviews.

    Of the bins' edges, it is the lowest for which the share right among all reviews above it is at least `target`, and
    whose reviews are enough to show that: `RULE_OF_THREE` / (1 - target).

    Args:
        target: the wanted share, 0.5 to 1.

    Raises:
        OptionError: the model has no curve, its curve does not reach `target`, or it rests on too few reviews.
    """
    curve = artifact.confidence_curve
    if curve is None:
        raise OptionError(
            "the model does not say how often it is right by its confidence",
            where=f"{_NAME} {target:g}",
            expected="a model whose manifest.json has metrics.confidence_curve",
            got=f"{artifact.manifest['name']} {artifact.model_id}, of an earlier version or brought from elsewhere",
            fix=f"train or adapt it again with this version, or leave {_NAME} out",
        )
    reviews, accuracy = _above(curve)
    found = [
        at
        for at, (count, right) in enumerate(zip(reviews, accuracy, strict=True))
        if right >= target and count >= _needed(target)
    ]
    if not found:
        raise _out_of_reach(curve, target)
    at, total = found[0], int(sum(curve.reviews))
    return Certainty(target, curve.confidence[at], float(accuracy[at]), float(reviews[at] / total), total)


def _above(curve: ConfidenceCurve) -> tuple[Doubles, Doubles]:
    """For each bin: reviews in it and in those above, and the share of these that were labelled rightly."""
    reviews, correct = (np.cumsum(counts[::-1])[::-1].astype(np.float64) for counts in (curve.reviews, curve.correct))
    return reviews, np.divide(correct, reviews, out=np.zeros(len(reviews)), where=reviews > 0)


def _needed(target: float) -> float:
    """How many reviews it takes to show that no more than 1 - `target` of the labels are wrong."""
    return math.inf if target >= 1 else math.ceil(RULE_OF_THREE / (1 - target) - 1e-9)


def _out_of_reach(curve: ConfidenceCurve, target: float) -> OptionError:
    reviews, accuracy = _above(curve)
    shown = np.minimum(accuracy, 1 - RULE_OF_THREE / np.maximum(reviews, RULE_OF_THREE))
    at = int(np.argmax(shown))
    highest, total = math.floor(shown[at] * 1000) / 1000, int(sum(curve.reviews))
    rests = f"{total:,} validation reviews" if total != 1 else "1 validation review"
    is_few = accuracy[at] > shown[at]
    if highest < 0.5:
        return OptionError(
            "the model was validated on too few reviews to choose a certainty",
            where=f"{_NAME} {target:g}",
            expected=f"at least {_needed(min(target, 0.999)):,} of them",
            got=rests,
            fix=f"train it on more labelled reviews, of which more are then held out, or leave {_NAME} out",
        )
    return OptionError(
        "the model cannot be trusted that far" if not is_few else "too few validation reviews show such an accuracy",
        where=f"{_NAME} {target:g}",
        expected=f"at most {highest:g}, which the {reviews[at]:,.0f} of its {rests} that it is surest of show",
        got=f"{target:g}",
        fix=f"{_NAME} {highest:g}, or lower: then more reviews are decided",
    )
