"""Measures the quality of a model's answers: the labels and logits of reviews in, figures as JSON out.

Shapes: N reviews. A decision is `positive` if the calibrated probability reaches the threshold.
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
LENGTHS = (1, 100, 200, 300)  # words; one more slice starts where the model no longer reads all of them
OOV_SHARES = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15)
SENTIMENTS = ("negative", "positive")  # by label


@dataclass(frozen=True)
class Answers:
    """A model's answers to N labelled reviews.

    Args:
        record_ids: ids of the N reviews.
        labels: int[N], 1 for positive.
        logits: float64[N], before calibration.
        n_tokens: int[N], words in each review.
        oov_share: float64[N], share of the words read that the model does not know.
        temperature: divides the logits (Guo et al. 2017, section 4.2): one for all, or float64[N].
        threshold: probability at or above which a review is classified positive.
    """

    record_ids: Sequence[str]
    labels: npt.NDArray[np.integer]
    logits: Doubles
    n_tokens: npt.NDArray[np.integer]
    oov_share: Doubles
    temperature: float | Doubles
    threshold: float

    @property
    def probability(self) -> Doubles:
        """P(positive), calibrated and rounded to float32 as in the output of a job: float64[N]."""
        return probability(self.logits, self.temperature).astype(np.float64)

    @property
    def decision(self) -> npt.NDArray[np.bool_]:
        """Which reviews are classified positive: bool[N]."""
        return self.probability >= self.threshold

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which decisions agree with the label: bool[N]."""
        agree: npt.NDArray[np.bool_] = self.decision == (self.labels == 1)
        return agree


def measure(
    answers: Answers,
    *,
    max_words: int,
    words: Mapping[int, Sequence[str]],
    seed: int,
    simulations: int = 1000,
    max_windows: int = 1,
) -> dict[str, Any]:
    """All figures on the answers, as JSON.

    Args:
        max_words, max_windows: maximum number of words of a review that the model reads at a time, and of such times.
        words: for each of `most_confident_mistakes`, the words that led to it.
        seed: of the simulated labels behind `ece_by_chance`.
        simulations: how many times those labels are drawn.

    Returns:
        The results of `train.metrics.metrics`, the settings, and `ece_by_chance`, `reliability`, `by_length`, `by_oov`,
        `confusion` (by label, then by decision) and `mistakes`.
    """
    p, correct = answers.probability, answers.correct
    return {
        **metrics(answers.logits, answers.labels, answers.temperature, answers.threshold),
        "temperature": float(np.median(answers.temperature)),
        "threshold": answers.threshold,
        "max_words": max_words,
        **({"max_windows": max_windows} if max_windows > 1 else {}),
        "ece_by_chance": ece_by_chance(p, seed, simulations),
        "reliability": reliability(p, answers.labels),
        "by_length": slices(answers.n_tokens, correct, length_bounds(max_words)),
        "by_oov": slices(answers.oov_share, correct, OOV_SHARES),
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
    """The ECE that a perfectly calibrated model with exactly these probabilities would have on N reviews.

    Even then the accuracies of the bins differ from their confidences by chance, and the ECE sums up these differences.
    Labels are drawn from Bernoulli(p) and measured like real ones, as in consistency resampling (Broecker and Smith
    2007), but without resampling the probabilities.

    Args:
        p: P(positive), float64[N].

    Returns:
        mean: over the simulations.
        high: their 95th percentile.
    """
    rng = np.random.default_rng(seed)
    eces = [expected_calibration_error(p, (rng.random(len(p)) < p).astype(np.int8), BINS) for _ in range(simulations)]
    return {"mean": float(np.mean(eces)), "high": float(np.quantile(eces, 0.95))}


def reliability(p: Doubles, labels: npt.NDArray[np.integer]) -> list[dict[str, Any]]:
    """The bins behind the ECE: the model's confidence, and how often its decision was correct.

    Args:
        p: P(positive), float64[N]. Confidence is the probability of the more likely label: max(p, 1 - p).

    Returns:
        A dict for each of `BINS` equal bins from 0 to 1. `confidence` (the mean), `accuracy` and its 95 % interval are
        None in an empty bin.
    """
    confidence = np.maximum(p, 1 - p)
    correct = (p >= 0.5) == (labels == 1)
    bin_of = np.clip((confidence * BINS).astype(int), 0, BINS - 1)  # as in `expected_calibration_error`
    bins = []
    for i in range(BINS):
        inside = bin_of == i
        n = int(inside.sum())
        line: dict[str, Any] = {"low": i / BINS, "high": (i + 1) / BINS, "reviews": n}
        line |= {"confidence": float(confidence[inside].mean()) if n else None}
        bins.append(line | (_accuracy(correct[inside]) if n else dict.fromkeys(_accuracy(correct), None)))
    return bins


def length_bounds(max_words: int) -> list[int]:
    """Where the slices by length start; the last slice holds the reviews that are truncated."""
    return [*(bound for bound in LENGTHS if bound <= max_words), max_words + 1]


def slices(values: npt.NDArray[Any], correct: npt.NDArray[np.bool_], bounds: Sequence[float]) -> list[dict[str, Any]]:
    """Accuracy, with its 95 % interval, of reviews grouped by value: each slice runs from one bound to the next.

    Args:
        values: number[N], none below the first bound.
        correct: bool[N].

    Returns:
        A dict for each slice that has reviews: `low`, `high` (exclusive; None in the last), `reviews`, `accuracy`,
        `accuracy_low`, `accuracy_high`.
    """
    lines = []
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        inside = (values >= low) & (values < (math.inf if high is None else high))
        if inside.any():
            lines.append({"low": low, "high": high, "reviews": int(inside.sum()), **_accuracy(correct[inside])})
    return lines


def _accuracy(correct: npt.NDArray[np.bool_]) -> dict[str, float]:
    low, high = wilson_interval(int(correct.sum()), len(correct))
    return {"accuracy": float(correct.mean()), "accuracy_low": low, "accuracy_high": high}


def most_confident_mistakes(answers: Answers, count: int = 20) -> list[int]:
    """Indices of the wrong decisions with the highest confidence, the highest first, ties in order of record id."""
    p = answers.probability
    confidence = np.where(answers.decision, p, 1 - p)
    wrong = np.flatnonzero(~answers.correct).tolist()
    return sorted(wrong, key=lambda i: (-confidence[i], answers.record_ids[i]))[:count]
