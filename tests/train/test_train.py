"""Training: reading, splitting, measures, and complete small runs whose models have learnt."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.errors import RefusedError
from batch_scorer.models import artifact
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.tokenizer import PAD, words
from train.cli import main, no_use
from train.data import Columns, bucketed_batches, pad, read_examples, split
from train.metrics import auc, expected_calibration_error, fit_temperature, log_loss, wilson_interval

GOOD = ("a wonderful film", "loved every minute of it", "great plot and great music", "the best film of the year")
BAD = ("a boring film", "hated every minute of it", "poor plot and poor music", "the worst film of the year")


def examples() -> list[dict[str, object]]:
    texts = [(text, 1) for text in GOOD] + [(text, 0) for text in BAD]
    return [{"id": f"{i}", "text": f"{t}, no {i}", "label": y} for i, (t, y) in enumerate(texts * 25)]


def write(directory: Path, form: str) -> Path:
    """Writes the examples in one of the formats that training reads."""
    path = directory / f"reviews.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(examples()), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(e) + "\n" for e in examples()))
    elif form in ("csv", "tsv"):
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, ["id", "text", "label"], delimiter="\t" if form == "tsv" else ",")
            table.writeheader()
            table.writerows(examples())
    else:
        for e in examples():
            folder = path / "train" / ("pos" if e["label"] else "neg")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{e['id']}.txt").write_text(str(e["text"]))
    return path


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv", "tsv", "aclImdb"])
def test_examples_read_from_any_format_are_the_same(tmp_path: Path, form: str) -> None:
    read = read_examples([str(write(tmp_path, form))], Columns(id="id"))
    expected = {(str(e["text"]), e["label"]) for e in examples()}
    assert expected == set(zip(read.texts, read.labels.tolist(), strict=True))
    assert 200 == len(read)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns(text="body"), "'body' is missing"),
        (Columns(label="stars"), "'stars' is missing"),
        (Columns(positive=("5",)), "does not occur among the labels"),
    ],
)
def test_examples_with_wrong_columns_are_refused(tmp_path: Path, columns: Columns, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        read_examples([str(write(tmp_path, "parquet"))], columns)


def test_split_keeps_each_review_on_its_side_when_others_are_added(tmp_path: Path) -> None:
    all_of_them = read_examples([str(write(tmp_path, "jsonl"))], Columns(id="id"))
    _, held_out = split(all_of_them, 0.3)
    _, held_out_of_half = split(all_of_them.subset(np.arange(200) < 100), 0.3)
    assert 30 < len(held_out) < 90
    assert set(held_out_of_half.ids) == {i for i in held_out.ids if int(i) < 100}


@given(st.lists(st.integers(1, 500), min_size=1, max_size=300), st.integers(1, 40))
def test_bucketed_batches_contain_each_review_once(lengths: list[int], batch_size: int) -> None:
    batches = list(bucketed_batches(np.array(lengths), batch_size, np.random.default_rng(0)))
    assert list(range(len(lengths))) == sorted(np.concatenate(batches).tolist())
    assert all(len(batch) <= batch_size for batch in batches)


def test_pad_adds_padding_on_the_left() -> None:
    assert [[PAD, PAD, 1], [1, 5, 6]] == pad([np.array([1], np.int32), np.array([1, 5, 6], np.int32)]).tolist()


def test_temperature_of_logits_that_are_three_times_too_large_is_three() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 2, 200_000)
    labels = (rng.random(200_000) < 1 / (1 + np.exp(-true))).astype(int)
    assert 3 == pytest.approx(fit_temperature(3 * true, labels), rel=0.02)
    assert log_loss(3 * true, labels, 3) < log_loss(3 * true, labels)


def test_measures_of_known_answers_are_those_computed_by_hand() -> None:
    labels = np.array([0, 0, 1, 1])
    assert 0.75 == auc(np.array([0.1, 0.4, 0.35, 0.8]), labels)
    assert 0.5 == auc(np.ones(4), labels)
    # Two bins: confidence 0.9 and correct half of the time, confidence 0.6 and always correct.
    assert (0.4 + 0.4) / 2 == pytest.approx(
        expected_calibration_error(np.array([0.1, 0.6, 0.9, 0.4]), np.array([0, 1, 0, 0]))
    )
    low, high = wilson_interval(9, 10)
    assert (0.5958, 0.9821) == pytest.approx((low, high), abs=1e-4)


def test_interval_holds_the_share_and_stays_within_0_and_1() -> None:
    for trials in range(1, 400):
        for successes in {0, trials // 3, trials}:
            low, high = wilson_interval(successes, trials)
            assert 0 <= low <= successes / trials <= high <= 1


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


@pytest.mark.parametrize(("accuracy", "positive", "label"), [(0.5, 0.5, "positive"), (0.52, 0.02, "negative")])
def test_model_that_is_right_no_more_often_than_one_label_is_told(accuracy: float, positive: float, label: str) -> None:
    assert f"every held-out review {label} would be right on" in (no_use(accuracy, positive) or "")
    assert no_use(0.99, positive) is None


def test_training_learns_and_its_artefact_scores(tmp_path: Path) -> None:
    data, output = write(tmp_path, "jsonl"), tmp_path / "m[v1]"
    result = run("--data", data, "--id-column", "id", "--output", output, "--epochs", 4, "--batch-size", 16)
    assert 0 == result.exit_code, result.output
    assert f"in{output}:validationaccuracy" in "".join(result.output.split())  # wherever the lines are folded
    assert result.output.index("labels in label: 100 positive (1), 100 negative (0)") < result.output.index("epoch 1")
    model = artifact.load(str(output))
    assert model.manifest["metrics"]["validation"]["accuracy"] > 0.9
    labels = {"column": "label", "positive": ["1"], "negative": ["0"]}
    assert labels.items() <= model.manifest["training"]["labels"].items()
    assert "hash" == model.manifest["training"]["split_by"]
    kept = {path.name for path in (tmp_path / "m[v1].work").iterdir()}
    assert {"curves.svg", "log.jsonl", "settings.json", "training.html"} == kept
    engine = ExactEngine(model)
    texts = ["a wonderful film, loved it", "the worst, boring film"]
    good, bad = (engine.run([model.tokenizer.ids(words(text))]).logit[0] for text in texts)
    assert good > 0 > bad
    again = run("--data", data, "--output", output)
    assert 2 == again.exit_code
    assert "already holds a model" in again.output
