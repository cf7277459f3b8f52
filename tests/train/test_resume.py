"""A stage that is interrupted and resumed, what a run refuses to resume, and what its steps and settings do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_scorer.errors import OptionError, OutputError
from batch_scorer.models.network import Architecture
from tests.train.traced import once
from train import pretrain
from train.data import pad
from train.material.mixture import labelled
from train.network import conicity
from train.options import changed
from train.prepare import Encoded
from train.run import Run
from train.trainer import Recipe, Trainer

SETTINGS = {"seed": 1, "pretraining": {"epochs": 2}}
NETWORK = Architecture(vocabulary_size=30, embedding_dim=8, units=8, attention_units=4)
RNG = np.random.default_rng(0)
REVIEWS = [RNG.integers(3, 30, n).astype(np.int32) for n in RNG.integers(3, 15, 64)]
LABELS = np.array([int(ids[0] < 15) for ids in REVIEWS], np.int8)
PLAIN = Recipe(batch_size=16, epochs=12, learning_rate=0.02, perturbation=0.0)


class Killed(Exception):
    """Stands in for a kill in the middle of a step."""


def pretrained(directory: Path, resume: bool = False, die_at: int = 0) -> dict[str, Any]:
    """Pre-trains on texts in which each word is followed by the next higher one, starting anywhere."""
    rng = np.random.default_rng(0)
    architecture = Architecture(vocabulary_size=12, embedding_dim=8, units=8, attention_units=4)
    texts = [np.array([1, *(3 + (start + np.arange(9)) % 9)], np.int32) for start in rng.integers(0, 9, 96)]
    counts = np.bincount(np.concatenate(texts), minlength=12)
    recipe = pretrain.Recipe(epochs=6, batch_size=8, negatives=20, learning_rate=0.02)
    steps = [0]

    def step(done: int, of: int, loss: float) -> None:
        steps[0] += 1
        if steps[0] == die_at:
            raise Killed

    seconds = 0 if die_at else 120  # between checkpoints, each of which takes longer than a step
    run = Run(directory, resume, SETTINGS, lambda stage, epoch, epochs: step, checkpoint_seconds=seconds)
    tensors = pretrain.pretrain(recipe, architecture, counts, texts, texts[:20], run)
    return {**tensors, "log": [{**line, "seconds": 0} for line in run.epochs("pretraining")]}


def test_pretraining_lowers_perplexity_and_resumed_in_the_middle_of_an_epoch_ends_the_same(tmp_path: Path) -> None:
    whole = pretrained(tmp_path / "whole")
    assert [1, 2, 3, 4, 5, 6] == [line["epoch"] for line in whole["log"]]
    assert whole["log"][-1]["perplexity"] < min(2, whole["log"][0]["perplexity"])
    with pytest.raises(Killed):
        pretrained(tmp_path / "cut", die_at=5)  # in the first epoch
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert 4 == max(steps)
    resumed = pretrained(tmp_path / "cut", resume=True)
    for name in pretrain.TENSORS:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
    assert [line["perplexity"] for line in whole["log"]] == [line["perplexity"] for line in resumed["log"]]
    assert [line["training_loss"] for line in whole["log"]] == [line["training_loss"] for line in resumed["log"]]


def test_run_with_other_settings_is_not_resumed(tmp_path: Path) -> None:
    Run(tmp_path / "work", False, SETTINGS)
    with pytest.raises(
        OptionError, match=r"(?s)expected: +pretraining.epochs 2, seed 1\n.*got: +pretraining.epochs 3, seed 4\n"
    ):
        Run(tmp_path / "work", True, {"seed": 4, "pretraining": {"epochs": 3}})


def test_run_in_a_directory_that_holds_one_is_refused_without_resume(tmp_path: Path) -> None:
    Run(tmp_path / "work", False, SETTINGS)
    with pytest.raises(OutputError, match="--resume"):
        Run(tmp_path / "work", False, SETTINGS)


def test_log_cut_off_by_a_kill_loses_its_last_line_only(tmp_path: Path) -> None:
    first = Run(tmp_path / "work", False, SETTINGS)
    first.note("pretraining", 1, 10, 2.5)
    with (tmp_path / "work" / "log.jsonl").open("a") as log:
        log.write('{"stage": "pretr')
    again = Run(tmp_path / "work", True, SETTINGS)
    assert [10] == [line["step"] for line in again.lines]
    again.rewind("pretraining", 10)
    again.note("pretraining", 1, 20, 2.25, {"perplexity": 9.0})
    lines = [json.loads(line) for line in (tmp_path / "work" / "log.jsonl").read_text().splitlines()]
    assert [(10, False), (20, True)] == [(line["step"], line["measured"]) for line in lines]


def test_settings_given_by_name_replace_those_of_the_recipe() -> None:
    from train import full

    recipe = changed(full.Recipe(), ["perturbation=0", "epochs=2", "pretraining.negatives=50"])
    assert (0.0, 2, 50) == (recipe.perturbation, recipe.epochs, recipe.pretraining.negatives)
    assert isinstance(recipe.perturbation, float)
    for wrong in (
        "perturbations=0",
        "epochs=two",
        "pretraining=3",
        "epochs.x=1",
        "pretraining.x=1",
        "epochs=-1",
        "perturbation=nan",
        "student_rate=inf",
    ):
        with pytest.raises(OptionError):
            changed(full.Recipe(), [wrong])


@pytest.fixture(scope="module")
def trainer_of() -> Callable[[Recipe], Trainer]:
    """Makes trainers of `REVIEWS`; those of the same recipe share their graphs."""
    make = once(Trainer)
    counts = np.bincount(np.concatenate(REVIEWS), minlength=NETWORK.vocabulary_size)
    return lambda recipe: make(recipe, NETWORK, counts, math.ceil(len(REVIEWS) / recipe.batch_size))


def trained(trainer: Trainer, epochs: int) -> Trainer:
    """The trainer after so many epochs."""
    lengths = np.array([len(ids) for ids in REVIEWS])
    part = labelled(Encoded.one_each(REVIEWS, LABELS, lengths), trainer.recipe.batch_size)
    for epoch in range(1, 1 + epochs):
        for _ in trainer.train_epoch(epoch, [part]):
            pass
    trainer.settle(REVIEWS)
    return trainer


def test_conicity_of_known_states_is_that_computed_by_hand() -> None:
    states = np.array([[[1, 0], [0, 1], [9, 9]], [[2, 0], [3, 0], [0, 1]]], np.float32)
    mask = np.array([[True, True, False], [True, True, False]])
    # Two states at a right angle are at 45 degrees to their mean; parallel ones at 0.
    assert (np.sqrt(0.5) + 1) / 2 == pytest.approx(float(conicity(states, mask)), rel=1e-6)


@pytest.mark.slow
def test_diversity_term_lowers_conicity(trainer_of: Callable[[Recipe], Trainer]) -> None:
    ids = pad(REVIEWS)
    cones = []
    for recipe in (PLAIN, replace(PLAIN, diversity=1.0)):
        averaged = trained(trainer_of(recipe), PLAIN.epochs).averaged
        _, _, states = averaged.attend(averaged.embedding(ids), ids != 0)
        cones.append(float(conicity(states, ids != 0)))
    assert cones[1] < cones[0] - 0.1


def test_settled_network_has_the_normalisation_that_its_own_weights_give(
    trainer_of: Callable[[Recipe], Trainer],
) -> None:
    trainer = trained(trainer_of(PLAIN), epochs=1)
    # The running variance starts at 1 and would still be near it; that of the pooled states is far smaller.
    averaged = trainer.averaged
    ids = pad(REVIEWS)
    contexts = averaged.attend(averaged.embedding(ids), ids != 0)[0].numpy()
    np.testing.assert_allclose(trainer.average["batch_norm.mean"], contexts.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(trainer.average["batch_norm.variance"], contexts.var(axis=0), rtol=1e-3)
    assert contexts.var(axis=0).max() < 0.2
    logits = averaged.decide(contexts).numpy()
    np.testing.assert_allclose(trainer.logits(REVIEWS), logits, atol=1e-4)
