"""What counts say against chance: against exact tails, published formulas and simulated groups."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.analysis.evidence import (
    accepted,
    change_of_the_rest,
    error_of_change,
    signed_root,
    spreads,
    two_sided,
)


def root(x: int, n: int, x0: int, n0: int, change: float = 0.0) -> float:
    counts = (np.array([count], np.int64) for count in (x, n, x0, n0))
    return float(signed_root(*counts, np.array([change]))[0])


def hypergeometric_mid_p(x: int, n: int, x0: int, n0: int) -> float:
    """The upper tail of Fisher's exact test, half of the observed table included."""
    total = math.comb(n + n0, x + x0)
    terms = [math.comb(n, k) * math.comb(n0, x + x0 - k) / total for k in range(x, min(n, x + x0) + 1)]
    return sum(terms) - terms[0] / 2


@pytest.mark.parametrize(
    "table", [(15, 100, 5, 100), (9, 40, 3, 60), (30, 60, 100, 400), (12, 300, 4, 900), (97, 100, 180, 220)]
)
def test_signed_root_is_near_the_exact_tail_also_for_small_counts(table: tuple[int, int, int, int]) -> None:
    exact = hypergeometric_mid_p(*table)
    tail = math.erfc(root(*table) / math.sqrt(2)) / 2
    assert exact / 2 < tail < exact * 2  # where a difference divided by its error is off by up to eleven times


def test_signed_root_of_empty_and_full_counts_is_finite() -> None:
    for table in ((0, 10, 10, 10), (10, 10, 0, 10), (0, 10, 0, 10), (10, 10, 10, 10)):
        assert math.isfinite(root(*table))
    assert 0 == pytest.approx(root(0, 10, 0, 10))


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_signed_root_changes_its_sign_with_the_label(n: int, n0: int, data: st.DataObject) -> None:
    x, x0 = data.draw(st.integers(0, n)), data.draw(st.integers(0, n0))
    assert root(x, n, x0, n0, 0.3) == pytest.approx(-root(n - x, n, n0 - x0, n0, -0.3), abs=1e-5)


def test_signed_root_is_zero_where_the_change_is_as_expected() -> None:
    # Odds of 1 before and of 4 now: their log odds differ by log 4.
    assert 0 == pytest.approx(root(80, 100, 50, 100, math.log(4)), abs=1e-6)
    assert root(80, 100, 50, 100, math.log(3)) > 0 > root(80, 100, 50, 100, math.log(5))


def test_change_of_the_rest_is_that_of_mantel_and_haenszel_without_the_group_itself() -> None:
    x, n = np.array([90, 30, 11]), np.array([100, 100, 20])
    x0, n0 = np.array([10, 40, 30]), np.array([100, 120, 60])
    change, variance = change_of_the_rest(x, n, x0, n0)
    tables = [(int(a), int(b - a), int(c), int(d - c)) for a, b, c, d in zip(x, n, x0, n0, strict=True)]
    for g in range(3):
        others = [table for at, table in enumerate(tables) if at != g]
        r = [a * d / (a + b + c + d) for a, b, c, d in others]
        s = [b * c / (a + b + c + d) for a, b, c, d in others]
        p = [(a + d) / (a + b + c + d) for a, b, c, d in others]
        rbg = sum(pi * ri for pi, ri in zip(p, r, strict=True)) / (2 * sum(r) ** 2)
        rbg += sum(pi * si + (1 - pi) * ri for pi, ri, si in zip(p, r, s, strict=True)) / (2 * sum(r) * sum(s))
        rbg += sum((1 - pi) * si for pi, si in zip(p, s, strict=True)) / (2 * sum(s) ** 2)
        assert math.log(sum(r) / sum(s)) == pytest.approx(change[g])
        assert rbg == pytest.approx(variance[g])


def test_change_of_the_rest_is_unknown_for_a_group_without_others() -> None:
    change, variance = change_of_the_rest(*(np.array([count]) for count in (3, 9, 4, 7)))
    assert (0, math.inf) == (change[0], variance[0])


def test_group_that_only_grew_changes_nothing_for_the_others() -> None:
    # The second group, mostly negative, has twenty times as many reviews now: all thrown together, the share fell.
    x, n, x0, n0 = (np.array(counts) for counts in ([80, 200], [100, 2_000], [80, 10], [100, 100]))
    change, _ = change_of_the_rest(x, n, x0, n0)
    assert 0 == pytest.approx(change[0], abs=1e-9)


def test_error_of_change_has_half_a_review_more_in_each_count() -> None:
    (variance,) = error_of_change(*(np.array([count]) for count in (3, 10, 0, 5)))
    assert 1 / 3.5 + 1 / 7.5 + 1 / 0.5 + 1 / 5.5 == pytest.approx(variance)


def test_spread_is_none_for_chance_and_not_blown_up_by_a_few_movers() -> None:
    rng = np.random.default_rng(1)
    variance = rng.uniform(0.01, 0.1, (200, 2))
    z = rng.normal(0, 1, (200, 2))
    assert [0, 0] == spreads(z, variance).tolist()
    z[:6] = 8
    assert [0, 0] == spreads(z, variance).tolist()


def test_spread_is_what_groups_change_by_beyond_chance() -> None:
    rng = np.random.default_rng(2)
    variance = np.full((400, 1), 0.01)
    z = rng.normal(0, np.sqrt(0.01 + 0.04), (400, 1)) / 0.1
    z[:8] = 30
    assert 0.04 == pytest.approx(spreads(z, variance)[0], rel=0.25)


def test_spread_of_too_few_groups_is_none() -> None:
    assert [0] == spreads(np.full((5, 1), 10.0), np.full((5, 1), 0.01)).tolist()
    assert [0] == spreads(np.full((0, 1), 10.0), np.full((0, 1), 0.01)).tolist()


def test_two_sided_p_values_are_those_of_tables() -> None:
    assert [1, 0.05, 0.05, 0.0027] == pytest.approx(two_sided(np.array([0, 1.959964, -1.959964, 3])).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([], []),
        ([0.04, 0.03, 0.05, 0.02], [True, True, True, True]),  # the largest is small enough for all
        ([0.04, 0.9, 0.9, 0.9], [False, False, False, False]),
        # Benjamini and Hochberg 1995, section 3.2: the first four of fifteen hypotheses.
        (
            [
                *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719),
                *(0.6528, 0.7590, 1.0),
            ],
            [True] * 4 + [False] * 11,
        ),
    ],
)
def test_accepted_are_those_of_benjamini_and_hochberg(p: list[float], expected: list[bool]) -> None:
    assert expected == accepted(np.array(p, np.float64), 0.05).tolist()
