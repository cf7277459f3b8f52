"""A training run that is interrupted, killed even, and resumed: it ends as an undisturbed one does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_scorer.errors import InputError, OptionError, OutputError
from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture
from tests.processes import GUARD_S
from tests.train.test_train import BAD, GOOD, examples, run, write
from train import pretrain
from train.cli import changed
from train.run import Run
from train.trainer import Recipe, Trainer

ROOT = Path(__file__).parents[2]
SETTINGS = {"seed": 1, "pretraining": {"epochs": 2}}


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
    for name in pretrain.TRAINED:
        np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)
    assert [line["perplexity"] for line in whole["log"]] == [line["perplexity"] for line in resumed["log"]]
    assert [line["training_loss"] for line in whole["log"]] == [line["training_loss"] for line in resumed["log"]]


# Trains, and dies of SIGKILL between a line of the log and its checkpoint: the second line of a stage and an epoch.
KILLED = """
import os, signal, sys
from train.cli import main
from train.run import Run
note, stage, epoch = Run.note, sys.argv[1], int(sys.argv[2])
def note_and_die(run, *line):
    note(run, *line)
    if 2 == sum((noted["stage"], noted["epoch"]) == (stage, epoch) for noted in run.lines):
        os.kill(os.getpid(), signal.SIGKILL)
Run.note = note_and_die
main(sys.argv[3:])
"""
# Trains several times in one process.
TRAINS = """
import json, sys
from click.testing import CliRunner
from train.cli import main
for words in json.loads(sys.argv[1]):
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
"""


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own, where TensorFlow may be made deterministic."""
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=GUARD_S)


def test_full_training_killed_twice_ends_with_the_metrics_of_an_undisturbed_one(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    more = tmp_path / "more.jsonl"
    more.write_text("".join(json.dumps({"text": f"{t}, said {i}"}) + "\n" for i in range(20) for t in GOOD + BAD))
    settings = ("--preset", "full", "--data", data, "--id-column", "id", "--unlabelled", more, "--batch-size", 32,
                "--set", "pretraining.epochs=2", "--set", "fine_tunings=2", "--epochs", 2,
                "--deterministic")  # fmt: skip
    common = [str(word) for word in settings]
    whole, cut = ([*common, "--output", str(tmp_path / name)] for name in ("whole", "cut"))
    log = tmp_path / "cut.work" / "log.jsonl"

    for stage, epoch, resume in (("pretraining", 2, []), ("fine-tuning 2", 1, ["--resume"])):
        killed = python(KILLED, stage, str(epoch), *cut, "--checkpoint-seconds", "0", *resume)
        assert -signal.SIGKILL == killed.returncode, killed.stderr[-2_000:]
        last = json.loads(log.read_text().splitlines()[-1])
        assert (stage, epoch, False) == (last["stage"], last["epoch"], last["measured"])
    done = python(TRAINS, json.dumps([[*cut, "--resume"], whole]))
    assert 0 == done.returncode, done.stderr[-2_000:]
    expected, resumed = (artifact.load(str(tmp_path / name)) for name in ("whole", "cut"))
    assert expected.manifest["metrics"] == resumed.manifest["metrics"]
    assert expected.model_id == resumed.model_id

    def measured(name: str) -> list[dict[str, Any]]:
        lines = map(json.loads, (tmp_path / f"{name}.work" / "log.jsonl").read_text().splitlines())
        return [{**line, "seconds": 0, "loss": 0} for line in lines if line["measured"]]

    assert measured("whole") == measured("cut")


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


def test_pretrained_tensors_of_another_run_are_taken_or_refused_by_their_words(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    common = ("--preset", "full", "--data", data, "--id-column", "id", "--epochs", 1,
              "--set", "pretraining.epochs=1", "--set", "fine_tunings=1")  # fmt: skip
    run(*common, "--output", tmp_path / "first")
    kept = tmp_path / "first.work" / "pretrained.npz"
    run(*common, "--pretrained", kept, "--output", tmp_path / "second")
    first, second = (artifact.load(str(tmp_path / name)) for name in ("first", "second"))
    assert first.model_id == second.model_id
    assert not (tmp_path / "second.work" / "pretrained.npz").exists()
    again = run(*common, "--resume", "--work", tmp_path / "second.work", "--output", tmp_path / "fourth")
    assert OptionError.exit_code == again.exit_code
    assert "pretrained None" in again.output
    other = tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({**e, "text": f"{e['text']} indeed"}) + "\n" for e in examples()))
    refused = run("--preset", "full", "--data", other, "--pretrained", kept, "--output", tmp_path / "third")
    assert InputError.exit_code == refused.exit_code
    assert "other data" in refused.output


