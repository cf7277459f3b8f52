"""The full preset: a run that pre-trains and fine-tunes, the same killed and resumed, and its pre-trained tensors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.errors import InputError, OptionError
from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import APOSTROPHES
from tests.processes import GUARD_S
from tests.train.killed import noting
from tests.train.test_train import BAD, GOOD, examples, run, write
from train.borrow import TENSORS
from train.full import first_weights
from train.run import Run

ROOT = Path(__file__).parents[2]
EPOCHS, FINE_TUNINGS = 3, 2


class Killed(Exception):
    """Stands in for a kill in the middle of an epoch."""


def words(directory: Path, output: Path, *more: object) -> list[str]:
    """The command line of a small full training on what `whole` has put into `directory`."""
    given = ("--preset", "full", "--data", directory / "reviews.jsonl", "--id-column", "id", "--unlabelled",
             directory / "more.jsonl", "--batch-size", 32, "--epochs", EPOCHS, "--set", "learning_rate=0.01",
             "--set", "perturbation=0", "--set", f"fine_tunings={FINE_TUNINGS}", "--set", "pretraining.epochs=2",
             "--set", "pretraining.negatives=100", "--set", "teacher.folds=2", "--set", "teacher.epochs=1",
             "--set", "student_rate=0.01", "--set", "mixture.adversarial=0", "--set", "mixture.sentences=64",
             "--set", "mixture.rewritten=0", "--set", "mixture.passages=1", "--counterfactual",
             directory / "pairs.parquet", "--counterfactual-holdout", "dev/", "--output", output)  # fmt: skip
    return [str(word) for word in (*given, *more)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model of an undisturbed training; its data is beside it."""
    directory = tmp_path_factory.mktemp("full")
    write(directory, "jsonl")
    more = [json.dumps({"text": f"{t}, said {i}"}) + "\n" for i in range(5) for t in GOOD + BAD]
    (directory / "more.jsonl").write_text("".join(more))
    texts = [example["text"] for example in examples()]
    pairs = [("train/1", "p", 1, texts[0]), ("train/2", "p", 0, "a dull film, no 0"),
             ("dev/1", "q", 1, texts[1]), ("dev/2", "q", 0, "loathed every minute of it, no 1")]  # fmt: skip
    rows = [dict(zip(("id", "pair", "label", "text"), row, strict=True)) for row in pairs]
    pq.write_table(pa.Table.from_pylist(rows), directory / "pairs.parquet")
    result = run(*words(directory, directory / "whole"))
    assert 0 == result.exit_code, result.output
    assert "40 more to pre-train on" in result.output
    return directory / "whole"


def log(model: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (model.parent / f"{model.name}.work/log.jsonl").read_text().splitlines()]


def test_full_preset_pretrains_and_publishes_an_artefact_that_records_both_recipes(whole: Path) -> None:
    model = artifact.load(str(whole))
    assert model.manifest["metrics"]["validation"]["accuracy"] > 0.9
    recipe = model.manifest["training"]["recipe"]
    assert (2, FINE_TUNINGS) == (recipe["pretraining"]["epochs"], recipe["fine_tunings"])
    stages = [
        "pretraining",
        "teacher 1",
        "teacher 2",
        *(f"fine-tuning {1 + turn}" for turn in range(FINE_TUNINGS)),
        "average",
    ]
    assert stages == list(dict.fromkeys(line["stage"] for line in log(whole)))


def test_model_of_the_full_preset_reads_in_windows_ties_words_and_is_calibrated_by_review(whole: Path) -> None:
    model = artifact.load(str(whole))
    assert (2, 64, APOSTROPHES) == (
        model.manifest["format_version"],
        model.tokenizer.max_windows,
        model.tokenizer.pattern,
    )
    assert model.calibration is not None
    assert model.confidence_curve is not None
    held_out = {"held_out": 2, "originals_held_out": 1}
    assert held_out.items() <= model.manifest["training"]["rewritten"].items()
    assert len(examples()) - 1 == sum(model.manifest["training"][name] for name in ("reviews", "validation_reviews"))


