"""Compares several models' answers to the same reviews: a row of measures for each, and a test against the first.

Shapes: N reviews.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.engine import load_engine
from batch_scorer.models.network import probability
from train.evaluate.scoring import score_reviews
from train.metrics import metrics

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Answers:
    """A model's answers to N reviews: logits, float64[N], and how they become decisions."""

    name: str
    logits: Doubles
    temperature: float | Doubles  # one for all, or [N]
    threshold: float = 0.5

    def correct(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which reviews the model classifies correctly: bool[N]."""
        return np.asarray((probability(self.logits, self.temperature) >= self.threshold) == (labels == 1))


@dataclass(frozen=True)
class Row:
    """A model's measures. The last three compare it with the first model and are None in that model's own row.

    Args:
        accuracy_low, accuracy_high: the 95 % interval of the accuracy (Wilson 1927).
        log_loss: in nats, after calibration.
        ece: expected calibration error, 15 bins.
        only_first_right: number of reviews that the first model classifies correctly and this one does not.
        only_second_right: the reverse.
        p_value: of McNemar's exact test, not corrected for the number of models.
    """

    name: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    auc: float
    log_loss: float
    ece: float
    only_first_right: int | None = None
    only_second_right: int | None = None
    p_value: float | None = None


def answers_of(name: str, model: Artifact, texts: Sequence[str]) -> Answers:
    """Scores the N texts with the engine that a job would use.

    Raises:
        EngineError: the engine failed on a review.
    """
    tokens = [model.tokenizer.words(text) for text in texts]
    found = score_reviews(model, load_engine(model), tokens)
    return Answers(name, found.logits, found.temperature, model.threshold)


def mcnemar(only_first: int, only_second: int) -> float:
    """P-value of McNemar's exact test (McNemar 1947), two-sided.

    If two models were equally good, each review that only one of them classifies correctly would be either one's with
    equal probability, so that their split would be binomial.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def compare(answers: Sequence[Answers], labels: Labels) -> list[Row]:
    """A row for each model's answers, in their order. All answer the reviews of `labels` ([N], 1 for positive)."""
    first = answers[0].correct(labels)
    rows: list[Row] = []
    for model in answers:
        m = metrics(model.logits, labels, model.temperature, model.threshold)
        row = Row(model.name, m["accuracy"], m["accuracy_low"], m["accuracy_high"], m["auc"], m["log_loss"], m["ece"])
        if rows:
            correct = model.correct(labels)
            lost, won = int((first & ~correct).sum()), int((correct & ~first).sum())
            row = replace(row, only_first_right=lost, only_second_right=won, p_value=mcnemar(lost, won))
        rows.append(row)
    return rows
