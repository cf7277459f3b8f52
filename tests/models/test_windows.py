"""Windows: every word that is read is in one, they are as even as can be, and means are weighted by words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.tokenizer import START, Tokenizer, window_bounds
from batch_scorer.models.windows import Windows

VOCABULARY = ["<pad>", "<start>", "<oov>", *(f"w{i}" for i in range(200))]
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 6))  # words at a time, windows


@given(st.integers(0, 80), SIZES)
def test_bounds_cut_the_words_read_into_as_few_parts_as_can_be_of_nearly_equal_length(
    n_words: int, sizes: tuple[int, int]
) -> None:
    at_once, most = sizes
    bounds = window_bounds(n_words, at_once, most)
    read = min(n_words, at_once * most)
    assert list(range(read)) == [at for start, end in bounds for at in range(start, end)]
    assert len(bounds) == max(1, -(-read // at_once))
    lengths = [end - start for start, end in bounds]
    assert max(lengths) <= at_once and max(lengths) - min(lengths) <= 1


@given(st.integers(1, 80), SIZES)
def test_windows_of_a_review_are_start_marks_and_its_last_words_in_order(n_words: int, sizes: tuple[int, int]) -> None:
    at_once, most = sizes
    tokenizer = Tokenizer(VOCABULARY, at_once, at_once + 1, max_windows=most)
    found = tokenizer.windows([f"w{i}" for i in range(n_words)])
    assert all(START == window[0] for window in found)
    read = [int(i) - 3 for window in found for i in window[1:]]
    assert list(range(n_words))[-tokenizer.n_used(n_words) :] == read
    assert window_bounds(n_words, at_once, most)[-1][1] == len(read)


@given(st.lists(st.integers(0, 40), max_size=8), SIZES)
def test_windows_of_several_reviews_say_whose_they_are_and_what_share_of_it(
    lengths: list[int], sizes: tuple[int, int]
) -> None:
    at_once, most = sizes
    tokenizer = Tokenizer(VOCABULARY, at_once, at_once + 1, max_windows=most)
    reviews = [[f"w{i}" for i in range(n)] for n in lengths]
    windows = Windows.of(tokenizer, reviews)
    bounds = [(review, *pair) for review, n in enumerate(lengths) for pair in window_bounds(n, at_once, most)]
    assert [review for review, _, _ in bounds] == windows.review.tolist()
    assert [end - start for _, start, end in bounds] == windows.n_words.tolist()
    assert [len(ids) - 1 for ids in windows.ids] == windows.n_words.tolist()
    used = [tokenizer.n_used(n) for n in lengths]
    assert [used[review] - end for review, _, end in bounds] == windows.words_after.tolist()
    assert [(end - start) / (used[review] or 1) or 1.0 for review, start, end in bounds] == windows.share.tolist()

    values = np.arange(1.0, 1 + len(windows))
    means = [
        sum(value * share for value, share, of in zip(values, windows.share, windows.review, strict=True) if of == i)
        for i in range(len(lengths))
    ]
    assert means == windows.pool(values).tolist()

    chosen = np.arange(len(lengths)) % 2 == 0
    some = windows.rows(chosen)
    again = Windows.of(tokenizer, reviews[::2])
    assert again.review.tolist() == some.review.tolist() and again.n_reviews == some.n_reviews
    assert [ids.tolist() for ids in again.ids] == [ids.tolist() for ids in some.ids]


def test_mean_of_a_review_of_one_window_is_its_value_to_the_last_bit_beside_any_other() -> None:
    tokenizer = Tokenizer(VOCABULARY, 2, 3, max_windows=4)
    for values in (np.array([-0.0, 0.1]), np.array([-0.0, 0.1, 7.0, 1e300, -1e300])):
        reviews = [["w1"], ["w2", "w3"], *([["w4"] * 5] if len(values) > 2 else [])]
        found = Windows.of(tokenizer, reviews).pool(values)
        assert values[:2].tobytes() == found[:2].tobytes()


@pytest.mark.parametrize("max_ids", [499, 500])
def test_window_of_the_notebooks_variant_loses_its_start_mark_where_it_is_full(max_ids: int) -> None:
    tokenizer = Tokenizer(VOCABULARY, 499, max_ids)
    windows = Windows.of(tokenizer, [["w1"] * 600])
    assert [max_ids] == [len(ids) for ids in windows.ids]
    assert [499] == windows.n_words.tolist()