@pytest.mark.slow
def test_full_training_killed_and_then_interrupted_ends_with_the_bits_of_an_undisturbed_one(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = tmp_path / "cut"
    command = words(whole.parent, cut, "--checkpoint-seconds", 0)
    # A process of its own, which can be killed, and where TensorFlow may be made deterministic.
    child = [sys.executable, "-m", "tests.train.killed", "pretraining", "2", *command, "--deterministic"]
    killed = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, check=False, timeout=GUARD_S)
    assert -signal.SIGKILL == killed.returncode, killed.stderr[-2_000:]
    assert ("pretraining", 2, False) == stopped_at(cut)

    def die() -> None:
        raise Killed

    for stage in ("teacher 2", "fine-tuning 2"):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Run, "note", noting(stage, 1, die))
            run(*command, "--resume")
        assert (stage, 1, False) == stopped_at(cut)

    done = run(*words(whole.parent, cut, "--resume"))  # now without a checkpoint after each step
    assert 0 == done.exit_code, done.output
    expected, resumed = (artifact.load(str(model)) for model in (whole, cut))
    assert expected.manifest["metrics"] == resumed.manifest["metrics"]
    assert expected.model_id == resumed.model_id
    of_whole, of_cut = ([{**x, "seconds": 0, "loss": 0} for x in log(m) if x["measured"]] for m in (whole, cut))
    assert of_whole == of_cut


def stopped_at(model: Path) -> tuple[str, int, bool]:
    """Stage and epoch of the last line of the log, and whether it ends the epoch."""
    last = log(model)[-1]
    return last["stage"], last["epoch"], last["measured"]


@pytest.mark.slow
def test_pretrained_tensors_of_another_run_on_the_same_data_are_taken_to_the_bit(whole: Path, tmp_path: Path) -> None:
    kept = whole.with_name("whole.work") / "pretrained.npz"
    second = tmp_path / "second"
    run(*words(whole.parent, second, "--pretrained", kept))
    assert artifact.load(str(whole)).model_id == artifact.load(str(second)).model_id
    assert not (tmp_path / "second.work" / "pretrained.npz").exists()
    assert "pretraining" not in {line["stage"] for line in log(second)}
    third, taught = tmp_path / "third", whole.with_name("whole.work") / "teacher.npz"
    run(*words(whole.parent, third, "--pretrained", kept, "--teacher", taught))
    assert artifact.load(str(whole)).model_id == artifact.load(str(third)).model_id
    assert "teacher 1" not in {line["stage"] for line in log(third)}
    again = run(*words(whole.parent, tmp_path / "fourth", "--resume", "--work", tmp_path / "second.work"))
    assert OptionError.exit_code == again.exit_code
    assert "pretrained None" in again.output


@pytest.mark.slow
def test_pretrained_tensors_of_other_data_are_taken_by_the_names_of_their_words(whole: Path, tmp_path: Path) -> None:
    kept, other = whole.with_name("whole.work") / "pretrained.npz", tmp_path / "other.jsonl"
    other.write_text("".join(json.dumps({**e, "text": f"{e['text']} indeed"}) + "\n" for e in examples()))
    given = ("--preset", "full", "--data", other, "--pretrained", kept, "--epochs", 1, "--batch-size", 32,
             "--set", "fine_tunings=1", "--set", "perturbation=0", "--set", "mixture.sentences=0",
             "--set", "mixture.adversarial=0", "--set", "teacher.folds=0")  # fmt: skip
    done = run(*given, "--output", tmp_path / "model")
    assert 0 == done.exit_code, done.output
    assert "words are pre-trained," in done.output
    model = artifact.load(str(tmp_path / "model"))
    with np.load(kept) as stored:
        assert "indeed" in set(model.vocabulary) - set(stored["vocabulary"].tolist())


def test_pretrained_tensors_that_know_too_few_words_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    shapes, tokens = Architecture().tensor_shapes(), np.array(["<pad>", "<start>", "<oov>", "der", "film"])
    tensors = {name: np.zeros(shapes[name], np.float32) for name in TENSORS}
    tensors["embedding"] = tensors["embedding"][: len(tokens)]
    np.savez(tmp_path / "kept.npz", vocabulary=tokens, counts=np.array([0, 1, 1, 9, 9]), **tensors)
    given = ("--preset", "full", "--data", write(tmp_path, "jsonl"), "--pretrained", tmp_path / "kept.npz")
    refused = run(*given, "--output", tmp_path / "model")
    assert InputError.exit_code == refused.exit_code
    assert "know too few of the words" in refused.output
    assert ["kept.npz", "reviews.jsonl"] == sorted(path.name for path in tmp_path.iterdir())


