"""The profile: histograms that add up, whichever way the reviews were divided."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.profile import (
    EMPTY,
    LENGTH_EDGES,
    SHARE_EDGES,
    Profile,
    grade_of,
    measure,
    stability_index,
    warnings,
)
from batch_scorer.models.scripts import SCRIPTS

# (words, share of them used, share of those unknown, probability) of a review
shares = st.floats(0, 1)
reviews = st.lists(st.tuples(st.integers(1, 5_000), shares, shares, shares), max_size=30)


def profile_of(rows: list[tuple[int, float, float, float]]) -> Profile:
    n_tokens = np.array([n for n, _, _, _ in rows], np.int32)
    used = np.array([max(1, int(n * share)) for n, share, _, _ in rows], np.int32)
    unknown = np.array([int(u * share) for u, (_, _, share, _) in zip(used, rows, strict=True)], np.int32)
    scripts = n_tokens[:, None] // (3 + np.arange(len(SCRIPTS)) * 20)
    return measure(n_tokens, used, unknown, np.array([p for _, _, _, p in rows], np.float32), scripts=scripts)


@given(rows=reviews, cut=st.integers(0, 30))
def test_profiles_of_two_parts_add_up_to_the_profile_of_the_whole(
    rows: list[tuple[int, float, float, float]], cut: int
) -> None:
    whole = profile_of(rows)
    assert whole == profile_of(rows[:cut]) + profile_of(rows[cut:])
    assert whole == profile_of(rows[cut:]) + profile_of(rows[:cut])
    assert whole == whole + EMPTY


@given(rows=reviews)
def test_every_review_is_in_one_bin_of_each_histogram(rows: list[tuple[int, float, float, float]]) -> None:
    found = profile_of(rows)
    for histogram in (found.length, found.oov_rate, found.probability):
        assert len(rows) == found.reviews == sum(histogram)


@given(rows=reviews)
def test_profile_written_as_json_and_read_back_is_the_same(rows: list[tuple[int, float, float, float]]) -> None:
    found = profile_of(rows)
    assert found == Profile.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))


def test_profile_of_known_reviews_has_their_counts() -> None:
    n_tokens, used, unknown = (np.array(x) for x in ([1, 9, 10, 600], [1, 9, 10, 499], [0, 9, 5, 0]))
    found = measure(n_tokens, used, unknown, np.array([0.0, 0.5, 0.999, 1.0]))

    assert (4, 1, 620, 519, 14) == (found.reviews, found.truncated, found.words, found.used_words, found.oov_words)
    assert {1: 2, 10: 1, 500: 1} == counted(found.length, LENGTH_EDGES)
    assert {0.0: 2, 0.5: 1, 0.95: 1} == counted(found.oov_rate, SHARE_EDGES)
    assert {0.0: 1, 0.5: 1, 0.95: 2} == counted(found.probability, SHARE_EDGES)


@pytest.mark.parametrize(("n_tokens", "edge"), [(1, 1), (9, 1), (10, 10), (24, 10), (1_999, 1_000), (10**6, 2_000)])
def test_length_on_an_edge_falls_into_the_bin_that_starts_there(n_tokens: int, edge: int) -> None:
    one = np.array([n_tokens])
    assert {edge: 1} == counted(measure(one, one, one, np.array([0.5])).length, LENGTH_EDGES)


@pytest.mark.parametrize("tenths", range(20))
def test_share_on_an_edge_falls_into_the_bin_that_starts_there(tenths: int) -> None:
    of_twenty, one = np.array([20]), np.array([0.5])
    assert {SHARE_EDGES[tenths]: 1} == counted(
        measure(of_twenty, of_twenty, np.array([tenths]), one).oov_rate, SHARE_EDGES
    )


def shares_of(reviews: int, words: int, unknown: float, foreign: float) -> Profile:
    """Reviews of equal length, with these shares of unknown words and of words in another script, no matter which."""
    n = np.full(reviews, words)
    found = measure(n, n, np.full(reviews, round(words * unknown)), np.full(reviews, 0.5))
    return dataclasses.replace(found, foreign_words=reviews * round(words * foreign))


@pytest.mark.parametrize(
    ("run", "training", "expected"),
    [
        ((0.06, 0.0), (0.06, 0.0), []),
        ((0.21, 0.0), (0.06, 0.0), ["21% of the words are unknown to the model (6% in training)"]),
        ((0.55, 0.99), (0.56, 0.99), []),  # a model of Korean texts, on Korean texts
        ((0.56, 1.0), (0.56, 0.99), []),
        ((0.70, 0.99), (0.56, 0.99), []),
        ((0.90, 0.99), (0.56, 0.99), ["90% of the words are unknown to the model (56% in training)"]),
        ((0.06, 0.06), (0.06, 0.0), ["6% of the words are in a script other than Latin (0% in training)"]),
        ((0.06, 0.09), (0.06, 0.05), []),
        ((0.06, 0.70), (0.06, 0.50), []),
        ((0.06, 0.90), (0.06, 0.50), ["90% of the words are in a script other than Latin (50% in training)"]),
        ((0.56, 0.0), (0.56, 0.99), ["100% of the words are in Latin script (1% in training)"]),
    ],
)
def test_warning_compares_a_share_with_that_in_training(
    run: tuple[float, float], training: tuple[float, float], expected: list[str]
) -> None:
    assert expected == warnings(shares_of(20, 100, *run), shares_of(300, 100, *training))


def of_scripts(words: int, **counts: int) -> Profile:
    """A review of `words` words, so many of them in each of these scripts."""
    scripts = np.array([[counts.get(name, 0) for name in SCRIPTS]])
    one = np.array([words])
    return measure(one, one, 0 * one, np.array([0.5]), scripts=scripts)


@pytest.mark.parametrize(
    ("run", "training", "expected"),
    [
        ({"Hangul": 98}, {"Hangul": 99}, []),
        ({"Cyrillic": 97, "Hangul": 1}, {"Hangul": 99}, ["97% of the words are in Cyrillic script (0% in training)"]),
        ({}, {"Hangul": 90}, ["100% of the words are in Latin script (10% in training)"]),
        ({"Han": 95}, {"Han": 40, "Kana": 55}, ["95% of the words are in Han script (40% in training)"]),
        ({"Han": 45, "Kana": 50}, {"Han": 40, "Kana": 55}, []),
        (
            {"Thai": 30, "other": 60},
            {"Hangul": 99},
            [
                "60% of the words are in another script (0% in training)",
                "30% of the words are in Thai script (0% in training)",
                "10% of the words are in Latin script (1% in training)",
            ],
        ),
        ({"Hangul": 98}, {}, ["98% of the words are in a script other than Latin (0% in training)"]),
    ],
)
def test_warning_names_each_script_that_the_training_texts_had_less_of(
    run: dict[str, int], training: dict[str, int], expected: list[str]
) -> None:
    assert expected == warnings(of_scripts(100, **run), of_scripts(100, **training))


def test_scripts_add_up_to_the_foreign_words_and_are_stored_where_there_are_any() -> None:
    found = of_scripts(10, Hangul=3, Han=1) + of_scripts(5, Hangul=2)
    assert ({"Han": 1, "Hangul": 5}, 6) == (dict(found.scripts), found.foreign_words)
    assert found == Profile.from_json(json.loads(json.dumps(found.to_json())))
    assert pytest.approx({"Latin": 9 / 15, "Han": 1 / 15, "Hangul": 5 / 15}) == found.script_shares()
    assert "scripts" not in of_scripts(10).to_json()


def drawn(reviews: int, seed: int, mean: float = 5.2) -> Profile:
    """Reviews whose lengths are drawn from one distribution."""
    rng = np.random.default_rng(seed)
    n = np.maximum(1, rng.lognormal(mean, 0.6, reviews)).astype(np.int64)
    return measure(n, n, np.zeros_like(n), rng.random(reviews))


@pytest.mark.parametrize("reviews", [1, 5, 20, 44, 199, 200, 1_000, 20_000])
@pytest.mark.parametrize("held_out", [5, 44, 200, 2_500])
def test_lengths_of_the_same_kind_raise_no_alarm_whatever_the_numbers(reviews: int, held_out: int) -> None:
    for seed in range(10):
        assert [] == warnings(drawn(reviews, seed), drawn(held_out, 1_000 + seed))


@pytest.mark.parametrize("reviews", [5, 20, 44, 199, 200, 1_000])
def test_far_shorter_reviews_raise_the_alarm_however_few_they_are(reviews: int) -> None:
    (said,) = warnings(drawn(reviews, 1, mean=1.5), drawn(2_500, 2))
    assert said.startswith("the reviews are longer or shorter than in training:")


def test_small_shift_of_many_reviews_has_a_grade_by_its_size() -> None:
    usual = (100, 100, 100, 100)
    grades = {
        "stable": (1_000, 1_100, 1_000, 900),
        "moderate": (1_500, 1_100, 900, 500),
        "major": (2_500, 1_100, 300, 100),
    }
    for grade, counts in grades.items():
        assert grade == grade_of(counts, usual), stability_index(counts, usual)


def counted(histogram: tuple[int, ...], edges: tuple[float, ...]) -> dict[float, int]:
    """The bins that hold anything."""
    return {edge: n for edge, n in zip(edges, histogram, strict=True) if n}
