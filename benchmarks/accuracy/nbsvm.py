"""NBSVM (Wang and Manning 2012), the linear model to beat: labelled texts in, one that gives logits out.

A review is the set of its n-grams; each counts by how much likelier it is in positive reviews than in negative ones,
and a linear classifier weighs these again. Words are those of `batch_scorer.models.tokenizer`, of the whole review.
Shapes: N reviews, V n-grams.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from batch_scorer.models.tokenizer import words
from train.data import Examples
from train.metrics import fit_temperature, metrics

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """What is chosen on the validation split; the defaults are what `search` chose of `GRID` for the IMDB reviews.

    Args:
        longest: words of an n-gram at most: 2 in the paper, 3 in Mesnil et al. (2015).
        classifier: `hinge` for squared hinge loss, as in the paper, or `logistic` loss, as in Mesnil et al.
        cost: C, what a unit of loss costs beside the norm of the weights.
        beta: share of the learnt weights; the rest is their mean magnitude, the same for every n-gram.
    """

    longest: int = 3
    classifier: str = "logistic"
    cost: float = 10.0
    beta: float = 1.0


GRID = tuple(
    Settings(longest, classifier, cost, beta)
    for longest in (2, 3)
    for classifier, costs in (("hinge", (0.001, 0.01, 1.0)), ("logistic", (0.1, 1.0, 10.0)))
    for cost in costs
    for beta in (0.25, 0.5, 1.0)
)  # 12 fits: beta costs none


@dataclass(frozen=True)
class Trial:
    """Settings, fitted to the training side, on the validation side: `metrics` after calibration by `temperature`."""

    settings: Settings
    temperature: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Nbsvm:
    """A fitted model: ``logit = bias + sum of weight over the n-grams that occur``, to be divided by `temperature`.

    Args:
        weight: float64[V], the log-count ratio included.
    """

    counter: Any
    weight: Doubles
    bias: float
    temperature: float

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Logits before calibration: float64[N]."""
        return np.asarray(self.counter.transform(texts) @ self.weight + self.bias, np.float64)


def counter_of(longest: int) -> Any:
    """What turns texts into a binary matrix [N, V] of the n-grams of 1 to `longest` words in each."""
    return CountVectorizer(
        tokenizer=words, token_pattern=None, lowercase=False, ngram_range=(1, longest), binary=True, dtype=np.float64
    )


def log_count_ratio(counts: Any, labels: npt.NDArray[np.integer], smoothing: float = 1.0) -> Doubles:
    """How much likelier each n-gram is in positive reviews than in negative ones, as a logarithm.

    ``r = log((p / |p|_1) / (q / |q|_1))``, where p and q are `smoothing` plus the number of positive and of negative
    reviews that hold the n-gram (Wang and Manning 2012, section 2).

    Args:
        counts: [N, V], 0 or 1; sparse or not.
        labels: [N], 1 for positive.

    Returns:
        float64[V].
    """
    positive, negative = (smoothing + np.asarray(counts[labels == y].sum(axis=0)).ravel() for y in (1, 0))
    return np.asarray(np.log(positive / positive.sum()) - np.log(negative / negative.sum()), np.float64)


def interpolated(weight: Doubles, beta: float) -> Doubles:
    """``(1 - beta) |w|_1 / V + beta w`` (Wang and Manning 2012, section 2.3): float64[V].

    The first term is the same for all n-grams: it trusts the ratio alone, as naive Bayes does.
    """
    return np.asarray((1 - beta) * np.abs(weight).mean() + beta * weight)


def search(training: Examples, validation: Examples, grid: Iterable[Settings] = GRID) -> list[Trial]:
    """Fits each of the `grid` to the training side and measures it on the validation side."""
    grid = tuple(grid)
    counter = counter_of(max(settings.longest for settings in grid))
    whole, held = counter.fit_transform(training.texts), counter.transform(validation.texts)
    length = np.array([name.count(" ") for name in counter.get_feature_names_out()]) + 1
    trials = []
    for longest, classifier, cost in dict.fromkeys((s.longest, s.classifier, s.cost) for s in grid):
        chosen = np.flatnonzero(length <= longest)
        counts, held_counts = whole[:, chosen], held[:, chosen]
        ratio, weight, bias = _fit(counts, training.labels, classifier, cost)
        for settings in grid:
            if (longest, classifier, cost) == (settings.longest, settings.classifier, settings.cost):
                logits = held_counts @ (ratio * interpolated(weight, settings.beta)) + bias
                temperature = fit_temperature(logits, validation.labels)
                trials.append(Trial(settings, temperature, metrics(logits, validation.labels, temperature)))
    return trials


def best(trials: Iterable[Trial]) -> Trial:
    """The one with the highest accuracy, which is what it is compared by; of equal ones that of the least log loss."""
    return max(trials, key=lambda trial: (trial.metrics["accuracy"], -trial.metrics["log_loss"]))


def fit(examples: Examples, trial: Trial) -> Nbsvm:
    """Fits the trial's settings to `examples`; the temperature is the trial's."""
    settings = trial.settings
    counter = counter_of(settings.longest)
    ratio, weight, bias = _fit(
        counter.fit_transform(examples.texts), examples.labels, settings.classifier, settings.cost
    )
    return Nbsvm(counter, ratio * interpolated(weight, settings.beta), bias, trial.temperature)


def _fit(counts: Any, labels: npt.NDArray[np.integer], classifier: str, cost: float) -> tuple[Doubles, Doubles, float]:
    """Ratio [V] of binary counts [N, V], and weights [V] and bias of the linear classifier of ratio * counts."""
    ratio = log_count_ratio(counts, labels)
    features = sparse.csr_matrix((ratio[counts.indices], counts.indices, counts.indptr), counts.shape)
    # The dual problem has a variable a review, not one an n-gram, of which there are hundreds of times more.
    if classifier == "hinge":
        model = LinearSVC(C=cost, dual=True, max_iter=10_000, random_state=0)
    else:
        model = LogisticRegression(C=cost, solver="liblinear", dual=True, max_iter=10_000, random_state=0)
    model.fit(features, labels)
    return ratio, model.coef_[0].astype(np.float64), float(model.intercept_[0])
