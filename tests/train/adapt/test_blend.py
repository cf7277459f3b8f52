"""Folds, the share of the new weights, and the correction of bias and temperature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.adapt.blend import SHARES, Correction, HeldOut, folds_of
from train.metrics import log_loss


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@given(st.lists(st.tuples(st.sampled_from("abcdefghijklmnop"), st.integers(0, 1)), min_size=1), st.integers(1, 5))
def test_folds_of_equal_texts_are_the_same_whatever_their_order(rows: list[tuple[str, int]], count: int) -> None:
    texts, labels = [text for text, _ in rows], np.array([label for _, label in rows], np.int8)
    folds = dict(zip(texts, folds_of(texts, labels, count).tolist(), strict=True))
    assert [folds[text] for text in texts] == folds_of(texts, labels, count).tolist()
    assert set(folds.values()) <= set(range(count))
    first = {text: rows[texts.index(text)][1] for text in texts}
    again = sorted(first)
    other_way = folds_of(again, np.array([first[text] for text in again], np.int8), count)
    assert folds == dict(zip(again, other_way.tolist(), strict=True))


@pytest.mark.parametrize("positive", [10, 50, 90])
def test_folds_have_their_share_of_both_labels(positive: int) -> None:
    labels = (np.arange(100) < positive).astype(np.int8)
    folds = folds_of([f"text {i}" for i in range(100)], labels, 5)
    assert [20] * 5 == np.bincount(folds).tolist()
    assert [positive // 5] * 5 == np.bincount(folds[labels == 1]).tolist()


def test_correction_that_labels_call_for_is_recovered() -> None:
    rng = np.random.default_rng(1)
    z, t = rng.normal(0, 4, 20_000), rng.choice([1.0, 2.0], 20_000)
    labels = (rng.random(20_000) < sigmoid((z - 1.5) / (2.5 * t))).astype(np.int8)
    found = Correction.fit(z, t, labels)
    assert pytest.approx(-1.5, abs=0.15) == found.shift
    assert pytest.approx(2.5, abs=0.15) == found.scale


def test_correction_by_few_labels_stays_near_none() -> None:
    few = Correction.fit(np.array([3.0, -3.0]), np.ones(2), np.array([1, 0], np.int8))
    assert abs(few.shift) < 1e-6  # one of each label
    assert 0.7 < few.scale < 1.0  # both are right, so it may be surer, by as much as two labels say
    wrong = Correction.fit(np.full(2, 3.0), np.ones(2), np.array([0, 0], np.int8))
    assert -4 < wrong.shift < 0


def test_correction_lowers_the_loss_of_its_own_labels() -> None:
    rng = np.random.default_rng(2)
    z, labels = rng.normal(2, 3, 400), rng.integers(0, 2, 400).astype(np.int8)
    corrected = Correction.fit(z, np.ones(400), labels).apply(z, np.ones(400))
    assert log_loss(corrected, labels) < log_loss(z, labels)


def held_out(seed: int = 3, n: int = 600, best: int = 3) -> HeldOut:
    """Texts whose labels the share of line `best` predicts, and the others with as much noise as they are far."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, n)
    labels = (rng.random(n) < sigmoid(true)).astype(np.int8)
    lines = [true + 2 * abs(line - best) * rng.normal(0, 1, n) for line in range(len(SHARES))]
    return HeldOut(np.array(lines), np.ones(n), labels, np.arange(n) % 3)


@pytest.mark.parametrize("best", range(len(SHARES)))
def test_share_with_the_lowest_loss_is_chosen(best: int) -> None:
    line, correction = held_out(best=best).choose()
    assert best == line
    assert 0.7 < correction.scale < 1.4


def test_prediction_of_a_text_does_not_depend_on_its_own_label() -> None:
    before = held_out()
    labels = before.labels.copy()
    mine = before.fold == 0
    labels[mine] = 1 - labels[mine]
    after = HeldOut(before.logits, before.temperatures, labels, before.fold)
    assert before.adapted()[mine].tolist() == after.adapted()[mine].tolist()
    assert before.adapted()[~mine].tolist() != after.adapted()[~mine].tolist()


def test_prediction_with_one_fold_does_not_depend_on_its_own_label_either() -> None:
    several = held_out()
    one = HeldOut(several.logits, several.temperatures, several.labels, np.zeros(600, np.int64))
    labels = one.labels.copy()
    labels[0] = 1 - labels[0]
    other = HeldOut(one.logits, one.temperatures, labels, one.fold)
    assert one.adapted()[0] == other.adapted()[0]
    assert one.adapted()[1] != other.adapted()[1]
