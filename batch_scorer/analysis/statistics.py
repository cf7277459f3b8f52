"""Counts of reviews -> how far to trust them: intervals of shares and of their differences, and McNemar's test."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959964  # 95 % of a normal distribution lie within this many standard deviations


@dataclass(frozen=True)
class Proportion:
    """A share of reviews, `count` of `reviews`, with its 95 % interval (Wilson 1927)."""

    count: int
    reviews: int
    share: float
    low: float
    high: float


def proportion(count: int, reviews: int) -> Proportion:
    """The share with its interval; without reviews, which say nothing, the interval is 0 to 1."""
    if not reviews:
        return Proportion(count, reviews, 0.0, 0.0, 1.0)
    share, spread = count / reviews, Z * Z / reviews
    centre = (share + spread / 2) / (1 + spread)
    half = Z * math.sqrt(share * (1 - share) / reviews + spread / (4 * reviews)) / (1 + spread)
    return Proportion(count, reviews, share, max(centre - half, 0.0), min(centre + half, 1.0))


def difference(a: Proportion, b: Proportion) -> tuple[float, float]:
    """The 95 % interval of `b.share - a.share`, for two disjoint sets of reviews (Newcombe 1998, method 10)."""
    change = b.share - a.share
    below = math.hypot(b.share - b.low, a.high - a.share)
    above = math.hypot(b.high - b.share, a.share - a.low)
    return change - below, change + above


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of McNemar's test (McNemar 1947): twice the binomial tail, at most 1.

    If A and B are equally good, which of them is right where only one is, is the toss of a fair coin.

    Args:
        only_a, only_b: reviews that only A gets right, and that only B gets right.
    """
    tosses, fewer = only_a + only_b, min(only_a, only_b)
    # The tail is its largest term times this sum, whose terms fall from 1, so millions of reviews do not overflow.
    term, total = 1.0, 0.0
    for k in range(fewer, -1, -1):
        total += term
        term *= k / (tosses - k + 1)
        if term < total * 1e-17:
            break
    largest = math.lgamma(tosses + 1) - math.lgamma(fewer + 1) - math.lgamma(tosses - fewer + 1)
    return min(1.0, 2 * total * math.exp(largest - tosses * math.log(2)))