def test_student_starts_from_the_model_that_it_is_given_and_keeps_its_words_with_other_reviews(
    whole: Path, tmp_path: Path, tiny_model: Path
) -> None:
    other = tmp_path / "other.jsonl"
    rows = [json.loads(line) for line in (whole.parent / "reviews.jsonl").read_text().splitlines()]
    other.write_text("".join(json.dumps({**row, "text": f"{row['text']} quite unheard of"}) + "\n" for row in rows))
    given = ("--preset", "full", "--data", other, "--id-column", "id", "--unlabelled",
             whole.parent / "more.jsonl", "--pretrained", whole.with_name("whole.work") / "pretrained.npz",
             "--batch-size", 32, "--epochs", 1, "--set", "fine_tunings=1", "--set", "student_rate=0",
             "--set", "perturbation=0", "--set", "mixture.sentences=0", "--set", "teacher.folds=0")  # fmt: skip
    still = tmp_path / "still"
    result = run(*given, "--start-model", whole, "--output", still)
    assert 0 == result.exit_code, result.output
    before, after = artifact.load(str(whole)), artifact.load(str(still))
    assert before.model_id == after.manifest["training"]["start_model"]
    assert list(before.vocabulary) == list(after.vocabulary)
    for name in ("lstm.forward.kernel", "attention.v.kernel", "head.kernel"):
        # Equal but for the rounding of the moving average.
        np.testing.assert_allclose(after.tensors[name], before.tensors[name], rtol=1e-6, atol=1e-7, err_msg=name)

    refused = run(*given, "--start-model", tiny_model, "--output", tmp_path / "other")
    assert InputError.exit_code == refused.exit_code
    assert "a finished model has another shape" in refused.output
    refused = run(*given, "--start-model", whole, "--tokenizer", "subwords", "--output", tmp_path / "other")
    assert OptionError.exit_code == refused.exit_code
    assert "expected: a model of subwords" in refused.output


def test_teacher_of_finished_models_trains_no_network_and_labels_as_they_do(whole: Path, tmp_path: Path) -> None:
    given = words(whole.parent, tmp_path / "taught", "--pretrained", whole.with_name("whole.work") / "pretrained.npz",
                  "--set", "teacher.epochs=0", "--set", "fine_tunings=1", "--epochs", 1)  # fmt: skip
    assert 0 == run(*given, "--teacher-model", whole).exit_code
    assert {"fine-tuning"} == {line["stage"] for line in log(tmp_path / "taught")}
    model = artifact.load(str(whole))
    assert [model.model_id] == artifact.load(str(tmp_path / "taught")).manifest["training"]["teacher_models"]
    with np.load(tmp_path / "taught.work/teacher.npz") as taught:
        assert not [name for name in taught.files if name.startswith("weights.")]
        praise = ["loved" in line for line in (whole.parent / "more.jsonl").read_text().splitlines()]
        assert (taught["unlabelled"][praise] > 0).all()
    refused = run(*given, "--set", "start=networks", "--output", tmp_path / "other")
    assert OptionError.exit_code == refused.exit_code
    assert "none is trained" in refused.output
    assert "got: teacher.folds=2, teacher.epochs=0" in " ".join(refused.output.split())
    refused = run(*given, "--set", "teacher.folds=1", "--output", tmp_path / "other")
    assert OptionError.exit_code == refused.exit_code
    assert "got: teacher.folds=1" in " ".join(refused.output.split())
    refused = run(*given, "--set", "teacher.folds=0", "--teacher-model", whole, "--output", tmp_path / "other")
    assert OptionError.exit_code == refused.exit_code
    assert "there is no teacher for models to join" in refused.output
    assert not (tmp_path / "other.work").exists()


def test_start_is_the_networks_the_model_that_is_given_or_what_was_pretrained() -> None:
    networks, earlier = {"head.bias": np.zeros(1, np.float32)}, {"head.bias": np.ones(1, np.float32)}
    assert first_weights("networks", networks, earlier) is networks
    assert first_weights("teacher", networks, earlier) is earlier
    assert first_weights("teacher", networks, None) is networks
    assert first_weights("teacher", None, None) is None
    assert first_weights("pretraining", networks, earlier) is None


def test_full_preset_without_a_fine_tuning_is_refused(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    refused = run("--preset", "full", "--data", data, "--set", "fine_tunings=0", "--output", tmp_path / "model")
    assert OptionError.exit_code == refused.exit_code
    assert "fine_tunings=1" in refused.output


def test_options_of_pretraining_without_the_full_preset_are_refused(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    result = run("--data", data, "--unlabelled", data, "--output", tmp_path / "m")
    assert 2 == result.exit_code
    assert "--preset full" in result.output


def test_shipped_pretraining_is_of_the_words_of_the_shipped_model() -> None:
    model = artifact.load(artifact.SHIPPED)
    shapes = model.architecture.tensor_shapes()
    with np.load(ROOT / "train" / "pretrained" / "imdb.npz") as stored:
        assert list(model.vocabulary) == stored["vocabulary"].tolist()
        assert {name: shapes[name] for name in TENSORS} == {name: stored[name].shape for name in TENSORS}
