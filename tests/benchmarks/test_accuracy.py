"""The accuracy benchmark: NBSVM's parts by hand, McNemar's test on known counts, and the command on toy reviews."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from scipy import sparse

from batch_scorer.models import artifact
from batch_scorer.models.network import forward
from batch_scorer.models.tokenizer import words
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.compare import Answers, answers_of, compare, mcnemar
from tests.conftest import REVIEWS, TINY, save_tiny
from train import nbsvm
from train.data import Examples, split

GOOD = ("a wonderful film", "loved every minute of it", "great plot and great music", "not bad at all")
BAD = ("a boring film", "hated every minute of it", "poor plot and poor music", "bad, not good at all")
QUICK = tuple(nbsvm.Settings(2, classifier, 1.0, beta) for classifier in ("hinge", "logistic") for beta in (0.25, 1.0))


def toy(prefix: str, times: int) -> Examples:
    texts = [(text, 1) for text in GOOD] + [(text, 0) for text in BAD]
    texts = [(f"{text}, {prefix} no {i}", y) for i, (text, y) in enumerate(texts * times)]
    ids = tuple(f"{prefix}{i}" for i in range(len(texts)))
    return Examples(ids, tuple(text for text, _ in texts), np.array([y for _, y in texts], np.int8))


def to_parquet(examples: Examples, path: Path) -> str:
    columns = {"review_id": examples.ids, "text": examples.texts, "label": examples.labels}
    pq.write_table(pa.table(columns), path)
    return str(path)


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix])
def test_log_count_ratio_of_three_reviews_is_that_worked_out_by_hand(form: type) -> None:
    # Columns: good, bad, film. With 1 added, positive reviews hold them 3, 1, 2 times of 6, negative ones 1, 2, 2 of 5.
    counts = form(np.array([[1.0, 0, 1], [1, 0, 0], [0, 1, 1]]))
    expected = np.log([(3 / 6) / (1 / 5), (1 / 6) / (2 / 5), (2 / 6) / (2 / 5)])
    np.testing.assert_allclose(expected, nbsvm.log_count_ratio(counts, np.array([1, 1, 0])), rtol=1e-12)


def test_interpolated_weights_move_from_their_mean_magnitude_to_themselves() -> None:
    weight = np.array([4.0, -1.0, 1.0])
    assert [[2, 2, 2], [2.5, 1.25, 1.75], [4, -1, 1]] == [nbsvm.interpolated(weight, b).tolist() for b in (0, 0.25, 1)]


def test_counter_counts_an_n_gram_of_the_projects_words_once_a_review() -> None:
    counter = nbsvm.counter_of(2)
    counts = counter.fit_transform(["It's GOOD, good<br />good"])
    assert ["good", "good good", "it's", "it's good"] == sorted(counter.get_feature_names_out())
    assert [1, 1, 1, 1] == counts.toarray()[0].tolist()


@pytest.mark.parametrize("settings", QUICK, ids=lambda s: f"{s.classifier}-{s.beta}")
def test_nbsvm_of_reviews_told_apart_by_word_pairs_learns_them(settings: nbsvm.Settings) -> None:
    training, validation = split(toy("r", 20), 0.2)
    (trial,) = nbsvm.search(training, validation, [settings])
    assert 1.0 == trial.metrics["accuracy"]
    model, new = nbsvm.fit(training, trial), toy("new", 1)
    assert new.labels.tolist() == (model.logits(new.texts) > 0).astype(int).tolist()


def test_search_gives_what_each_setting_gives_alone() -> None:
    training, validation = split(toy("r", 10), 0.3)
    grid = (nbsvm.Settings(1, "logistic", 0.1, 0.5), nbsvm.Settings(2, "logistic", 0.1, 0.5))
    found = nbsvm.search(training, validation, grid)
    assert list(grid) == [trial.settings for trial in found]
    for trial in found:
        model = nbsvm.fit(training, trial)
        expected = Answers("alone", model.logits(validation.texts), model.temperature)
        assert compare([expected], validation.labels)[0].log_loss == pytest.approx(trial.metrics["log_loss"])


def test_best_trial_has_the_highest_accuracy_and_then_the_least_loss() -> None:
    measured = {"a": (0.8, 0.1), "b": (0.9, 0.4), "c": (0.9, 0.3)}
    trials = {
        name: nbsvm.Trial(nbsvm.Settings(), 1.0, {"accuracy": accuracy, "log_loss": loss})
        for name, (accuracy, loss) in measured.items()
    }
    assert trials["c"] is nbsvm.best(trials.values())


def test_mcnemar_of_known_counts_is_the_binomial_tail_twice() -> None:
    assert 2 * (1 + 12 + 66) / 2**12 == pytest.approx(mcnemar(10, 2))
    assert mcnemar(10, 2) == pytest.approx(mcnemar(2, 10))
    assert [1.0, 1.0] == [mcnemar(0, 0), mcnemar(7, 7)]


def test_rows_count_the_reviews_that_one_model_alone_has_right() -> None:
    labels = np.array([1, 1, 1, 0, 0, 0])
    first = Answers("first", np.array([2.0, 2, 2, -2, 2, 2]), 1.0)  # right on reviews 0 to 3
    second = Answers("second", np.array([2.0, -2, -2, 2, -2, 2]), 1.0)  # on 0 and 4
    rows = compare([first, second], labels)
    assert ("first", 4 / 6, None, None, None) == (
        rows[0].name, rows[0].accuracy, rows[0].only_first_right, rows[0].only_second_right, rows[0].p_value
    )  # fmt: skip
    assert (2 / 6, 3, 1, 0.625) == (
        rows[1].accuracy, rows[1].only_first_right, rows[1].only_second_right, rows[1].p_value
    )  # fmt: skip


def test_answers_are_read_by_the_threshold_of_their_model() -> None:
    labels, logits = np.array([1, 0]), np.array([1.0, 0.9])
    assert [True, False] == Answers("usual", logits, 1.0).correct(labels).tolist()
    assert [True, True] == Answers("strict", logits, 1.0, threshold=0.72).correct(labels).tolist()


def test_answers_of_a_model_are_its_logits_in_the_order_of_the_reviews(tiny: artifact.Artifact) -> None:
    texts = [text for _, text in REVIEWS]
    expected = [forward(tiny.tensors, tiny.architecture, tiny.tokenizer.ids(words(text))).logit for text in texts]
    found = answers_of("tiny", tiny, texts)
    np.testing.assert_allclose(expected, found.logits, atol=1e-5)
    assert (1.3, 0.5) == (found.temperature, found.threshold)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    training = to_parquet(toy("train", 10), tmp_path / "train.parquet")
    return ["--train", training, "--test", to_parquet(toy("test", 3), tmp_path / "test.parquet")]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def test_command_compares_every_model_and_nbsvm_with_the_first(
    files: list[str], tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nbsvm, "GRID", QUICK)
    variant = dataclasses.replace(TINY, recurrent_activation="relu", masked=False)
    notebook = save_tiny(tmp_path / "notebook", seed=1, architecture=variant)
    models = ("--model", f"tiny={tiny_model}", "--model", f"notebook={notebook}")
    output = tmp_path / "results"
    result = run(*files, "--id-column", "review_id", *models, "--search", "--output", output)
    assert 0 == result.exit_code, result.output
    assert "tiny was not trained on train.parquet" in result.output
    found = json.loads((output / "comparison.json").read_text())
    assert {"reviews": 24, "data": ["train.parquet", "test.parquet"]} == {k: found[k] for k in ("reviews", "data")}
    first, second, rival = found["rows"]
    assert ["tiny", "notebook", "NBSVM"] == [row["name"] for row in found["rows"]]
    assert {
        "name", "accuracy", "accuracy_low", "accuracy_high", "auc", "log_loss", "ece",
        "only_first_right", "only_second_right", "p_value",
    } == set(first)  # fmt: skip
    assert (None, None, None) == (first["only_first_right"], first["only_second_right"], first["p_value"])
    for row in (second, rival):
        expected = round(24 * (first["accuracy"] - row["accuracy"]))
        assert expected == row["only_first_right"] - row["only_second_right"]
    assert 1.0 == rival["accuracy"] > first["accuracy"]
    table = (output / "comparison.md").read_text()
    assert all(f"| {name} | " in table for name in ("tiny", "notebook", "NBSVM"))
    assert [dataclasses.asdict(s) for s in QUICK] == [
        trial["settings"] for trial in json.loads((output / "nbsvm.json").read_text())
    ]


def test_command_given_a_model_without_a_name_or_twice_refuses(files: list[str], tiny_model: Path) -> None:
    for models in ([str(tiny_model)], [f"a={tiny_model}"] * 2, [f"NBSVM={tiny_model}"], ["a="]):
        result = run(*files, *(part for model in models for part in ("--model", model)))
        assert 2 == result.exit_code
        assert "--model NAME=DIR" in result.output


def test_command_given_training_reviews_as_test_reviews_refuses(files: list[str], tiny_model: Path) -> None:
    result = run("--train", files[1], "--test", files[1], "--id-column", "review_id", "--model", f"a={tiny_model}")
    assert 2 == result.exit_code
    assert "training and test reviews share ids" in result.output
