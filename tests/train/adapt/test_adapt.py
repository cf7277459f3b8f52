"""Adapting a trained model to a few labels, from the command line to the model that it writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats.cells import GUARD
from batch_scorer.labelling.question import Question
from batch_scorer.labelling.tasks import write_tasks
from batch_scorer.models import artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.tokenizer import PAD
from tests.conftest import FORMAT_2, TINY, save_tiny
from tests.jobs import rows, score_here
from tests.train.traced import once
from train.adapt import command, fitting, table, tuner
from train.adapt.table import Change
from train.cli import main
from train.material.parts import Part

GOOD = ("the flight was on time", "crew very kind", "boarding was quick and easy", "upgraded, thank you")
BAD = ("the flight was delayed", "crew very rude", "boarding was slow and a mess", "cancelled, never again")
QUICK = tuple(
    word
    for setting in ("least_steps=40", "learning_rate=0.05", "networks=2", "pull=0", "perturbation=0",
                    "embedding_dropout=0", "word_dropout=0")
    for word in ("--set", setting)
)  # fmt: skip


def write(path: Path, count: int = 60, bad: Sequence[str] = BAD) -> Path:
    texts = [f"{(GOOD, bad)[i % 2][i // 2 % 4]} no {i}" for i in range(count)]
    path.write_text("text,label\n" + "".join(f'"{text}",{1 - i % 2}\n' for i, text in enumerate(texts)))
    return path


def run(*options: object) -> Result:
    return CliRunner().invoke(main, [str(option) for option in options])


@pytest.fixture(scope="module", autouse=True)
def graphs_of_a_network_once() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "Tuner", once(tuner.Tuner))
        yield


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, Path]:
    folder = tmp_path_factory.mktemp("adapted")
    start = save_tiny(folder / "start", **FORMAT_2)
    data = write(folder / "mine.csv")
    result = run("--start-from", start, "--data", data, "--output", folder / "model", *QUICK)
    assert 0 == result.exit_code, result.output
    return folder, result, start


def test_adapted_model_is_right_about_the_new_texts(adapted: tuple[Path, Result, Path]) -> None:
    folder, result, _ = adapted
    told = json.loads((folder / "model.work" / "adapted.json").read_text())
    before, after, linear = (model["log_loss"] for model in told["models"][:3])
    assert after < 0.4 < before
    assert after < before
    assert 0 < linear < 1
    assert "Adapting helps: the log loss falls by" in result.output
    assert all(len(line) <= 80 for line in result.output.splitlines() if "interval" in line or "adapted " in line)
    model = artifact.load(str(folder / "model"))
    engine = ExactEngine(model)
    texts = ("the flight was on time no 3", "the flight was delayed no 5")
    good, bad = (float(engine.run([model.tokenizer.ids(model.tokenizer.words(text))]).logit[0]) for text in texts)
    assert good > 0 > bad


def test_adapted_model_keeps_what_its_start_had(adapted: tuple[Path, Result, Path]) -> None:
    folder, _, path = adapted
    start, model = artifact.load(str(path)), artifact.load(str(folder / "model"))
    assert list(start.vocabulary) == list(model.vocabulary)[: len(start.vocabulary)]
    assert {"delayed", "flight", "crew"} <= set(model.vocabulary)
    kept = ("aliases", "pattern", "max_words", "max_windows")
    assert [getattr(start.tokenizer, name) for name in kept] == [getattr(model.tokenizer, name) for name in kept]
    assert start.calibration is not None and model.calibration is not None
    ratios = np.array(model.calibration.grid) / np.array(start.calibration.grid)
    assert np.allclose(ratios, ratios[0, 0], rtol=1e-3)  # one factor for all
    training = model.manifest["training"]
    assert start.model_id == training["start_model"]
    assert (60, "cross-validation") == (training["reviews"], training["split_by"])
    assert 0 < training["share_of_new_weights"] <= 1
    unread = start.vocabulary.index("boring")  # in none of the texts
    assert start.tensors["embedding"][unread].tolist() == model.tensors["embedding"][unread].tolist()


@pytest.mark.slow
def test_reviews_that_people_labelled_adapt_the_model_that_scored_them(
    adapted: tuple[Path, Result, Path], tmp_path: Path
) -> None:
    folder, _, start = adapted
    job = ScoreConfig.of([str(folder / "mine.csv")], str(tmp_path / "out"), str(start), workers=1)
    score_here(job.with_options(kept=(Kept("label", "truth"),)))
    write_tasks(Question(str(tmp_path / "out"), least_certain=30, random=30), str(tmp_path / "tasks.csv"))
    with (tmp_path / "tasks.csv").open(encoding="utf-8-sig", newline="") as file:
        tasks = list(csv.DictReader(file))
    truth = {row["record_id"]: row["truth"] for row in rows(tmp_path / "out")}
    with (tmp_path / "back.csv").open("w", encoding="utf-8-sig", newline="") as file:  # as Excel saves it
        back = csv.DictWriter(file, tasks[0], lineterminator="\r\n")
        back.writeheader()
        for at, task in enumerate(tasks):
            label = ("negative", "positive")[truth[task["record_id"].removeprefix(GUARD)] == "1"]
            back.writerow({**task, "label": label if at % 8 else ""})
    options = ("--data", tmp_path / "back.csv", "--id-column", "record_id", "--set", "curve=0", *QUICK)
    result = run("--start-from", start, "--output", tmp_path / "model", *options)
    assert 0 == result.exit_code, result.output
    blank = len(range(0, len(tasks), 8))
    assert f"{blank} without a label" in " ".join(result.output.split())
    counts = artifact.load(str(tmp_path / "model")).manifest["training"]["labels"]["counts"]
    assert (len(tasks) - blank, blank) == (counts["positive"] + counts["negative"], counts["missing"])


def test_run_that_is_resumed_fits_nothing_twice_and_has_the_same_result(
    adapted: tuple[Path, Result, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, start = adapted
    words = ("--start-from", start, "--data", folder / "mine.csv", "--output", tmp_path / "model", *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(command, "linear_logits", interrupt)
        assert 0 != run(*words).exit_code
    assert not (tmp_path / "model").exists()
    with monkeypatch.context() as patch:
        patch.setattr(tuner.Tuner, "fit", interrupt)
        result = run(*words, "--resume")
    assert 0 == result.exit_code, result.output
    assert (folder / "model" / "MODEL_ID").read_text() == (tmp_path / "model" / "MODEL_ID").read_text()


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_reviews_given_for_validation_are_not_trained_on(
    adapted: tuple[Path, Result, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, start = adapted
    held_out = write(tmp_path / "held.csv", 20, ("awful food", "awful seat", "awful film", "awful wait"))
    read: list[Part] = []
    fit = tuner.Tuner.fit

    def recorded(self: tuner.Tuner, part: Part, *rest: object) -> tuner.Weights:
        read.append(part)
        return fit(self, part, *rest)

    monkeypatch.setattr(tuner.Tuner, "fit", recorded)
    words = ("--start-from", start, "--data", folder / "mine.csv", "--validation", held_out)
    result = run(*words, "--output", tmp_path / "model", *QUICK)
    assert 0 == result.exit_code, result.output
    assert [60] == [round(float(part.weights.sum())) for part in read]  # of which some have two windows
    training = artifact.load(str(tmp_path / "model")).manifest["training"]
    assert (60, 20, "given") == (training["reviews"], training["validation_reviews"], training["split_by"])
    assert "20 labelled texts, given for validation" in " ".join(result.output.split())


def test_labels_without_meaning_are_not_said_to_help(adapted: tuple[Path, Result, Path], tmp_path: Path) -> None:
    _, _, start = adapted
    rows = "".join(f'"the flight was number {i * 7919 % 1000} ",{i * 31 % 7 % 2}\n' for i in range(80))
    (tmp_path / "mine.csv").write_text("text,label\n" + rows)
    words = ("--data", tmp_path / "mine.csv", "--output", tmp_path / "model", *QUICK, "--set", "curve=0")
    result = run("--start-from", start, *words)
    assert 0 == result.exit_code, result.output
    said = " ".join(result.output.split())
    told = json.loads((tmp_path / "model.work" / "adapted.json").read_text())["models"]
    assert told[1]["auc"] < 0.7
    assert "More labels" not in said


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (1.0, 0.2, "Adapting helps: the log loss falls by"),
        (0.2, 1.0, "Adapting does not help"),
        (0.5, 0.5, "These labels do not show that adapting helps"),
    ],
)
def test_verdict_says_whether_adapting_helps(before: float, after: float, words: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0, 1] * 50, np.int8)
    from train.data import Examples

    examples = Examples(("",) * 100, ("",) * 100, labels)
    sides = [
        np.where(labels == 1, 1, -1) * -np.log(np.expm1(loss)) + rng.normal(0, 0.05, 100) for loss in (before, after)
    ]
    of = fitting.Adapted(
        None,
        1.0,
        fitting.Correction(),
        fitting.Folds(np.zeros(100, np.int64), 1),
        *sides,
        {},  # type: ignore[arg-type]
    )
    [said] = table.verdict(examples, of, sides[1])
    assert said.startswith(words)


def test_change_of_equal_losses_is_none() -> None:
    change = Change.of(np.array([0.5, 0.7]), np.array([0.5, 0.7]))
    assert (0.0, 0.0, 0.0) == (change.mean, change.low, change.high)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "another recipe": (("--preset", "full"), "--start-from has a recipe of its own"),
    "a teacher": (("--teacher", "teacher.npz"), "--start-from has a recipe of its own"),
    "an unknown setting": (("--set", "patience=3"), "the recipe has no such setting"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_options_that_adapting_does_not_know_are_refused(
    name: str, adapted: tuple[Path, Result, Path], tmp_path: Path
) -> None:
    folder, _, start = adapted
    options, message = REFUSED[name]
    result = run("--start-from", start, "--data", folder / "mine.csv", "--output", tmp_path / "m", *options)
    assert (2, True) == (result.exit_code, message in result.stderr), result.stderr


def test_start_that_cannot_be_adapted_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    data = write(tmp_path / "mine.csv")
    relu = save_tiny(tmp_path / "relu", architecture=_relu(), max_words=20)
    for start, message in (
        (relu, "this model cannot be adapted"),
        (tmp_path / "nowhere", "MODEL_ID"),
    ):
        result = run("--start-from", start, "--data", data, "--output", tmp_path / "m")
        assert (2, True) == (result.exit_code, message in result.stderr), result.stderr
    few = write(tmp_path / "few.csv", 10)
    result = run("--start-from", tiny_model, "--data", few, "--output", tmp_path / "m")
    assert (2, True) == (result.exit_code, "5 positive, 5 negative" in result.stderr), result.stderr
    assert not (tmp_path / "m").exists()


def _relu() -> artifact.Architecture:
    import dataclasses

    return dataclasses.replace(TINY, recurrent_activation="relu", masked=False)


def test_network_fitted_twice_in_the_same_turn_is_the_same(tiny_2: artifact.Artifact) -> None:
    texts = [np.array([1, 4, 5 + i % 3], np.int32) for i in range(20)]
    labels = np.arange(20) % 2
    part = Part("labelled", texts, labels.astype(np.float32), np.ones(20, np.float32), 4, True)
    recipe = tuner.Recipe(least_steps=6)
    tuned = tuner.Tuner(recipe, tiny_2.architecture, tiny_2.tensors, texts)
    first, other, again = (tuned.fit(part, turn) for turn in (0, 1, 0))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)
    assert tuned.expanded(first)["embedding"].shape == tiny_2.tensors["embedding"].shape
    assert (tuned.expanded(first)["embedding"][PAD] == tiny_2.tensors["embedding"][PAD]).all()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.25, 1.5), (1.0, 3.0)])
def test_blend_is_between_old_and_new(share: float, expected: float) -> None:
    old, new = {"a": np.ones(2, np.float32)}, {"a": np.full(2, 3, np.float32)}
    assert [expected] * 2 == tuner.blended(old, new, share)["a"].tolist()
