"""Counts of two kinds of reviews, now and before -> how much they speak against chance, for many groups at once.

Legend: G groups. All functions are pure, and take and give arrays of numpy.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Doubles: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]

_STEPS = 50  # of bisection, of an interval of 2 * _FARTHEST: the root is exact to about 1e-13
_FARTHEST = 60.0  # log odds; beyond, a share differs from 0 or 1 by less than a double shows
_CUT = 2.25  # of a squared z in the spread: 1.5 standard deviations, as usual for Huber's scale
_CUT_MEAN, _CUT_SD = 0.7783, 0.7935  # of min(z ** 2, _CUT), z being normal
_UNUSUAL = 9.0  # of a squared z: 3 standard deviations
_ROUNDS = 6
_FEWEST_SPREAD = 20.0  # groups, in effect, from which a spread can be told
_SPREAD_BEYOND = 3.0  # standard deviations: a smaller excess may be chance


def signed_root(positive: Counts, reviews: Counts, before: Counts, reviews_before: Counts, change: Doubles) -> Doubles:
    """How far each share is from what it was before, as a number of standard deviations of a normal distribution.

    It is the signed root of the likelihood ratio (Wilks 1938) of two binomial shares whose log odds are free, against
    two whose log odds differ by `change`. Unlike a difference divided by its error, it stays near the exact tail where
    a share is close to 0 or 1, or a count is small.

    ``signed_root(*np.array([[15], [300], [5], [300]]), np.zeros(1))`` -> ``array([2.31])``

    Args:
        positive, reviews, before, reviews_before: int64[G], `reviews` and `reviews_before` being at least 1.
        change: float64[G], what the log odds are expected to change by.

    Returns:
        float64[G], above 0 where the share rose by more than `change`.
    """
    x, n, x0, n0 = (counts.astype(np.float64) for counts in (positive, reviews, before, reviews_before))
    low, high = np.full(len(x), -_FARTHEST), np.full(len(x), _FARTHEST)
    for _ in range(_STEPS):  # the likeliest log odds before, if the change is as expected
        middle = (low + high) / 2
        is_high = n0 * _share(middle) + n * _share(middle + change) > x + x0
        low, high = np.where(is_high, low, middle), np.where(is_high, middle, high)
    expected, expected0 = _share((low + high) / 2 + change), _share((low + high) / 2)
    deviance = _terms(x, n, expected) + _terms(x0, n0, expected0)
    root: Doubles = np.copysign(np.sqrt(np.maximum(2 * deviance, 0)), x - n * expected)
    return root


def _share(log_odds: Doubles) -> Doubles:
    share: Doubles = 1 / (1 + np.exp(-log_odds))
    return share


def _terms(count: Doubles, of: Doubles, share: Doubles) -> Doubles:
    def term(some: Doubles, expected: Doubles) -> Doubles:
        return some * np.log(np.divide(some, expected, out=np.ones_like(some), where=(some > 0) & (expected > 0)))

    terms: Doubles = term(count, of * share) + term(of - count, of * (1 - share))
    return terms


def change_of_the_rest(
    positive: Counts,
    reviews: Counts,
    before: Counts,
    reviews_before: Counts,
    usual: npt.NDArray[np.bool_] | None = None,
) -> tuple[Doubles, Doubles]:
    """The usual change of the log odds within all other groups, and its variance, for each group.

    Groups are weighed as by Mantel and Haenszel (1959), with the variance of Robins, Breslow and Greenland (1986). So a
    group that merely got more reviews changes nothing for the others, as it would if all others were thrown together.

    Args:
        positive, reviews, before, reviews_before: int64[G].
        usual: bool[G], which groups count as others; None: all.

    Returns:
        Two float64[G]; where the others say nothing, 0 and infinity.
    """
    a, b = positive.astype(np.float64), (reviews - positive).astype(np.float64)
    c, d = before.astype(np.float64), (reviews_before - before).astype(np.float64)
    total = np.maximum(a + b + c + d, 1)
    r, s, p = a * d / total, b * c / total, (a + d) / total
    others_r, others_s, pr, mixed, qs = (
        terms.sum() - terms
        for terms in (
            terms if usual is None else np.where(usual, terms, 0.0)
            for terms in (r, s, p * r, p * s + (1 - p) * r, (1 - p) * s)
        )
    )
    known = (others_r > 1e-9) & (others_s > 1e-9)  # what is left of a sum, its only term taken away, is rounding
    r1, s1 = np.where(known, others_r, 1.0), np.where(known, others_s, 1.0)
    variance = pr / (2 * r1**2) + mixed / (2 * r1 * s1) + qs / (2 * s1**2)
    return np.where(known, np.log(r1 / s1), 0.0), np.where(known, variance, math.inf)


def error_of_change(positive: Counts, reviews: Counts, before: Counts, reviews_before: Counts) -> Doubles:
    """The variance of each group's change of log odds, with half a review added to each count (Haldane 1956)."""
    cells = (positive, reviews - positive, before, reviews_before - before)
    variance: Doubles = np.sum([1 / (cell + 0.5) for cell in cells], axis=0)
    return variance


def spreads(z: Doubles, variance: Doubles) -> Doubles:
    """The variance, beyond chance, of the changes of groups that did not really move; 0 where chance may explain it.

    Groups always change a little: customers differ from month to month. Without this, a group of a million reviews
    would move all the time. Huber's estimate of scale (1964) is hardly impressed by a few groups that did move, and
    those that can be told by the spread found before are left out, round by round.

    Args:
        z: float64[G, W], changes over W windows in standard deviations; NaN where a group was not tested.
        variance: float64[G, W], the squares of these standard deviations.

    Returns:
        float64[W].
    """
    tested, square = ~np.isnan(z), np.nan_to_num(z) ** 2
    between, is_usual = np.zeros(z.shape[1]), np.any(tested, axis=1)
    for _ in range(_ROUNDS):
        chosen = tested & np.reshape(is_usual, (-1, 1))
        between = np.array([_spread(square[use, w], variance[use, w]) for w, use in enumerate(chosen.T)], np.float64)
        is_usual = np.all(np.where(tested, square * variance / (variance + between), 0) < _UNUSUAL, axis=1)
    return between


def _spread(square: Doubles, variance: Doubles) -> float:
    weight = 1 / np.sqrt(variance)
    effective = weight.sum() ** 2 / max(float((weight**2).sum()), 1e-300)

    def excess(between: float) -> float:
        terms = weight * np.minimum(square * variance / (variance + between), _CUT)
        return float(terms.sum() / weight.sum()) - _CUT_MEAN

    if effective < _FEWEST_SPREAD or excess(0.0) < _SPREAD_BEYOND * _CUT_SD / math.sqrt(effective):
        return 0.0
    low, high = 0.0, 100.0 * float(variance.max())
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high


def two_sided(z: Doubles) -> Doubles:
    """The two-sided p-values of standard normal deviates."""
    return np.array([math.erfc(abs(one) / math.sqrt(2)) for one in z.tolist()], np.float64)


def accepted(p: Doubles, rate: float) -> npt.NDArray[np.bool_]:
    """Which of these p-values count, if at most `rate` of those that do may be false (Benjamini and Hochberg 1995).

    Example:
        >>> accepted(np.array([0.001, 0.5, 0.03, 0.2]), 0.05).tolist()
        [True, False, False, False]
    """
    order = np.argsort(p, kind="stable")
    below = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))
    result = np.zeros(len(p), np.bool_)
    if len(below):
        result[order[: below[-1] + 1]] = True
    return result
