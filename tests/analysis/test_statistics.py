"""Intervals of shares and McNemar's test, against published examples and exact sums."""

from __future__ import annotations

import math

import pytest

from batch_scorer.analysis.statistics import difference, mcnemar, proportion
from train.metrics import wilson_interval


def bounds(count: int, reviews: int) -> tuple[float, float]:
    share = proportion(count, reviews)
    return share.low, share.high


def test_interval_of_a_share_matches_the_literature() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    assert (0.2553, 0.3662) == pytest.approx(bounds(81, 263), abs=5e-5)
    assert (0.0, 0.1611) == pytest.approx(bounds(0, 20), abs=5e-5)


@pytest.mark.parametrize(("count", "reviews"), [(0, 10), (9, 10), (10, 10), (4609, 5000)])
def test_interval_of_a_share_matches_that_of_training(count: int, reviews: int) -> None:
    assert pytest.approx(wilson_interval(count, reviews), abs=1e-12) == bounds(count, reviews)


def test_interval_of_a_difference_matches_the_literature() -> None:
    assert pytest.approx((0.0524, 0.3339), abs=5e-5) == difference(proportion(48, 80), proportion(56, 70))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 1), (3, 3), (2, 6), (12, 9), (1, 40), (140, 200)])
def test_mcnemar_is_the_exact_binomial_tail(only_a: int, only_b: int) -> None:
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1)) / 2**n
    assert pytest.approx(min(1, 2 * tail)) == mcnemar(only_a, only_b) == mcnemar(only_b, only_a)


def test_mcnemar_of_millions_is_near_the_normal_tail() -> None:
    a, b = 1_000_000, 1_003_000
    assert pytest.approx(math.erfc((b - a - 1) / math.sqrt(2 * (a + b))), rel=1e-3) == mcnemar(a, b)
