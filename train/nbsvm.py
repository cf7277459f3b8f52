"""NBSVM (Wang and Manning 2012), the linear model to beat: fitted to labelled texts, it gives logits.

A review is the set of its n-grams. Each n-gram has the log-ratio of its frequencies in positive and negative reviews as
its feature value, and a linear classifier is fitted to these features. Words are those of
`batch_scorer.models.tokenizer`, from the complete review. Shapes: N reviews, V n-grams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    """What is chosen on the validation split. The defaults are those that `search` chose from `GRID` for IMDB reviews.

    Args:
        longest: maximum number of words in an n-gram: 2 in the paper, 3 in Mesnil et al. (2015).
        classifier: `hinge` for squared hinge loss as in the paper, or `logistic` for logistic loss as in Mesnil et al.
        cost: C, the weight of the loss relative to the norm of the weights.
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
)  # 12 fits: different values of beta share one


@dataclass(frozen=True)
class Trial:
    """Settings fitted to the training side and measured on the validation side, calibrated by `temperature`."""

    settings: Settings
    temperature: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Nbsvm:
    """A fitted model: ``logit = bias + sum of weight over the n-grams that occur``, to be divided by `temperature`.

    Args:
        counter: turns texts into counts of n-grams.
        weight: float64[V], multiplied by the log-count ratio.
    """

    counter: Any
    weight: Doubles
    bias: float
    temperature: float

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Logits before calibration: float64[N]."""
        return np.asarray(self.counter.transform(texts) @ self.weight + self.bias, np.float64)


def counter_of(longest: int, read: Callable[[str], Sequence[str]] = words) -> Any:
    """A vectorizer that turns texts into a binary matrix [N, V] of their n-grams of 1 to `longest` words.

    Args:
        read: the words of a text, or what else takes their place.
    """
    return CountVectorizer(
        tokenizer=read, token_pattern=None, lowercase=False, ngram_range=(1, longest), binary=True, dtype=np.float64
    )


def log_count_ratio(counts: Any, labels: npt.NDArray[np.integer], smoothing: float = 1.0) -> Doubles:
    """The log-ratio of each n-gram's frequencies in positive and in negative reviews.

    ``r = log((p / |p|_1) / (q / |q|_1))``, where p and q are `smoothing` plus the number of positive and of negative
    reviews that contain the n-gram (Wang and Manning 2012, section 2).

    Args:
        counts: [N, V], 0 or 1; sparse or dense.
        labels: [N], 1 for positive.

    Returns:
        float64[V].
    """
    positive, negative = (smoothing + np.asarray(counts[labels == y].sum(axis=0)).ravel() for y in (1, 0))
    return np.asarray(np.log(positive / positive.sum()) - np.log(negative / negative.sum()), np.float64)


def interpolated(weight: Doubles, beta: float) -> Doubles:
    """``(1 - beta) |w|_1 / V + beta w`` (Wang and Manning 2012, section 2.3): float64[V].

    The first term is the same for all n-grams: it relies on the ratio alone, like naive Bayes.
    """
    return np.asarray((1 - beta) * np.abs(weight).mean() + beta * weight)


def search(training: Examples, validation: Examples, grid: Iterable[Settings] = GRID) -> list[Trial]:
    """Fits all settings of the `grid` to the training side and measures them on the validation side."""
    grid = tuple(grid)
    counter = counter_of(max(settings.longest for settings in grid))
    training_counts, validation_counts = counter.fit_transform(training.texts), counter.transform(validation.texts)
    length = np.array([name.count(" ") for name in counter.get_feature_names_out()]) + 1
    trials = []
    for longest, classifier, cost in dict.fromkeys((s.longest, s.classifier, s.cost) for s in grid):
        columns = np.flatnonzero(length <= longest)
        ratio, weight, bias = _fit(training_counts[:, columns], training.labels, classifier, cost)
        for settings in grid:
            if (longest, classifier, cost) == (settings.longest, settings.classifier, settings.cost):
                logits = validation_counts[:, columns] @ (ratio * interpolated(weight, settings.beta)) + bias
                temperature = fit_temperature(logits, validation.labels)
                trials.append(Trial(settings, temperature, metrics(logits, validation.labels, temperature)))
    return trials


def best(trials: Iterable[Trial]) -> Trial:
    """The trial with the highest accuracy, which models are compared by, and among equals the lowest log loss."""
    return max(trials, key=lambda trial: (trial.metrics["accuracy"], -trial.metrics["log_loss"]))


def fit(examples: Examples, trial: Trial) -> Nbsvm:
    """Fits a model with the trial's settings to `examples`; the temperature is the trial's."""
    settings = trial.settings
    counter = counter_of(settings.longest)
    weight, bias = weights_of(counter.fit_transform(examples.texts), examples.labels, settings)
    return Nbsvm(counter, weight, bias, trial.temperature)


def weights_of(counts: Any, labels: npt.NDArray[np.integer], settings: Settings) -> tuple[Doubles, float]:
    """Weights [V] and bias of a model fitted to binary counts [N, V]: ``logits = counts @ weights + bias``."""
    ratio, weight, bias = _fit(counts, labels, settings.classifier, settings.cost)
    return ratio * interpolated(weight, settings.beta), bias


def _fit(counts: Any, labels: npt.NDArray[np.integer], classifier: str, cost: float) -> tuple[Doubles, Doubles, float]:
    """Ratio [V] of binary counts [N, V], and weights [V] and bias of the linear classifier fitted to ratio * counts."""
    ratio = log_count_ratio(counts, labels)
    features = sparse.csr_matrix((ratio[counts.indices], counts.indices, counts.indptr), counts.shape)
    # The dual problem has a variable per review rather than per n-gram, of which there are hundreds of times more.
    if classifier == "hinge":
        model = LinearSVC(C=cost, dual=True, max_iter=10_000, random_state=0)
    else:
        model = LogisticRegression(C=cost, solver="liblinear", dual=True, max_iter=10_000, random_state=0)
    model.fit(features, labels)
    return ratio, model.coef_[0].astype(np.float64), float(model.intercept_[0])
