"""How good a model's answers are: labelled reviews and the logits given to them in, figures that JSON can hold out.

Shapes: N reviews. A decision is `positive` where the calibrated probability reaches the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.network import probability
from train.metrics import expected_calibration_error, metrics, wilson_interval

Doubles = npt.NDArray[np.float64]
Where = npt.NDArray[np.intp]

BINS = 15
LENGTHS = (1, 100, 200, 300)  # words found; one more slice starts where the model no longer reads all of them
OOV_SHARES = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15)
SENTIMENTS = ("negative", "positive")  # by label


@dataclass(frozen=True)
class Answers:
    """What a model says of N labelled reviews.

    Args:
        record_ids: N names.
        labels: int[N], 1 for positive.
        logits: float64[N], before calibration.
        n_tokens: int[N], words found.
        oov_share: float64[N], share of the words used that the model does not know.
        temperature: divides the logits (Guo et al. 2017, section 4.2).
        threshold: probability from which on a review is called positive.
    """

    record_ids: Sequence[str]
    labels: npt.NDArray[np.integer]
    logits: Doubles
    n_tokens: npt.NDArray[np.integer]
    oov_share: Doubles
    temperature: float
    threshold: float

    @property
    def probability(self) -> Doubles:
        """P(positive), calibrated, as rounded in the product's output: float64[N]."""
        return probability(self.logits, self.temperature).astype(np.float64)

    @property
    def decision(self) -> npt.NDArray[np.bool_]:
        """Which are called positive: bool[N]."""
        return self.probability >= self.threshold

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which decisions agree with the label: bool[N]."""
        found: npt.NDArray[np.bool_] = self.decision == (self.labels == 1)
        return found


def measure(
    answers: Answers, *, max_words: int, words: Mapping[int, Sequence[str]], seed: int, simulations: int = 1000
) -> dict[str, Any]:
    """All figures about the answers, as JSON.

    Args:
        max_words: words that the model reads of a review at most.
        words: for each of `most_confident_mistakes`, the words that led to it.
        seed: of the simulated labels behind `ece_by_chance`.
        simulations: how often they are drawn.

    Returns:
        What `train.metrics.metrics` gives, the settings, and `ece_by_chance`, `reliability`, `by_length`, `by_oov`,
        `confusion` (label, then decision) and `mistakes`.
    """
    p, right = answers.probability, answers.right
    return {
        **metrics(answers.logits, answers.labels, answers.temperature, answers.threshold),
        "temperature": answers.temperature,
        "threshold": answers.threshold,
        "max_words": max_words,
        "ece_by_chance": ece_by_chance(p, seed, simulations),
        "reliability": reliability(p, answers.labels),
        "by_length": slices(answers.n_tokens, right, length_bounds(max_words)),
        "by_oov": slices(answers.oov_share, right, OOV_SHARES),
        "confusion": {
            name: {
                decided: int(
                    ((answers.labels == 1) == label) @ (answers.decision == (decided == "positive")).astype(int)
                )
                for decided in SENTIMENTS
            }
            for label, name in enumerate(SENTIMENTS)
        },
        "mistakes": [
            {
                "record_id": answers.record_ids[i],
                "label": SENTIMENTS[int(answers.labels[i])],
                "probability": float(p[i]),
                "n_tokens": int(answers.n_tokens[i]),
                "words": list(words.get(int(i), ())),
            }
            for i in most_confident_mistakes(answers)
        ],
    }


def ece_by_chance(p: Doubles, seed: int, simulations: int = 1000) -> dict[str, float]:
    """The ECE that a perfectly calibrated model with these very probabilities would show on so many reviews.

    Even then the bins' accuracies differ from their confidences, by chance, and ECE adds up how much. Labels are drawn
    from Bernoulli(p) and judged like real ones, as in consistency resampling (Broecker and Smith 2007), but with the
    probabilities left as they are.

    Args:
        p: P(positive), float64[N].

    Returns:
        mean: over the simulations.
        high: what 5 % of them exceed.
    """
    rng = np.random.default_rng(seed)
    found = [expected_calibration_error(p, (rng.random(len(p)) < p).astype(np.int8), BINS) for _ in range(simulations)]
    return {"mean": float(np.mean(found)), "high": float(np.quantile(found, 0.95))}


def reliability(p: Doubles, labels: npt.NDArray[np.integer]) -> list[dict[str, Any]]:
    """The bins behind the ECE: what confidence was claimed, and how often the decision was right.

    Args:
        p: P(positive), float64[N]. Confidence is that of the likelier label: max(p, 1 - p).

    Returns:
        A dict for each of `BINS` equal bins from 0 to 1; `confidence` (the mean), `accuracy` and its 95 % interval are
        None in an empty one.
    """
    confidence = np.maximum(p, 1 - p)
    right = (p >= 0.5) == (labels == 1)
    place = np.clip((confidence * BINS).astype(int), 0, BINS - 1)  # as in `expected_calibration_error`
    found = []
    for i in range(BINS):
        inside = place == i
        n = int(inside.sum())
        line: dict[str, Any] = {"low": i / BINS, "high": (i + 1) / BINS, "reviews": n}
        line |= {"confidence": float(confidence[inside].mean()) if n else None}
        found.append(line | (_accuracy(right[inside]) if n else dict.fromkeys(_accuracy(right), None)))
    return found


def length_bounds(max_words: int) -> list[int]:
    """Where the slices by length start; the last one is that of the reviews that are cut off."""
    return [*(bound for bound in LENGTHS if bound <= max_words), max_words + 1]


def slices(values: npt.NDArray[Any], right: npt.NDArray[np.bool_], bounds: Sequence[float]) -> list[dict[str, Any]]:
    """Accuracy, with its 95 % interval, of the reviews whose value is from one bound to below the next.

    Args:
        values: number[N], none below the first bound.
        right: bool[N].

    Returns:
        A dict for each slice that has reviews: `low`, `high` (exclusive; None in the last), `reviews`, `accuracy`,
        `accuracy_low`, `accuracy_high`.
    """
    found = []
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        inside = (values >= low) & (values < (math.inf if high is None else high))
        if inside.any():
            found.append({"low": low, "high": high, "reviews": int(inside.sum()), **_accuracy(right[inside])})
    return found


def _accuracy(right: npt.NDArray[np.bool_]) -> dict[str, float]:
    low, high = wilson_interval(int(right.sum()), len(right))
    return {"accuracy": float(right.mean()), "accuracy_low": low, "accuracy_high": high}


def most_confident_mistakes(answers: Answers, count: int = 20) -> list[int]:
    """Indices of the wrong decisions that the model was surest of, the surest first, ties by record id."""
    p = answers.probability
    confidence = np.where(answers.decision, p, 1 - p)
    wrong = np.flatnonzero(~answers.right).tolist()
    return sorted(wrong, key=lambda i: (-confidence[i], answers.record_ids[i]))[:count]
