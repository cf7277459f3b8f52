"""Drift: its grade, and the sentence that explains it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from batch_scorer.models.profile import EMPTY, LENGTH_EDGES, SHARE_EDGES, Profile
from batch_scorer.report.drift import measure_drift


def profile(reviews: int, words: int, lengths: dict[int, int]) -> Profile:
    length = tuple(lengths.get(edge, 0) for edge in LENGTH_EDGES)
    half = (reviews // 2, *(0,) * (len(SHARE_EDGES) - 2), reviews - reviews // 2)
    return replace(
        EMPTY, reviews=reviews, words=words, used_words=words, length=length, oov_rate=half, probability=half
    )


def test_drift_of_similar_corpora_is_stable_and_names_the_means() -> None:
    one, other = profile(1_000, 231_000, {200: 1_000}), profile(500, 117_000, {200: 500})
    length = measure_drift(one, other, "in training")[1]
    assert ("length", "stable") == (length.name, length.grade)
    assert "Reviews are about as long as in training: 231 words on average, 234 there." == length.sentence


def test_drift_of_much_shorter_reviews_is_major() -> None:
    length = measure_drift(profile(1_000, 50_000, {50: 1_000}), profile(500, 100_000, {200: 500}), "in training")[1]
    assert "major" == length.grade
    assert "Reviews are much shorter than in training: 50 words on average, 200 there." == length.sentence


def test_drift_of_the_spread_alone_is_not_reported_as_a_change_of_the_mean() -> None:
    one, other = profile(1_000, 100_000, {10: 500, 200: 500}), profile(1_000, 100_000, {100: 1_000})
    sentence = measure_drift(one, other, "in training")[1].sentence
    assert "about as long as in training on average, but very differently distributed" in sentence


@pytest.mark.parametrize("reviews", [0, 1, 3])
def test_drift_of_few_reviews_has_no_grade(reviews: int) -> None:
    some, many = profile(reviews, 10 * reviews, {10: reviews}), profile(1_000, 200_000, {200: 1_000})
    for one, other in ((some, many), (many, some)):
        for drift in measure_drift(one, other, "in training"):
            assert "too few" == drift.grade
            assert "too few to tell" in drift.sentence
            assert math.isfinite(drift.psi)


def test_drift_of_a_few_reviews_that_are_all_far_shorter_is_major() -> None:
    length = measure_drift(profile(50, 500, {10: 50}), profile(1_000, 200_000, {200: 1_000}), "in training")[1]
    assert ("major", "Reviews are much shorter than in training: 10 words on average, 200 there.") == (
        length.grade,
        length.sentence,
    )
