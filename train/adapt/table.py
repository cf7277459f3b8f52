"""What adapting was worth: before and after on labels that were not trained on, beside a linear model, in a table.

Shapes: N texts that were held out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import words
from train.adapt.fitting import Adapted
from train.data import Examples
from train.metrics import Doubles, log_losses, metrics

COSTS = (0.1, 1.0, 10.0, 100.0)
FINER = 3  # folds that choose among the costs
MEASURES = (("accuracy", ".3f"), ("balanced", ".3f"), ("auc", ".3f"), ("log_loss", ".3f"), ("ece", ".3f"))
HEADINGS = ("", "accuracy", "95% interval", "balanced", "AUC", "log loss", "ECE")
SPREAD = 1.959964  # of a normal distribution, for 95 %


@dataclass(frozen=True)
class Line:
    """A model and what it is worth: `train.metrics.metrics`, with the mean accuracy of both labels as `balanced`."""

    name: str
    quality: dict[str, float]


@dataclass(frozen=True)
class Story:
    """What adapting was worth: a line for each model, and the same in sentences."""

    lines: Sequence[Line]
    sentences: Sequence[str]


@dataclass(frozen=True)
class Change:
    """By how much one model's mean log loss is below another's on the same texts, with a 95 % interval."""

    mean: float
    low: float
    high: float

    @staticmethod
    def of(before: Doubles, after: Doubles) -> Change:
        """From the losses of both on N texts, float64[N] each; normal approximation, paired."""
        falls = before - after
        spread = SPREAD * float(falls.std(ddof=1)) / np.sqrt(len(falls)) if len(falls) > 1 else np.inf
        mean = float(falls.mean())
        return Change(mean, mean - spread, mean + spread)

    def __str__(self) -> str:
        return f"{self.mean:.3f} (95% interval {self.low:.3f} to {self.high:.3f})"


def linear_model(texts: Sequence[str], labels: npt.NDArray[np.int8]) -> Any:
    """A linear model fitted to N texts: words and pairs of words, weighted by TF-IDF, in a logistic regression.

    How much it is regularised is chosen by cross-validation among `COSTS`, if either label occurs more than once.

    Args:
        labels: int8[N], 0 or 1.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    counter = TfidfVectorizer(
        tokenizer=words, token_pattern=None, lowercase=False, ngram_range=(1, 2), sublinear_tf=True
    )
    model: Any = make_pipeline(counter, LogisticRegression(max_iter=1_000))
    finer = min(FINER, int(np.bincount(labels).min()))
    if finer > 1:
        model = GridSearchCV(model, {"logisticregression__C": COSTS}, scoring="neg_log_loss", cv=finer)
    return model.fit(texts, labels)


def linear_logits(examples: Examples, adapted: Adapted) -> Doubles:
    """The log odds that a linear model gives to the held-out texts, fitted to the same labels each time: float64[N]."""
    out = np.full(len(examples), np.nan)
    for network in range(adapted.folds.networks):
        mine = adapted.folds.held_out(network)
        others = examples.subset(~mine)
        out[mine] = linear_model(others.texts, others.labels).decision_function(examples.subset(mine).texts)
    return out[adapted.folds.measured]


def quality(logits: Doubles, labels: npt.NDArray[np.int8]) -> dict[str, float]:
    """What `train.metrics.metrics` says, and `balanced`, the mean accuracy of both labels."""
    right = (logits >= 0) == (labels == 1)
    return {**metrics(logits, labels, 1.0), "balanced": float(np.mean([right[labels == y].mean() for y in (0, 1)]))}


def lines_of(examples: Examples, adapted: Adapted, linear: Doubles) -> list[Line]:
    """A line for each model: as it was, adapted, linear; and those of the learning curve, all for the same texts."""
    labels = examples.labels[adapted.folds.measured]
    lines = [
        Line("as it was", quality(adapted.before, labels)),
        Line("adapted", quality(adapted.after, labels)),
        Line("linear model", quality(linear, labels)),
    ]
    for part, logits in adapted.curve.items():
        there = ~np.isnan(logits)
        lines.append(Line(f"to {part:.0%}", quality(logits[there], labels[there])))
        if part == max(adapted.curve):
            lines.append(Line("to all", quality(adapted.after[there], labels[there])))
    return lines


def table(lines: Sequence[Line]) -> list[str]:
    """Lines of text, at most 80 columns wide."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for line in lines:
        interval = f"{line.quality['accuracy_low']:.3f} to {line.quality['accuracy_high']:.3f}"
        first, *rest = (format(line.quality[name], form) for name, form in MEASURES)
        rows.append((line.name, first, interval, *rest))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    text = []
    for row in rows:
        first, *cells = (cell.ljust(width) if i in (0, 2) else cell.rjust(width)
                         for i, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        text.append("  ".join([first, *cells]).rstrip())
    return text


def verdict(examples: Examples, adapted: Adapted, linear: Doubles) -> list[str]:
    """In words: whether adapting helps, whether a linear model does better, and whether more labels would help."""
    labels = examples.labels[adapted.folds.measured]
    before, after, other = (log_losses(logits, labels) for logits in (adapted.before, adapted.after, linear))
    gain, lead = Change.of(before, after), Change.of(other, after)
    said = []
    if gain.low > 0:
        said.append(f"Adapting helps: the log loss falls by {gain}.")
    elif gain.high < 0:
        said.append(f"Adapting does not help: the log loss changes by {gain}, downward if positive. "
                    "Keep the model as it was.")  # fmt: skip
    else:
        said.append(f"These labels do not show that adapting helps: the log loss falls by {gain}. "
                    "Keep the model as it was, or add labels.")  # fmt: skip
    if lead.high < 0:
        said.append(f"A linear model does better on these labels: its log loss is lower by "
                    f"{-lead.mean:.3f} ({-lead.high:.3f} to {-lead.low:.3f}).")  # fmt: skip
    if adapted.curve:
        part = max(adapted.curve)
        there = ~np.isnan(adapted.curve[part])
        more = Change.of(log_losses(adapted.curve[part][there], labels[there]), after[there])
        help_ = "would probably help" if more.low > 0 else "may not help" if more.mean <= 0 else "may help"
        said.append(f"More labels {help_}: from {part:.0%} of these to all, the log loss falls by {more}.")
    return said
