"""Checks on labelled texts: rewritten pairs, other domains, and long reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.errors import InputError
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.models.cells import sigmoid
from batch_scorer.models.network import probability
from batch_scorer.models.tokenizer import has_words
from train.evaluate.model import Model
from train.metrics import auc, bootstrapped, expected_calibration_error, log_loss, log_losses, wilson_interval

Labels = npt.NDArray[np.int8]

STARS = LabelRule.of("stars", ["4", "5"], ["1", "2"])
WORDS = LabelRule.of("label", ["1", "positive"], ["0", "negative"])


def share(right: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """How many are right: `count`, `right`, `share` and its 95 % interval (Wilson 1927)."""
    count, good = len(right), int(np.sum(right))
    low, high = wilson_interval(good, count) if count else (0.0, 1.0)
    return {"count": count, "right": good, "share": good / count if count else None, "low": low, "high": high}


def pairs(model: Model, table: pa.Table, prefix: str) -> dict[str, Any]:
    """Reviews and their rewritten counterparts of the opposite sentiment.

    Args:
        table: columns id, pair, revised, label (1 for positive) and text.
        prefix: only ids that begin with it count.

    Returns:
        `originals`, `rewritten` and `both` (pairs of which both are right), each as `share` gives it.
    """
    rows = [row for row in table.to_pylist() if row["id"].startswith(prefix)]
    right = model.positive([row["text"] for row in rows]) == np.array([row["label"] == 1 for row in rows])
    revised = np.array([row["revised"] for row in rows], np.bool_)
    by_pair: dict[str, list[bool]] = {}
    for row, good in zip(rows, right.tolist(), strict=True):
        by_pair.setdefault(row["pair"], []).append(good)
    both = np.array([all(members) for members in by_pair.values() if len(members) == 2], np.bool_)
    return {"originals": share(right[~revised]), "rewritten": share(right[revised]), "both": share(both)}


def two_sides(table: pa.Table) -> tuple[list[str], Labels]:
    """The texts that are plainly positive or negative, and their labels: int8[N].

    By `stars` (4 and 5 against 1 and 2) if there is such a column, else by `label`, 1 and 0 or `positive` and
    `negative`.
    """
    rule = STARS if STARS.column in table.column_names else WORDS
    sides = [rule.means(label) for label in table[rule.column].cast(pa.string()).to_pylist()]
    texts = table["text"].to_pylist()
    kept = [(text, side) for text, side in zip(texts, sides, strict=True) if side is not None and text]
    return [text for text, _ in kept], np.array([side for _, side in kept], np.int8)


def domain(model: Model, table: pa.Table, draws: int = 500, seed: int = 20) -> dict[str, Any]:
    """Accuracy of either class and their mean, AUC, ECE by confidence and log loss on texts of another domain.

    Mean accuracy and AUC have 95 % bootstrap intervals, drawn within each class.

    Raises:
        InputError: all have the same label.
    """
    texts, labels = two_sides(table)
    readable = np.array([has_words(text) for text in texts], np.bool_)
    texts, labels = [text for text, good in zip(texts, readable, strict=True) if good], labels[readable]
    if len(set(labels.tolist())) != 2:
        raise InputError(
            "all texts of a domain have the same label",
            expected="stars of 1, 2, 4 and 5, or labels positive and negative, or 1 and 0",
            got=f"{len(texts):,} texts on a side, {int(labels.sum()):,} of them positive",
            fix="check the columns stars and label",
        )
    z = model.calibrated(texts)
    p = probability(z, 1.0).astype(np.float64)
    right = (p >= model.artifact.threshold) == (labels == 1)
    recalls = [float(right[labels == side].mean()) for side in (0, 1)]
    rng, rows_of = np.random.default_rng(seed), [np.flatnonzero(labels == side) for side in (0, 1)]
    drawn = [np.concatenate([rng.choice(rows, len(rows)) for rows in rows_of]) for _ in range(draws)]
    accuracies = [np.mean([right[rows][labels[rows] == side].mean() for side in (0, 1)]) for rows in drawn]
    areas = [auc(z[rows], labels[rows]) for rows in drawn]
    return {
        "texts": len(texts),
        "positive": float(labels.mean()),
        "negative_right": recalls[0],
        "positive_right": recalls[1],
        "balanced_accuracy": sum(recalls) / 2,
        **_ends("balanced_accuracy", accuracies),
        "auc": auc(z, labels),
        **_ends("auc", areas),
        "ece": expected_calibration_error(p, labels),
        "log_loss": log_loss(z, labels),
    }


def _ends(name: str, drawn: Sequence[float]) -> dict[str, float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {f"{name}_low": float(low), f"{name}_high": float(high)}


def long_reviews(
    model: Model, texts: Sequence[str], labels: Labels, draws: int = 2_000, seed: int = 20
) -> dict[str, Any]:
    """Reviews that do not fit into one window, read whole and by their last window alone.

    Returns:
        `reviews`; `windows` and `last`: accuracy, log loss and ECE; `log_loss_gain`: what windows save, with the 95 %
        interval of a paired bootstrap.
    """
    tokenizer = model.artifact.tokenizer
    words = [tokenizer.words(text) for text in texts]
    ends = [tokenizer.last_words(tokens) for tokens in words]
    found = [len(end) < len(tokens) for end, tokens in zip(ends, words, strict=True)]
    longer, labels = [t for t, is_long in zip(texts, found, strict=True) if is_long], labels[np.array(found, np.bool_)]
    if not longer:
        return {"reviews": 0}
    last = [" ".join(end) for end, is_long in zip(ends, found, strict=True) if is_long]
    whole, end = model.calibrated(longer), model.calibrated(last)
    gain = log_losses(end, labels) - log_losses(whole, labels)
    return {
        "reviews": len(longer),
        "windows": _measures(whole, labels),
        "last": _measures(end, labels),
        "log_loss_gain": bootstrapped(gain, seed, draws),
    }


def _measures(z: npt.NDArray[np.float64], labels: Labels) -> dict[str, float]:
    p = sigmoid(z)
    right = (p >= 0.5) == (labels == 1)
    low, high = wilson_interval(int(right.sum()), len(right))
    return {
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        "log_loss": log_loss(z, labels),
        "ece": expected_calibration_error(p, labels),
    }
