"""The two sides of the labelled reviews: chosen by a hash, and still usable where there are few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import InputError
from train.data import Examples, split
from train.prepare import from_texts
from train.reading import Reading
from train.sides import BY_HASH, GIVEN, MIN_HELD_OUT, STRATIFIED, Split, check_split, held_out, split_of


def made(positive: int, negative: int) -> tuple[list[str], npt.NDArray[np.int8]]:
    ids = [f"r{i}" for i in range(positive + negative)]
    return ids, np.array([1] * positive + [0] * negative, np.int8)


def test_split_of_the_imdb_reviews_is_the_one_that_the_shipped_model_was_trained_with(imdb: Path) -> None:
    table = pq.read_table(imdb / "imdb_train.parquet", columns=["review_id", "label"])
    labels = np.array(table["label"].to_pylist(), np.int8)
    split = split_of([str(i) for i in table["review_id"].to_pylist()], labels, 0.1)
    assert (BY_HASH, 2_491, 22_509) == (split.by, split.held_out.sum(), (~split.held_out).sum())


def test_split_by_hash_is_left_alone_where_it_has_both_labels_on_both_sides() -> None:
    ids, labels = made(300, 300)
    split = split_of(ids, labels, 0.1)
    assert BY_HASH == split.by
    np.testing.assert_array_equal(held_out(ids, 0.1), split.held_out)
    assert 40 < split.held_out.sum() < 80


def test_few_of_one_label_are_split_within_each_label() -> None:
    ids, labels = made(4, 596)
    ids = [f"x{i}" for i in ids]
    assert not Split(held_out(ids[:4], 0.1), BY_HASH).held_out.any()  # the hash alone would hold out no positive one
    split = split_of(ids, labels, 0.1)
    assert STRATIFIED == split.by
    assert (1, 60) == (split.held_out[labels == 1].sum(), split.held_out[labels == 0].sum())
    check_split(split, ids, labels, 0.1)


@given(st.integers(2, 40), st.integers(2, 40), st.sampled_from([0.1, 0.2, 0.5]), st.randoms())
def test_split_depends_on_ids_and_labels_and_not_on_their_order(
    positive: int, negative: int, share: float, random: object
) -> None:
    ids, labels = made(positive, negative)
    order = np.array(random.sample(range(len(ids)), len(ids)))  # type: ignore[attr-defined]
    split, shuffled = split_of(ids, labels, share), split_of([ids[i] for i in order], labels[order], share)
    assert split.by == shuffled.by
    np.testing.assert_array_equal(split.held_out[order], shuffled.held_out)


def test_reviews_of_one_id_are_never_on_two_sides() -> None:
    ids = [f"r{i // 2}" for i in range(20)]
    split = split_of(ids, np.array([i // 2 % 2 for i in range(20)], np.int8), 0.2)
    assert all(split.held_out[i] == split.held_out[i + 1] for i in range(0, 20, 2))


@pytest.mark.parametrize(("positive", "negative"), [(1, 2), (3, 3), (1, 500), (5, 5)])
def test_too_few_reviews_are_refused_with_the_numbers(positive: int, negative: int) -> None:
    ids, labels = made(positive, negative)
    split = split_of(ids, labels, 0.1)
    with pytest.raises(InputError, match="too few reviews are held out") as refused:
        check_split(split, ids, labels, 0.1)
    assert f"{split.held_out.sum()} of {len(ids)} held out" in str(refused.value.got)
    assert "add labelled reviews" in str(refused.value.fix)


def test_share_that_the_refusal_names_is_enough() -> None:
    ids, labels = made(5, 5)
    with pytest.raises(InputError) as refused:
        check_split(split_of(ids, labels, 0.1), ids, labels, 0.1)
    share = float(str(refused.value.fix).rpartition("validation_share=")[2])
    split = split_of(ids, labels, share)
    check_split(split, ids, labels, share)
    assert split.held_out.sum() >= MIN_HELD_OUT
    with pytest.raises(InputError) as refused:  # and where none is, none is named
        check_split(split_of(*made(1, 9), 0.1), *made(1, 9), 0.1)
    assert "add labelled reviews" == refused.value.fix


def test_share_of_zero_holds_out_nothing() -> None:
    ids, labels = made(3, 3)
    split = split_of(ids, labels, 0)
    check_split(split, ids, labels, 0)
    assert not split.held_out.any()


def test_examples_given_for_validation_are_validated_on_and_the_rest_is_trained_on() -> None:
    def examples(start: int, count: int, label: int) -> Examples:
        ids = tuple(f"r{i}" for i in range(start, start + count))
        return Examples(ids, tuple(f"text {i}" for i in ids), np.array([i % 2 * label for i in range(count)], np.int8))

    data, others = examples(0, 6, 1), examples(6, 4, 1)
    sides = split(data.with_validation(others), 0.5)
    assert [data.texts, others.texts] == [side.texts for side in sides]
    assert [data.labels.tolist(), others.labels.tolist()] == [side.labels.tolist() for side in sides]
    prepared = from_texts(data.with_validation(others), 0.5, 20, Reading(5, 6))
    assert (GIVEN, 6, 4) == (prepared.split_by, len(prepared.training), len(prepared.validation))
    assert "r7" not in prepared.vocabulary  # the words of validation reviews do not count
    with pytest.raises(InputError, match="too few") as refused:
        from_texts(data.with_validation(examples(6, 4, 0)), 0.5, 20, Reading(5, 6))
    assert "give more reviews as --validation, of both labels" == refused.value.fix
