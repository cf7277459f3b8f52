"""Groups that moved: planted ones are found, and chance, a shift of everything and mere growth are not."""

from __future__ import annotations

import numpy as np
import pytest

from batch_scorer.analysis.evidence import Counts
from batch_scorer.analysis.movers import FEWEST, combined, find_moves, since, windows

GROUPS, PERIODS = 120, 24


def corpus(seed: int, size: int = 1_500, share: float = 0.6) -> tuple[Counts, np.ndarray]:
    """Reviews, and the share of positive ones, of each group and period."""
    rng = np.random.default_rng(seed)
    reviews = rng.poisson(size / PERIODS, (GROUPS, PERIODS))
    return reviews, np.repeat(rng.normal(share, 0.05, (GROUPS, 1)), PERIODS, axis=1)


def moved(reviews: Counts, shares: np.ndarray, seed: int = 0) -> list[int]:
    positive = np.random.default_rng(seed).binomial(reviews, shares)
    return np.flatnonzero(find_moves(reviews, positive).moved).tolist()


def test_windows_are_halves_of_halves() -> None:
    assert ((12, 6, 3, 1), (1,), (1,), ()) == (windows(24), windows(3), windows(2), windows(1))


@pytest.mark.parametrize(("last", "points"), [(12, -0.15), (6, -0.18), (3, 0.2), (1, -0.35)])
def test_planted_moves_are_found_whenever_they_began(last: int, points: float) -> None:
    reviews, shares = corpus(last)
    shares[[3, 40, 77], -last:] += points
    assert [3, 40, 77] == moved(reviews, shares)


def test_chance_moves_no_group() -> None:
    named = sum(bool(moved(*corpus(seed), seed=seed)) for seed in range(40))
    assert named <= 2


def test_shift_of_everything_is_no_move_of_any_group() -> None:
    reviews, shares = corpus(5)
    shares[:, -6:] -= 0.15
    assert [] == moved(reviews, shares)
    shares[9, -6:] -= 0.2
    assert [9] == moved(reviews, shares)


def test_group_that_stayed_where_it_was_while_others_fell_is_not_named() -> None:
    reviews, shares = corpus(6)
    shares[1:, -6:] -= 0.25
    assert [] == moved(reviews, shares)


def test_group_of_another_share_that_grows_moves_no_other() -> None:
    reviews, shares = corpus(7)
    shares[0] = 0.1
    reviews[0, -6:] *= 200
    assert [] == moved(reviews, shares)


def test_groups_that_always_change_a_little_are_not_named_however_large_they_are() -> None:
    reviews, shares = corpus(8, size=200_000)
    shares += np.random.default_rng(1).normal(0, 0.02, shares.shape)  # ten standard deviations of a month
    assert [] == moved(reviews, shares)
    shares[2, -6:] -= 0.2
    assert [2] == moved(reviews, shares)


def test_few_reviews_are_not_tested() -> None:
    reviews = np.array([[FEWEST - 1, 5_000], [5_000, FEWEST - 1], [FEWEST, FEWEST], [0, 0]])
    evidence = find_moves(reviews, reviews // 2)
    assert [False, False, True, False] == evidence.tested.tolist()
    assert [1, 1, 1] == evidence.p[[0, 1, 3]].tolist()


def test_moves_of_the_largest_groups_do_not_hide_each_other() -> None:
    reviews, shares = corpus(10)
    reviews[:4] *= 8
    shares[:4, -6:] -= 0.16
    assert [0, 1, 2, 3] == moved(reviews, shares)


def test_two_groups_are_told_apart_by_which_of_them_changed() -> None:
    reviews = np.full((2, 8), 500)
    positive = np.array([[400] * 4 + [300] * 4, [400] * 8])
    assert [True, False] == find_moves(reviews, positive).moved.tolist()


def test_single_group_is_compared_with_its_past() -> None:
    positive = np.array([[400] * 4 + [300] * 4])
    assert [True] == find_moves(np.full((1, 8), 500), positive).moved.tolist()


@pytest.mark.parametrize("periods", [0, 1])
def test_without_a_past_nothing_is_tested(periods: int) -> None:
    evidence = find_moves(np.full((3, periods), 500), np.full((3, periods), 100))
    assert ([False] * 3, [False] * 3) == (evidence.tested.tolist(), evidence.moved.tolist())


def test_rate_is_held_over_all_columns_together() -> None:
    reviews, shares = corpus(9)
    shares[0, -6:] -= 0.115
    one = find_moves(reviews, np.random.default_rng(0).binomial(reviews, shares))
    many = find_moves(*(np.tile(counts, (60, 1)) for counts in (reviews, reviews // 2)))
    alone, together = combined([one])[0], combined([one, many])[0]
    assert (True, False) == (bool(alone.moved[0]), bool(together.moved[0]))


def test_since_is_where_the_change_was_made() -> None:
    reviews = np.full(24, 300)
    positive = np.array([240] * 17 + [180] * 7)
    assert 17 == since(reviews, positive)
    assert 0 == since(reviews[:1], positive[:1])
