"""Phrases against the same rule in plain Python, and the smoothing against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.scoring.phrases import phrases, smoothed
from tests.plain_model import plain_phrases

# Few distinct values, so that ties and zeros are the rule.
REVIEW = st.lists(st.tuples(st.sampled_from([0.0, 0.5, -0.5, 1.0, -2.0, 0.25]), st.booleans()), min_size=1, max_size=25)


@given(st.lists(REVIEW, min_size=1, max_size=4))
def test_phrases_are_those_of_plain_python(reviews: list[list[tuple[float, bool]]]) -> None:
    edges = np.cumsum([0, *map(len, reviews)])
    values = np.array([value for review in reviews for value, _ in review])
    cuts = np.array([cut for review in reviews for _, cut in review])
    start, stop = phrases(values, cuts, edges)
    expected = [
        (first + a, first + b)
        for first, review in zip(edges.tolist(), reviews, strict=False)
        for a, b in plain_phrases([value for value, _ in review], [cut for _, cut in review])
    ]
    assert expected == list(zip(start.tolist(), stop.tolist(), strict=True))


def test_phrase_has_the_words_around_a_peak_and_ends_at_a_clause() -> None:
    values = np.array([0.1, 0.5, -0.1, 1.5, 0.0, 0.0, 0.0, -0.5, -1.5, -1.0, 0.0, 0.0])
    for clause, expected in ((0, [(1, 4), (7, 10)]), (9, [(1, 4), (7, 9), (9, 10)]), (2, [(1, 2), (3, 4), (7, 10)])):
        start, stop = phrases(values, np.arange(12) == clause, np.array([0, 12]))
        assert expected == list(zip(start.tolist(), stop.tolist(), strict=True))


def test_review_in_which_nothing_contributes_has_no_phrase() -> None:
    start, stop = phrases(np.zeros(4), np.ones(4, np.bool_), np.array([0, 3, 4]))
    assert [] == start.tolist() == stop.tolist()


def test_smoothing_keeps_a_constant_and_does_not_reach_into_the_next_review() -> None:
    values, edges = np.array([2.0, 2.0, 2.0, 100.0, 7.0] + [7.0] * 20), np.array([0, 3, 4, 25])
    assert np.array([2.0] * 3 + [100.0] + [7.0] * 21) == pytest.approx(smoothed(values, edges))
