"""What is said of the data before a training starts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from batch_scorer.models.network import Architecture
from tests.train.trained import Trained, examples, trained
from train.keras_files import RankedReviews
from train.overview import Overview, overview
from train.prepare import Reading, from_ranks, from_texts

LONG = "slow to start but the last hour of this honest little film is wonderful and worth every one of its minutes"
TRAINED = [LONG, "a dull film", "a good film", "A DULL FILM!", "the plot is thin", "the music is great"]
HELD_OUT = ["a good... film", LONG.replace("wonderful", "great"), "nothing like it", "dull dull dull", "a plot"]
LABELS, HELD_LABELS = [1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    held_out = examples(HELD_OUT, HELD_LABELS, [f"h{i}" for i in range(5)])
    return trained(tmp_path_factory.mktemp("done"), examples(TRAINED, LABELS), held_out)


def test_lines_say_how_many_how_balanced_how_long_and_how_many_are_repeated(done: Trained) -> None:
    expected = """\
reviews     6 to train on, 5 given for validation
positive    66.7% of those to train on, 60.0% of those held out
words       median 3; nine of ten have 2 to 21; at most 21
            2 reviews not read whole: longer than 19 words
vocabulary  31 ids; 16.1% of the words held out are unknown
repeated    2 word for word; 2 contradict each other's labels
            1 nearly: they share half of their runs of three words
both sides  2 held-out reviews repeat one to train on, 1 word for word"""
    lines = done.seen.lines()
    assert expected.splitlines()[:4] == lines[:4]
    assert expected.splitlines()[5:] == lines[5:]
    assert [True, True, False, False, False] == done.seen.seen.tolist()


def test_accuracy_without_repeats_is_that_of_the_other_held_out_reviews(done: Trained) -> None:
    without = done.seen.without_repeats(done.fitted, done.data.validation)
    right = (done.fitted.validation_logits >= 0) == (np.array(HELD_LABELS) == 1)
    assert without is not None
    assert (3, right[2:].mean()) == (without["reviews"], without["accuracy"])


def test_accuracy_without_repeats_is_left_out_where_it_would_be_the_same_or_of_one_label(done: Trained) -> None:
    for seen in ([False] * 5, [True] * 5, [True, True, True, False, False]):
        changed = dataclasses.replace(done.seen, seen=np.array(seen))
        assert changed.without_repeats(done.fitted, done.data.validation) is None


def test_data_without_repeats_says_so() -> None:
    texts = [f"{word} film" for word in "abcdefghij"]
    data = from_texts(examples(texts, [0, 1] * 5), 0.5, 50, Reading(30, 31), unlabelled=["more", "texts"])
    lines = overview(data).lines()
    assert "repeated    none, not even nearly" == lines[-1]
    assert "            2 more to pre-train on, without labels" == lines[1]
    assert "held out by hash" in lines[0]


def test_reviews_of_which_only_the_ranks_are_known_are_compared_by_them() -> None:
    rng = np.random.default_rng(1)
    ranks = [rng.integers(1, 90, 30) for _ in range(40)]
    ranks += [ranks[0], np.concatenate([ranks[1][:-1], [7]])]
    index = {f"word{rank}": rank for rank in range(1, 100)}
    reviews = RankedReviews(tuple(ranks), np.array([0, 1] * 21, np.int8), index)
    found = overview(from_ranks(reviews, 0.3, 60, 500, Architecture().max_length))
    assert (1, 1, True) == (found.repeated, found.near, found.from_ids)


def test_lines_of_the_largest_figures_fit_into_80_characters() -> None:
    n, few = 98_765_432, 98_765
    seen = np.ones(few, np.bool_)
    large = Overview(
        n, few, n, "held out by hash", (0.5, 0.5), (1_000, 2_000, 30_000, 40_000), 31_936, n, 10_000, 0.123,
        1_234_567, 1_234_567, 1_234_567, few, seen,
    )  # fmt: skip
    assert all(len(line) <= 80 for line in large.lines()), large.lines()