def test_full_preset_without_a_fine_tuning_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    refused = run("--preset", "full", "--data", data, "--set", "fine_tunings=0", "--output", tmp_path / "model")
    assert OptionError.exit_code == refused.exit_code
    assert "fine_tunings=1" in refused.output


def test_settings_given_by_name_replace_those_of_the_recipe() -> None:
    from train import full

    recipe = changed(full.Recipe(), ["perturbation=0", "epochs=2", "pretraining.negatives=50"])
    assert (0.0, 2, 50) == (recipe.perturbation, recipe.epochs, recipe.pretraining.negatives)
    assert isinstance(recipe.perturbation, float)
    for wrong in ("perturbations=0", "epochs=two", "pretraining=3", "epochs.x=1", "pretraining.x=1"):
        with pytest.raises(OptionError):
            changed(full.Recipe(), [wrong])


def test_diversity_term_lowers_conicity() -> None:
    import tensorflow as tf

    from train.network import conicity

    states = tf.constant([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]], [[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]]])
    mask = tf.constant([[True, True, False], [True, True, False]])
    # Two states at a right angle are at 45 degrees to their mean; parallel ones at 0.
    assert (np.sqrt(0.5) + 1) / 2 == pytest.approx(float(conicity(states, mask)), rel=1e-6)

    rng = np.random.default_rng(0)
    encoded = [rng.integers(3, 30, 12).astype(np.int32) for _ in range(64)]
    labels = np.array([int(ids[0] < 15) for ids in encoded], np.int8)
    architecture = Architecture(vocabulary_size=30, embedding_dim=8, units=8, attention_units=4)
    counts = np.bincount(np.concatenate(encoded), minlength=30)
    found = {}
    for weight in (0.0, 1.0):
        recipe = Recipe(batch_size=16, epochs=20, learning_rate=0.02, perturbation=0.0, diversity=weight)
        trainer = Trainer(recipe, architecture, counts, 4)
        for epoch in range(1, 21):
            for _ in trainer.train_epoch(epoch, encoded, labels):
                pass
        trainer.settle(encoded)
        ids = tf.constant(np.stack(encoded))
        _, _, states = trainer.averaged.attend(trainer.averaged.embedding(ids), ids != 0)
        found[weight] = float(conicity(states, ids != 0))
    assert found[1.0] < found[0.0] - 0.1


def test_settled_network_has_the_normalisation_that_its_own_weights_give() -> None:
    rng = np.random.default_rng(0)
    encoded = [rng.integers(3, 30, n).astype(np.int32) for n in rng.integers(3, 15, 80)]
    labels = rng.integers(0, 2, 80).astype(np.int8)
    architecture = Architecture(vocabulary_size=30, embedding_dim=8, units=8, attention_units=4)
    trainer = Trainer(Recipe(batch_size=16), architecture, np.bincount(np.concatenate(encoded), minlength=30), 5)
    for _ in trainer.train_epoch(1, encoded, labels):
        pass
    trainer.settle(encoded)
    # The running variance starts at 1 and would still be near it; that of the pooled states is far smaller.
    averaged = trainer.averaged
    contexts = np.stack([averaged.attend(averaged.embedding(ids[None]), ids[None] != 0)[0][0] for ids in encoded])
    np.testing.assert_allclose(trainer.average["batch_norm.mean"], contexts.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(trainer.average["batch_norm.variance"], contexts.var(axis=0), rtol=1e-3)
    assert contexts.var(axis=0).max() < 0.2
    logits = averaged.decide(contexts).numpy()
    np.testing.assert_allclose(trainer.logits(encoded), logits, atol=1e-4)


def test_shipped_pretraining_is_of_the_words_of_the_shipped_model() -> None:
    model = artifact.load(artifact.SHIPPED)
    shapes = model.architecture.tensor_shapes()
    with np.load(ROOT / "train" / "pretrained" / "imdb.npz") as stored:
        assert list(model.vocabulary) == stored["vocabulary"].tolist()
        assert {name: shapes[name] for name in pretrain.TRAINED} == {
            name: stored[name].shape for name in pretrain.TRAINED
        }
