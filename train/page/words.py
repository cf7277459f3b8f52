"""Held-out reviews and the model just trained -> what each word of them adds, and the words that decide.

The engine is that of a job, and so are the figures: `logit = bias + sum of contributions`, exactly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.analysis.statistics import Z
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.protocol import Doubles, Engine
from train.evaluate.scoring import scored
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
    logits, parts = np.zeros(len(windows)), dict[int, tuple[Doubles, Doubles]]()
    for batch in scored(engine, windows.ids):
        for column, window in enumerate(batch.rows.tolist()):
            # The words come last, after the start mark and, without a mask, padding.
            n, share = int(windows.n_words[window]), windows.share[window]
            words = slice(len(batch.scores.attention) - n, None)
            logits[window] = batch.scores.logit[column]
            parts[window] = (
                batch.scores.attention[words, column] * share,
                batch.scores.contribution[words, column] * share,
            )
    pooled, of_review = windows.pool(logits), defaultdict[int, list[int]](list)
    for window, review in enumerate(windows.review.tolist()):
        of_review[review].append(window)
    explained = []
    for review, row in enumerate(rows.tolist()):
        attention, contribution = (np.concatenate([parts[window][at] for window in of_review[review]]) for at in (0, 1))
        ids = np.concatenate([windows.ids[w][len(windows.ids[w]) - windows.n_words[w] :] for w in of_review[review]])
        tokens = _tokens(artifact, data, row, ids)
        explained.append(Explained(row, tokens, attention, contribution, float(pooled[review])))
    return explained


def _tokens(artifact: Artifact, data: Prepared, row: int, ids: npt.NDArray[np.int32]) -> Sequence[str]:
    """The words that are read of a review; where its text is not known, they are those of its ids."""
    if not data.texts:
        return [artifact.vocabulary[i] for i in ids.tolist()]
    tokens = artifact.tokenizer.words(data.texts["validation"][row])
    return tokens[len(tokens) - len(ids) :]


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
