"""Listed words -> how well they alone tell the reviews of a run from earlier ones, and which words give it away.

Naive Bayes on the presence of words in `top_contributing`, fitted to one half of the reviews and measured on the other.
Where both sets are of one kind, nothing tells them apart, and its area under the ROC curve (AUC) is 0.5.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from batch_scorer.check.result import Value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REVIEWS = 10_000  # of each side at most, chosen by a hash of their ids
FEWEST = 40  # of each side, to say anything
SHOWN = 5
_LEAST_TIMES = 5  # a word that fewer reviews list is left out
_Z = 3.290527  # one false alarm in a thousand


def words(db: DuckDBPyConnection) -> Value | None:
    """The measure `words`; None where a side lists no words or has too few reviews."""
    sides = [_listed(db, side) for side in ("new", "old")]
    if min(len(side) for side in sides) < FEWEST:
        return None
    lists = [*sides[0], *sides[1]]
    is_new = np.arange(len(lists)) < len(sides[0])
    lengths = np.array([len(tokens) for tokens in lists])
    names, token = np.unique(np.array([t for tokens in lists for t in tokens], np.str_), return_inverse=True)
    review = np.repeat(np.arange(len(lists)), lengths)
    frequent = np.bincount(token, minlength=len(names)) >= _LEAST_TIMES
    keep = frequent[token]
    token, review = token[keep], review[keep]
    half = np.arange(len(lists)) % 2 == 0  # both sides are in random order
    areas = []
    for fitted in (half, ~half):
        weights = _weights(token, review, is_new, fitted, len(names))
        scores = np.bincount(review, weights[token], len(lists))
        areas.append(_auc(scores[~fitted], is_new[~fitted]))
    area = float(np.mean(areas))
    n, m = len(sides[0]), len(sides[1])
    chance = _Z * math.sqrt((n + m + 1) / (12 * n * m))  # of the rank-sum statistic (Mann and Whitney 1947)
    told = ", ".join(_telling(token, review, is_new, names))
    sentence = f"listed words tell the reviews from earlier ones with an AUC of {area:.2f}"
    return Value("words", area, area - 0.5 <= chance, f"{sentence}; most of all {told}" if told else sentence)


def _listed(db: DuckDBPyConnection, side: str) -> list[list[str]]:
    """The different words that each of some reviews lists, in an order that has nothing to do with their contents."""
    rows = db.execute(f"""
        select list_distinct(list_transform(top_contributing, lambda w: w.token))
        from (select top_contributing, record_id, run_id from {side}_predictions)  -- a kept column may be called `w`
        where len(top_contributing) > 0
        order by hash(record_id || run_id), record_id limit {REVIEWS}
    """).fetchall()
    return [row[0] for row in rows]


def _weights(
    token: npt.NDArray[np.int64],
    review: npt.NDArray[np.int64],
    is_new: npt.NDArray[np.bool_],
    fitted: npt.NDArray[np.bool_],
    count: int,
) -> npt.NDArray[np.float64]:
    """What each word adds to the log odds that a review is new, by the reviews `fitted`: float64[count]."""
    shares = []
    for side in (True, False):
        rows = fitted & (is_new == side)
        listed = np.bincount(token[rows[review]], minlength=count)
        shares.append((listed + 0.5) / (rows.sum() + 1))
    weights: npt.NDArray[np.float64] = np.log(shares[0] / shares[1])
    return weights


def _auc(scores: npt.NDArray[np.float64], is_new: npt.NDArray[np.bool_]) -> float:
    """The share of pairs of a new and an earlier review of which the new one has the higher score; ties count half."""
    _, rank, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1
    new, old = int(is_new.sum()), int((~is_new).sum())
    return float((middle[rank[is_new]].sum() - new * (new + 1) / 2) / (new * old))


def _telling(
    token: npt.NDArray[np.int64],
    review: npt.NDArray[np.int64],
    is_new: npt.NDArray[np.bool_],
    names: npt.NDArray[np.str_],
) -> list[str]:
    """The words whose shares of the two sides differ most for how often they occur, each with both shares."""
    new, old = (np.bincount(token[is_new[review] == side], minlength=len(names)) for side in (True, False))
    n, m = int(is_new.sum()), int((~is_new).sum())
    pooled = (new + old) / (n + m)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / n + 1 / m), 1e-12))
    z = np.abs(new / n - old / m) / spread
    best = [int(i) for i in np.argsort(-z, kind="stable")[:SHOWN] if z[i] > _Z]
    return [f"{names[i]} ({new[i] / n:.0%} of the reviews, {old[i] / m:.0%} before)" for i in best]
