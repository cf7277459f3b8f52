"""Quality of probabilities: accuracy, ranking, calibration, and the temperature that corrects the calibration."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from batch_scorer.models.network import probability

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


def fit_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature that minimises the negative log-likelihood (Guo et al. 2017, section 4.2).

    The loss is convex in 1 / temperature, so its minimum is the root of the derivative, found by bisection.

    Args:
        logits: float[N].
        labels: int[N], 0 or 1.
    """
    z, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)

    def slope(inverse: float) -> float:
        return float(np.mean((0.5 + 0.5 * np.tanh(0.5 * inverse * z) - y) * z))

    low, high = 0.01, 100.0
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / low


def log_losses(logits: Floats, labels: Labels) -> npt.NDArray[np.float64]:
    """Negative log-likelihood of each label, in nats: float64[N]."""
    z = np.asarray(logits, np.float64)
    return np.logaddexp(0, z) - z * labels


def log_loss(logits: Floats, labels: Labels, temperature: float | Doubles = 1.0) -> float:
    """Mean negative log-likelihood of the labels, in nats; the temperature is one for all, or [N]."""
    return float(np.mean(log_losses(np.asarray(logits, np.float64) / temperature, labels)))


def metrics(logits: Floats, labels: Labels, temperature: float | Doubles, threshold: float = 0.5) -> dict[str, float]:
    """Accuracy with its 95 % interval, AUC, log loss, Brier score and ECE of calibrated probabilities.

    Args:
        temperature: divides the logits: one for all, or [N], by which they may then be ranked otherwise.
    """
    p = probability(logits, temperature).astype(np.float64)
    correct = (p >= threshold) == (labels == 1)
    low, high = wilson_interval(int(correct.sum()), len(correct))
    return {
        "reviews": len(correct),
        "accuracy": float(correct.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "auc": auc(logits if isinstance(temperature, float) else logits / temperature, labels),
        "log_loss": log_loss(logits, labels, temperature),
        "brier": float(np.mean((p - labels) ** 2)),
        "ece": expected_calibration_error(p, labels),
    }


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion (Wilson 1927): low and high."""
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    # Rounding may put an end on the wrong side of the share itself, or of 0 and 1.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def bootstrapped(values: Floats, seed: int, draws: int = 2_000) -> dict[str, float]:
    """The mean of independent values, float[N], with its 95 % bootstrap interval: `mean`, `low` and `high`.

    Efron and Tibshirani 1993, chapter 13: the percentiles of the means of samples drawn with replacement.
    """
    drawn = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high)}


def auc(scores: Floats, labels: Labels) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties counting half (Mann-Whitney)."""
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[position]
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    return float((ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def expected_calibration_error(p: Floats, labels: Labels, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over `bins` equal bins of confidence.

    Naeini et al. 2015; Guo et al. 2017.

    Args:
        p: P(positive), float[N]. Confidence is the probability of the predicted label: max(p, 1 - p).
        labels: int[N], 0 or 1.
    """
    confidence = np.maximum(p, 1 - p)
    correct = ((p >= 0.5) == (labels == 1)).astype(np.float64)
    bin_of = np.clip((confidence * bins).astype(int), 0, bins - 1)
    gaps = np.bincount(bin_of, correct - confidence, bins)
    return float(np.abs(gaps).sum() / len(p))
