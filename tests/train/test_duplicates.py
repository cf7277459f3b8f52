"""Repeats among reviews: word for word, nearly, and not at all, the same as by comparing all pairs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.tokenizer import words
from train.duplicates import ALIKE, MIN_WORDS, RUN, find_duplicates, numbered

LONG = "slow to start but the last hour of this honest little film is wonderful and worth every one of its minutes"


def kinds(texts: Sequence[str]) -> tuple[list[int], list[int]]:
    found = find_duplicates(numbered(texts))
    return found.same.tolist(), found.near.tolist()


def by_all_pairs(texts: Sequence[str]) -> list[int]:
    """The first of each kind, by the definition: every pair compared, in sets of words that Python holds."""
    tokens = [words(text) for text in texts]
    runs = [{tuple(review[i : i + RUN]) for i in range(len(review) - RUN + 1)} for review in tokens]
    kind = list(range(len(texts)))
    for a, b in itertools.combinations(range(len(texts)), 2):
        long_enough = min(len(tokens[a]), len(tokens[b])) >= MIN_WORDS
        if tokens[a] == tokens[b] or (long_enough and len(runs[a] & runs[b]) >= ALIKE * len(runs[a] | runs[b])):
            first, other = sorted((kind[a], kind[b]))
            kind = [first if of == other else of for of in kind]
    return kind


@pytest.mark.parametrize(
    "other",
    [LONG.upper(), LONG.replace(" ", "   "), f"«{LONG}»...", LONG.replace("hour of", "hour,<br />of"), f"{LONG}\n"],
)
def test_case_space_and_punctuation_make_no_difference(other: str) -> None:
    assert ([0, 1, 0], [0, 1, 0]) == kinds([LONG, "a good film", other])


@pytest.mark.parametrize(
    ("other", "near"),
    [
        (LONG.replace("wonderful", "excellent"), True),
        (f"{LONG}. I saw it on a plane", True),
        (LONG.partition(" but ")[2], True),
        (" ".join(reversed(LONG.split())), False),
        (LONG[:50], False),
    ],
)
def test_review_that_shares_half_of_the_runs_of_words_repeats_nearly(other: str, near: bool) -> None:
    assert ([0, 1], [0, 0 if near else 1]) == kinds([LONG, other])


def test_short_reviews_repeat_word_for_word_or_not_at_all() -> None:
    nine = "the best film of the whole long dull year"
    assert ([0, 1, 0], [0, 1, 0]) == kinds([nine, nine.replace("year", "decade"), nine])
    ten = f"yes {nine}"
    assert [0, 0] == kinds([ten, ten.replace("year", "decade")])[1]


def test_repeat_of_a_repeat_is_of_the_same_kind() -> None:
    halves = [LONG.split()[at : at + 14] for at in (0, 3, 6)]
    texts = [" ".join(half) for half in halves]
    assert [0, 0, 0] == kinds(texts)[1]
    assert [0, 1] == kinds([texts[0], texts[2]])[1]


EDITS = st.lists(st.tuples(st.integers(0, 39), st.sampled_from("abcdefgh")), max_size=6)


@given(st.lists(st.tuples(st.integers(0, 2), EDITS, st.integers(2, 40)), min_size=1, max_size=12), st.randoms())
def test_kinds_are_those_that_all_pairs_give_in_any_order(
    made: list[tuple[int, list[tuple[int, str]], int]], random: object
) -> None:
    def text(base: int, edits: list[tuple[int, str]], length: int) -> str:
        tokens = [f"w{base}x{i % 25}" for i in range(40)]
        for at, word in edits:
            tokens[at] = word
        return " ".join(tokens[:length])

    texts = [text(*one) for one in made]
    assert by_all_pairs(texts) == kinds(texts)[1]
    random.shuffle(texts)  # type: ignore[attr-defined]
    assert by_all_pairs(texts) == kinds(texts)[1]


def test_thousands_of_reviews_from_one_template_are_of_one_kind() -> None:
    texts = [f"order {i}: {LONG}" for i in range(3_000)]
    same, near = kinds(texts)
    assert list(range(3_000)) == same
    assert [0] * 3_000 == near


def test_no_reviews_and_reviews_without_words_are_taken() -> None:
    assert ([], []) == kinds([])
    assert ([0, 0, 2], [0, 0, 2]) == kinds(["", "...", "half \ud800 of a pair"])


def test_numbers_of_words_do_not_depend_on_the_reviews_before() -> None:
    (alone,), (_, after) = numbered(["good film"]), numbered(["a bad", "good film"])
    np.testing.assert_array_equal(alone, after)
