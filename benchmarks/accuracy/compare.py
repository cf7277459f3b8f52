"""Several models' answers to the same reviews -> a row of measures each, and whether it differs from the first one.

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
from batch_scorer.models.tokenizer import words
from train.evaluate.scoring import logits
from train.metrics import metrics

Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Answers:
    """What a model says of N reviews: logits, float64[N], and how they are read."""

    name: str
    logits: Doubles
    temperature: float
    threshold: float = 0.5

    def right(self, labels: Labels) -> npt.NDArray[np.bool_]:
        """Which reviews have the label that the model gives them: bool[N]."""
        return np.asarray((probability(self.logits, self.temperature) >= self.threshold) == (labels == 1))


@dataclass(frozen=True)
class Row:
    """A model's measures; the last three, against the first model, are None in its own row.

    Args:
        accuracy_low, accuracy_high: the 95 % interval of the accuracy (Wilson 1927).
        log_loss: in nats, after calibration.
        ece: expected calibration error, 15 bins.
        only_first_right: reviews that the first model has right and this one wrong.
        only_second_right: the reverse.
        p_value: of McNemar's exact test, not corrected for how many models are compared.
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
        EngineError: the engine fails on a review.
    """
    found = logits(load_engine(model), [model.tokenizer.ids(words(text)) for text in texts])
    return Answers(name, found, model.temperature, model.threshold)


def mcnemar(only_first: int, only_second: int) -> float:
    """P-value of McNemar's exact test (McNemar 1947): were the two equally good, each review that one alone has right
    would be either's with even odds, and the split binomial; two-sided.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant).pvalue) if discordant else 1.0


def compare(answers: Sequence[Answers], labels: Labels) -> list[Row]:
    """A row each of the `answers`, all to the reviews of `labels` ([N], 1 for positive), in their order."""
    first = answers[0].right(labels)
    rows: list[Row] = []
    for each in answers:
        m = metrics(each.logits, labels, each.temperature, each.threshold)
        row = Row(each.name, m["accuracy"], m["accuracy_low"], m["accuracy_high"], m["auc"], m["log_loss"], m["ece"])
        if rows:
            right = each.right(labels)
            lost, won = int((first & ~right).sum()), int((right & ~first).sum())
            row = replace(row, only_first_right=lost, only_second_right=won, p_value=mcnemar(lost, won))
        rows.append(row)
    return rows
