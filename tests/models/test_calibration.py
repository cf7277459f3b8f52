"""Calibration by review, and the curve from confidence to accuracy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.calibration import CONFIDENCE_EDGES, Calibration, ConfidenceCurve

GRID = Calibration((1, 10, 50), (0.0, 0.25), ((3.0, 4.0), (2.0, 2.5), (1.0, 1.3)))


@given(st.lists(st.tuples(st.integers(0, 1_000), st.floats(0, 1, width=32)), max_size=20))
def test_temperature_is_that_of_the_bin_rounded_to_float32(reviews: list[tuple[int, float]]) -> None:
    expected = []
    for n_used, share in reviews:
        row = 0 if n_used < 10 else 1 if n_used < 50 else 2
        expected.append(float(np.float32(GRID.grid[row][share >= 0.25])))
    n_used_all, shares = [n for n, _ in reviews], [share for _, share in reviews]
    found = GRID.temperature(np.array(n_used_all), np.array(shares))
    assert expected == found.tolist()
    assert np.float64 == found.dtype


def test_share_is_compared_as_the_row_holds_it() -> None:
    calibration = Calibration((1,), (0.0, 0.7), ((1.0, 2.0),))
    in_row = np.float32(0.7)  # slightly below 0.7
    assert float(in_row) < 0.7
    assert [1.0] == calibration.temperature([5], [0.7]).tolist() == calibration.temperature([5], [in_row]).tolist()


def test_median_is_over_reviews_not_over_the_grid() -> None:
    assert 3.0 == GRID.median([1, 2, 3, 400], [0.0, 0.1, 0.9, 0.0])
    assert np.float32(1.3) == GRID.median([400, 400, 1], [0.5, 0.5, 0.0])


def test_calibration_comes_back_from_json_as_it_was() -> None:
    assert GRID == Calibration.from_json(GRID.to_json())


@pytest.mark.parametrize(
    ("words", "oov_rate", "grid", "what"),
    [
        ((), (0.0,), (), "words"),
        ((10, 10), (0.0,), ((1.0,), (1.0,)), "words"),
        ((1,), (0.5, 0.2), ((1.0, 1.0),), "oov_rate"),
        ((1, 2), (0.0,), ((1.0,),), "temperature"),
        ((1,), (0.0, 0.5), ((1.0,),), "temperature"),
        ((1,), (0.0,), ((0.0,),), "temperature"),
        ((1,), (0.0,), ((-1.0,),), "temperature"),
        ((1,), (0.0,), ((math.nan,),), "temperature"),
        ((1,), (0.0,), ((math.inf,),), "temperature"),
    ],
)
def test_grid_that_gives_no_temperature_is_refused(words: Any, oov_rate: Any, grid: Any, what: str) -> None:
    with pytest.raises(ValueError, match=f"^{what}: expected"):
        Calibration(words, oov_rate, grid)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=30), st.sampled_from([0.5, 0.3, 0.9]))
def test_curve_counts_each_review_in_the_bin_of_its_labels_probability(
    reviews: list[tuple[float, bool]], threshold: float
) -> None:
    expected = [[0, 0] for _ in CONFIDENCE_EDGES]
    for p, label in reviews:
        confidence = p if p >= threshold else 1 - p
        at = max(sum(confidence >= edge for edge in CONFIDENCE_EDGES) - 1, 0)
        expected[at][0] += 1
        expected[at][1] += (p >= threshold) == label
    curve = ConfidenceCurve.measure([p for p, _ in reviews], [int(label) for _, label in reviews], threshold)
    assert expected == [list(pair) for pair in zip(curve.reviews, curve.correct, strict=True)]
    assert curve == ConfidenceCurve.from_json(curve.to_json())


def test_accuracy_of_a_curve_is_unknown_where_there_are_no_reviews() -> None:
    accuracy = ConfidenceCurve((0.5, 0.7, 0.9), (4, 0, 2), (3, 0, 2)).accuracy
    assert (0.75, 1.0) == (accuracy[0], accuracy[2]) and math.isnan(accuracy[1])


@pytest.mark.parametrize(
    ("confidence", "reviews", "correct"),
    [((), (), ()), ((0.7, 0.5), (1, 1), (1, 1)), ((0.5,), (1, 2), (1, 1)), ((0.5,), (1,), (2,)), ((0.5,), (1,), (-1,))],
)
def test_curve_that_does_not_add_up_is_refused(confidence: Any, reviews: Any, correct: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        ConfidenceCurve(confidence, reviews, correct)
