"""The teacher: honest logits by folds, the members' weights, and a full run that learns from it and resumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from batch_scorer.errors import InputError, OptionError
from tests.train.test_train import GOOD, examples, run, write
from train.data import Examples
from train.material.mixture import Soft, crops_of
from train.members import Texts, linear
from train.network import map_batches
from train.prepare import Prepared, from_texts
from train.reading import Reading
from train.teacher import Taught, load, save, stacked


def prepared() -> Prepared:
    rows = examples()
    labels = np.array([row["label"] for row in rows], np.int8)
    made = Examples(tuple(str(r["id"]) for r in rows), tuple(str(r["text"]) for r in rows), labels)
    return from_texts(made, 0.3, 100, Reading(20, 21), unlabelled=[f"{t}. Said {i}." for i in range(4) for t in GOOD])


def test_linear_member_is_right_on_texts_that_it_was_not_fitted_to() -> None:
    data = prepared()
    texts, rows = Texts.of(data)
    found = linear(np.arange(len(data.training)) % 3, data.training.labels, texts)
    assert {"training", "unlabelled", "crops", "validation", "validation_crops"} == set(found)
    assert ((found["training"] > 0) == (data.training.labels == 1)).mean() > 0.95
    assert ((found["validation"] > 0) == (data.validation.labels == 1)).mean() > 0.95
    assert (found["unlabelled"] > 0).all()
    assert len(rows) == len(found["validation_crops"])


def test_members_weigh_what_the_validation_labels_say_they_are_worth() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4_000).astype(np.int8)
    signal, noise = (2 * labels - 1) * 1.0 + rng.normal(0, 1, 4_000), rng.normal(0, 1, 4_000)
    names = ("training", "unlabelled", "crops", "validation", "validation_crops")
    useful, useless = dict.fromkeys(names, 4 * signal), dict.fromkeys(names, noise)
    soft = stacked([useful, useless], labels, np.arange(4_000))
    # Unit signal in unit noise: the log-odds are twice the signal, whatever scale the member gives it.
    np.testing.assert_allclose(2 * signal, soft.training, atol=0.5)


def test_crops_are_called_positive_as_often_as_they_are_even_if_the_members_lean_to_one_side() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4_000).astype(np.int8)
    leaning = 2.0 * labels - 1 + rng.normal(0, 1, 4_000) + 0.7
    member = dict.fromkeys(("training", "unlabelled", "crops", "validation", "validation_crops"), leaning)
    soft = stacked([member], labels, np.arange(4_000))
    assert (leaning > 0).mean() > 0.6
    assert abs((soft.crops > 0).mean() - labels.mean()) < 0.02
    # The border of whole texts stays where the members have it.
    np.testing.assert_array_equal(leaning > 0, soft.training > 0)


def test_member_that_may_know_the_training_reviews_by_heart_has_no_say_on_them() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4_000).astype(np.int8)
    signs = 2.0 * labels - 1
    names = ("unlabelled", "crops", "validation", "validation_crops")
    weak = dict.fromkeys(("training", *names), signs + rng.normal(0, 3, 4_000))
    strong = dict.fromkeys(names, signs + rng.normal(0, 0.5, 4_000))
    alone, soft = (stacked(members, labels, np.arange(4_000)) for members in ([weak], [weak, strong]))
    np.testing.assert_array_equal(alone.training, soft.training)
    assert np.corrcoef(strong["unlabelled"], soft.unlabelled)[0, 1] > 0.95
    assert np.corrcoef(strong["crops"], soft.crops)[0, 1] > 0.95


def test_teacher_without_texts_without_labels_labels_the_training_reviews_alone() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100).astype(np.int8)
    known, none = 2.0 * labels - 1 + rng.normal(0, 1, 100), np.zeros(0)
    member = {"unlabelled": none, "crops": none, **dict.fromkeys(("training", "validation", "validation_crops"), known)}
    soft = stacked([member], labels, np.arange(100))
    assert (100, 0, 0) == (len(soft.training), len(soft.unlabelled), len(soft.crops))
    assert 0 == len(map_batches(lambda ids: pytest.fail("there is nothing to score"), []))


def test_logits_are_stored_with_what_they_are_for(tmp_path: Path) -> None:
    data = prepared()
    soft = Soft(*(np.arange(n, dtype=np.float64) for n in (len(data.training), len(data.unlabelled), 5)))
    save(tmp_path / "teacher.npz", Taught(soft, {"head.bias": np.ones(1, np.float32)}), data)
    read = load(tmp_path / "teacher.npz", data)
    assert {"head.bias": [1.0]} == {name: value.tolist() for name, value in read.weights.items()}
    for name in ("training", "unlabelled", "crops"):
        np.testing.assert_array_equal(getattr(soft, name), getattr(read.soft, name))
    other = from_texts(Examples(("1", "2"), ("good", "bad"), np.array([1, 0], np.int8)), 0.0, 9, Reading(5, 6))
    with pytest.raises(InputError, match="other data"):
        load(tmp_path / "teacher.npz", other)
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "no.npz", data)


def test_crops_of_a_data_set_are_always_the_same() -> None:
    data = prepared()
    assert crops_of(data) == crops_of(data)
    assert len(crops_of(data)) > 0


def test_options_of_the_full_recipe_are_refused_elsewhere(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    for options, message in (
        (("--counterfactual", data), "--preset full"),
        (("--teacher", data), "--preset full"),
        (("--teacher-model", data), "--preset full"),
        (("--preset", "full", "--teacher", data, "--teacher-model", data), "leave out --teacher"),
        (("--preset", "full", "--counterfactual-holdout", "dev/"), "--counterfactual FILE"),
    ):
        result = run("--data", data, *options, "--output", tmp_path / "m")
        assert OptionError.exit_code == result.exit_code
        assert message in result.output
