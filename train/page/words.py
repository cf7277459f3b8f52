"""Held-out reviews and the model just trained -> what each word of them adds, and the words that decide.

The engine is that of a job, and so are the figures: `logit = bias + sum of contributions`, exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.analysis.statistics import Z
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.protocol import Doubles, Engine
from train.evaluate.scoring import explained
from train.prepare import Prepared

TOP = 20  # words in each direction


@dataclass(frozen=True)
class Explained:
    """One held-out review as the model reads it, of n words.

    Args:
        row: its place among the held-out reviews.
        tokens: the words that are read, the last ones of a long review.
        attention, contribution: float64[n] each.
        logit: before calibration.
    """

    row: int
    tokens: Sequence[str]
    attention: Doubles
    contribution: Doubles
    logit: float


@dataclass(frozen=True)
class WordEffect:
    """What a word adds to the logit of a review, over all that were looked at.

    Args:
        per_review: the mean over all reviews, of which most do not have the word and count as 0.
        margin: half the width of its 95 % interval, the reviews being a sample.
        reviews: how many of them have the word.
    """

    token: str
    per_review: float
    margin: float
    reviews: int


def explain(artifact: Artifact, engine: Engine, data: Prepared, rows: npt.NDArray[np.intp]) -> list[Explained]:
    """Scores some of the held-out reviews and splits their logits by word.

    Args:
        rows: which of them, ascending.

    Raises:
        EngineError: the model fails on a review.
    """
    chosen = np.zeros(len(data.validation), np.bool_)
    chosen[rows] = True
    windows = data.validation.subset(chosen).windows
    logits, words = explained(engine, windows)
    found = []
    for review, (row, (contribution, attention)) in enumerate(zip(rows.tolist(), words, strict=True)):
        tokens = _tokens(artifact, data, row, windows.ids[review])
        read = tokens[len(tokens) - len(contribution) :]
        found.append(Explained(row, read, attention, contribution, float(logits[review])))
    return found


def _tokens(artifact: Artifact, data: Prepared, row: int, ids: npt.NDArray[np.int32]) -> Sequence[str]:
    """The words of a review; where its text is not known, those of its ids, which are all in one window then."""
    if not data.texts:
        return [artifact.vocabulary[i] for i in ids.tolist()]
    return artifact.tokenizer.words(data.texts["validation"][row])


def effects(reviews: Sequence[Explained]) -> tuple[list[WordEffect], list[WordEffect]]:
    """The words that add most and those that subtract most, over N reviews.

    A word whose effect is within its margin is left out: it may be nothing but chance. The margin is that of a mean,
    1.96 standard errors.
    """
    sums, squares, counts = Counter[str](), Counter[str](), Counter[str]()
    for review in reviews:
        adds = Counter[str]()
        for token, contribution in zip(review.tokens, review.contribution.tolist(), strict=True):
            adds[token] += contribution
        for token, total in adds.items():
            sums[token] += total
            squares[token] += total * total
            counts[token] += 1
    n = max(len(reviews), 1)
    found = []
    for token, total in sums.items():
        mean = total / n
        margin = Z * float(np.sqrt(max(squares[token] / n - mean * mean, 0) / n))
        if abs(mean) > margin and counts[token] > 1:
            found.append(WordEffect(token, mean, margin, counts[token]))
    found.sort(key=lambda word: (-abs(word.per_review), word.token))
    positive, negative = ([word for word in found if word.per_review * sign > 0][:TOP] for sign in (1, -1))
    return positive, negative
