"""Figures of a comparison, computed by hand on runs of a few rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from batch_scorer.compare.compare import compare
from batch_scorer.compare.result import Question
from tests.compare.conftest import Rows, WriteRun, listed, scores


def test_accuracy_and_mcnemar_match_those_computed_by_hand(write_run: WriteRun) -> None:
    truth = "1111100000"
    right_a, right_b = "1100000011", "1011111110"  # only A: one and the last; only B: seven

    def table(right: str) -> Rows:
        return [
            {"record_id": f"r{n}", "probability": 0.9 if (t == "1") == (r == "1") else 0.1, "stars": t}
            for n, (t, r) in enumerate(zip(truth, right, strict=True))
        ]

    unlabelled = {"record_id": "x", "probability": 0.5, "stars": None}
    contradicted = [{"record_id": "y", "probability": 0.5, "stars": stars} for stars in "01"]
    a = write_run("a", [*table(right_a), unlabelled, contradicted[0]], ("stars",))
    b = write_run("b", [*table(right_b), {**unlabelled, "stars": ""}, contradicted[1]], ("stars",))
    comparison = compare(a, b, Question(label_column="stars"))
    assert comparison.truth is not None
    assert (4, 8, 2, 6) == (
        comparison.truth.a.count,
        comparison.truth.b.count,
        comparison.truth.only_a,
        comparison.truth.only_b,
    )
    assert (10, 1, 1) == (comparison.truth.a.reviews, comparison.truth.unlabelled, comparison.truth.contradicted)
    assert pytest.approx(2 * (1 + 8 + 28) / 2**8) == comparison.truth.p
    assert "A is right on 40.0% (16.8% to 68.7%) and B on 80.0% (49.0% to 94.3%) of 10 reviews" in comparison.story[-1]
    assert "2 only A gets right, 6 only B" in comparison.story[-1]
    assert "p = 0.289" in comparison.story[-1]
    other = compare(a, b, Question(label_column="stars", positive=("0",))).truth
    assert other is not None
    assert (6, 2) == (other.a.count, other.b.count)


def test_labels_mean_the_same_whatever_their_type(write_run: WriteRun) -> None:
    a = write_run("a", [{**row, "v": str(i)} for i, row in enumerate(scores(x=0.1, y=0.9))], ("v",))
    for i, (negative, positive) in enumerate((("0.0", "1.0"), (" 0", "1 "), ("0", "1.0"))):
        rows = [{**scores(x=0.9)[0], "v": negative}, {**scores(y=0.9)[0], "v": positive}]
        truth = compare(a, write_run(f"b{i}", rows, ("v",)), Question(label_column="v")).truth
        assert truth is not None
        assert (2, 1, 0, 0) == (truth.a.count, truth.b.count, truth.contradicted, truth.unlabelled)


def test_labels_are_told_by_several_values_and_ranges(write_run: WriteRun) -> None:
    rows = scores(v=0.9, w=0.8, x=0.7, y=0.1, z=0.2)
    table = [{**row, "stars": stars} for row, stars in zip(rows, "54312", strict=True)]
    a, b = write_run("a", table, ("stars",)), write_run("b", table, ("stars",))
    comparison = compare(a, b, Question(label_column="stars", positive=("4", "5", "6"), negative=("<3",)))
    assert comparison.truth is not None
    assert (4, 4, 1) == (comparison.truth.a.count, comparison.truth.a.reviews, comparison.truth.unlabelled)
    assert "Judged by stars (positive: 4 or 5 or 6, negative: <3), A is right on 100.0%" in comparison.story[-1]
    assert (
        "1 review has no label in stars that means positive or negative: left out of the accuracy." in comparison.notes
    )
    assert "--positive-value 6 does not occur among the labels in stars." in comparison.notes


def test_label_column_with_only_one_of_two_labels_is_understood(write_run: WriteRun) -> None:
    table = [{**row, "sentiment": "Negative"} for row in scores(x=0.1, y=0.9)]
    a, b = write_run("a", table, ("sentiment",)), write_run("b", table, ("sentiment",))
    truth = compare(a, b, Question(label_column="sentiment")).truth
    assert truth is not None
    assert (1, 2, "positive") == (truth.a.count, truth.a.reviews, truth.positive)


def test_repeated_ids_are_left_out_and_counted(write_run: WriteRun) -> None:
    a = write_run("a", [*scores(x=0.1, y=0.2), *scores(z=0.3), *scores(z=0.4)])
    b = write_run("b", [*scores(x=0.9, y=0.2), *scores(y=0.2), *scores(y=0.2), *scores(z=0.9)])
    comparison = compare(a, b, Question())
    assert comparison.pairs is not None
    assert (1, 0, 0) == (comparison.pairs.both, comparison.pairs.only_a, comparison.pairs.only_b)
    assert (2, 3, 4) == (comparison.pairs.repeated, comparison.pairs.left_out_a, comparison.pairs.left_out_b)
    assert "2 ids are repeated" in comparison.notes[0]
    assert "Of 1 review in both, 1 (100.0%) changed its label: 1 to positive, 0 to negative." == comparison.story[0]


def test_margin_of_a_word_is_that_of_a_difference_of_means(write_run: WriteRun) -> None:
    def corpus(name: str, times: int) -> tuple[str, list[float]]:
        adds = [0.5 * n if n < times else 0.0 for n in range(100)]
        table = [
            {"record_id": f"{name}{n}", "probability": 0.5, "top_contributing": listed(("x", 0, c)) if c else []}
            for n, c in enumerate(adds)
        ]
        return write_run(name, table, temperature=2.0), adds

    (a, adds_a), (b, adds_b) = corpus("a", 10), corpus("b", 30)
    (word,) = compare(a, b, Question()).words
    variance = (np.var(adds_a) + np.var(adds_b)) / 2.0**2 / 100
    assert pytest.approx(1000 * 1.959964 * math.sqrt(variance)) == word.margin
    assert pytest.approx(1000 * (np.mean(adds_b) - np.mean(adds_a)) / 2.0) == word.change


@pytest.mark.parametrize("same_ids", [True, False])
def test_words_are_ranked_by_evidence_and_those_inside_their_margin_are_not_listed(
    write_run: WriteRun, same_ids: bool
) -> None:
    def corpus(name: str, steady: float, seed: int) -> tuple[str, dict[str, list[float]]]:
        rng = np.random.default_rng(seed)
        adds = {
            "noisy": rng.normal(0, 20, 200).tolist(),  # the sum of many large contributions is large by chance
            "steady": [steady + 0.1 * (n % 2) for n in range(100)] + [0.0] * 100,
            "once": [5.0 if name == "b" and n == 7 else 0.0 for n in range(200)],
            "clear": [(8.0 if name == "b" else 1.0) + n % 7 for n in range(200)],
        }
        table = [
            {
                "record_id": f"{'' if same_ids else name}{n}",
                "probability": 0.5 + 0.1 * (name == "b"),
                "top_contributing": listed(*((w, at, v[n]) for at, (w, v) in enumerate(adds.items()) if v[n])),
            }
            for n in range(200)
        ]
        return write_run(name, table), adds

    (a, adds_a), (b, adds_b) = corpus("a", 0.5, 1), corpus("b", 0.9, 2)
    found = {word.token: word for word in compare(a, b, Question()).words}
    changes = {word: 1000 * (np.mean(adds_b[word]) - np.mean(adds_a[word])) for word in adds_a}
    assert abs(changes["noisy"]) > abs(changes["steady"])
    assert (["clear", "steady"], {"noisy", "once"}) == (list(found), adds_a.keys() - found.keys())
    for word in found.values():
        one, other = np.array(adds_a[word.token]), np.array(adds_b[word.token])
        variance = np.var(other - one) if same_ids else np.var(one) + np.var(other)
        assert pytest.approx(changes[word.token]) == word.change
        assert word.margin == pytest.approx(1000 * 1.959964 * math.sqrt(variance / 200), abs=1e-5)


def test_word_that_only_one_run_lists_is_unknown_in_the_other_and_not_zero(write_run: WriteRun) -> None:
    a = write_run("a", [{**scores(x=0.2)[0], "top_contributing": listed(("dull", 0, -2.0), ("warm", 1, 1.0))}])
    attended = {
        "top_attended": listed(("warm", 1, 0.5))
    }  # not in its list of contributions, but its contribution is known
    b = write_run(
        "b", [{**scores(x=0.9)[0], "top_contributing": listed(("fine", 2, 3.0)), **attended}], temperature=2.0
    )
    comparison = compare(a, b, Question())
    (review,) = comparison.reviews
    words = {word.token: (word.a, word.b) for word in review.words}
    assert {"dull": (-2.0, None), "warm": (1.0, 0.25), "fine": (None, 1.5)} == words
    assert {"dull": (1, 0), "warm": (1, 0), "fine": (0, 1)} == {
        w.token: (w.times_a, w.times_b) for w in comparison.words
    }


def test_lists_of_different_length_are_compared_up_to_the_shorter_one(write_run: WriteRun) -> None:
    words = listed(("one", 0, 3.0), ("two", 1, 2.0), ("three", 2, 1.0))
    a = write_run("a", [{**scores(x=0.2)[0], "top_contributing": words}], top_k=3)
    b = write_run("b", [{**scores(x=0.9)[0], "top_contributing": words[:2]}], top_k=2)
    comparison = compare(a, b, Question())
    assert "A lists 3 words per review and B 2: sums and agreement use the first 2 of each." in comparison.notes
    assert comparison.agreement is not None
    assert (1.0, ()) == (comparison.agreement.overlap, comparison.words)
    without_words = compare(a, write_run("c", scores(x=0.9), top_k=0), Question())
    assert "One of the runs lists no words (--top-k 0), so words are not compared." in without_words.notes
    assert (None, ()) == (without_words.agreement, without_words.words)


def test_labels_that_only_the_threshold_changed_are_counted(write_run: WriteRun) -> None:
    a = write_run("a", scores(x=0.55, y=0.6, z=0.9))
    b = write_run("b", scores(x=0.55, y=0.3, z=0.9), threshold=0.7)
    assert (
        "The thresholds differ: under the threshold of A, 1 of the 2 changed labels would not have changed."
        in compare(a, b, Question()).notes
    )


def test_same_ids_with_different_texts_are_noticed(write_run: WriteRun) -> None:
    a = write_run("a", [{**row, "top_contributing": listed(("calm", 0, 1.0))} for row in scores(x=0.2, y=0.2)])
    b = write_run(
        "b",
        [
            {**scores(x=0.2)[0], "top_contributing": listed(("storm", 0, 1.0))},
            {**scores(y=0.3)[0], "n_tokens": 9},
        ],
    )
    comparison = compare(a, b, Question())
    assert comparison.pairs is not None
    assert 2 == comparison.pairs.other_text
    assert "so you may want --by distribution" in comparison.notes[0]


def test_run_that_is_not_a_success_is_compared_with_a_note(write_run: WriteRun) -> None:
    a, b = write_run("a", scores(x=0.1)), write_run("b", scores(x=0.2), not_a_success="2 files could not be read")
    Path(b, "_SUCCESS").unlink()
    assert "B is not a success: 2 files could not be read." in compare(a, b, Question()).notes
