"""What the command says: how labels divide before it trains, and which data it refuses, all before training begins."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import train.evaluate
from batch_scorer.escape import install
from train import cli
from train.cli import main
from train.evaluate.command import evaluate
from train.run import Run

ROOT = Path(__file__).parents[2]

GOOD = ("Wonderful hotel, lovely staff", "Spotless room and a superb breakfast", "Very good, small bathroom")
BAD = ("Rude staff, awful smell, never again", "Filthy, broken shower, dreadful", "Slow check-in, hard bed")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def write(path: Path, labels: Sequence[object], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """A review for each label, good ones for those above the middle."""
    with path.open("w", newline="", encoding=encoding) as file:
        table = csv.writer(file, delimiter=delimiter)
        table.writerow(["id", "text", "label"])
        for i, label in enumerate(labels):
            texts = GOOD if str(label) in ("1", "4", "5", "True", "5.0", "05", "positive") else BAD
            table.writerow([f"r{i}", f"{texts[i % 3]}, no {i}", label])
    return path


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the command where training would begin: what is refused must be refused before that."""

    def train(*_: object) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(cli, "Run", train)


REFUSED: dict[str, tuple[Sequence[object], tuple[str, ...], list[str]]] = {
    "stars": (range(1, 6), (), ["cannot tell which labels mean positive", "1 (1 review), 2 (1)", "--positive-value"]),
    "a value that is not there": ("12345", ("--positive-value", "6"), ["does not occur", "1 (1 review), 2 (1)"]),
    "both": ("12345", ("--positive-value", "4", "--negative-value", "<=4"), ["both positive and negative"]),
    "negative alone": ("01", ("--negative-value", "0"), ["--negative-value needs --positive-value"]),
    "three": ("010", (), ["too few reviews are held out", "of 3 held out", "add labelled reviews"]),
    "six": ("010101", (), ["too few reviews are held out", "of 6 held out", "--set validation_share="]),
    "one positive": ("1" + "0" * 99, (), ["too few reviews are held out", "add labelled reviews"]),
    "one label": ("1111", (), ["all labelled reviews have the same label", "4 positive, 0 negative"]),
    "nothing held out": ("01" * 30, ("--set", "validation_share=0"), ["no reviews would be left for one side"]),
    "a wrong encoding": ("01" * 30, ("--encoding", "utf-16"), ["--encoding", "iconv"]),
    "a long delimiter": ("01" * 30, ("--delimiter", ";;"), ["--delimiter must be one character"]),
    "an empty column": ("01" * 30, ("--label-column", ""), ["--label-column is empty"]),
    "another delimiter": ("01" * 30, ("--delimiter", ";"), ["the columns are not separated by ';'", "--delimiter ,"]),
}


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("name", REFUSED)
def test_data_that_nothing_can_be_learnt_from_is_refused_before_training(name: str, tmp_path: Path) -> None:
    labels, options, messages = REFUSED[name]
    data = write(tmp_path / "a.csv", labels)
    result = run("--data", data, "--output", tmp_path / "m", *options)
    assert 2 == result.exit_code, result.output
    assert "error: " in result.stderr
    assert [] == [message for message in messages if message not in result.stderr]
    assert [data] == [*tmp_path.iterdir()]


TOLD: dict[str, tuple[Sequence[object], tuple[str, ...], str]] = {
    "0 and 1": ("01" * 20, (), "20 positive (1), 20 negative (0)"),
    "True": (["True", "False"] * 20, ("--positive-value", "True"), "20 positive (True), 20 negative (False)"),
    "5.0": (["5.0", "1.0"] * 20, ("--positive-value", "5.0"), "20 positive (5), 20 negative (1)"),
    "05": (["05", "01"] * 20, ("--positive-value", "5"), "20 positive (5), 20 negative (1)"),
    "stars": (
        "12345" * 8,
        ("--positive-value", ">=4", "--negative-value", "<=2"),
        "16 positive (4, 5), 16 negative (1, 2), 8 neither (3)",
    ),
    "repeated": (
        "12345" * 8,
        ("--positive-value", "4", "--positive-value", "5"),
        "16 positive (4, 5), 24 negative (1,",
    ),
}


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("name", TOLD)
def test_labels_are_told_apart_and_their_balance_is_said_before_training(name: str, tmp_path: Path) -> None:
    labels, options, sentence = TOLD[name]
    data = write(tmp_path / "a.csv", labels)
    with pytest.raises(AssertionError, match="training began"):
        run("--data", data, "--output", tmp_path / "m", "--id-column", "id", *options)
    said: list[str] = []
    from train.data import Columns, read_examples

    values = dict(zip(("--positive-value", "--negative-value"), ((), ()), strict=True))
    for option, value in zip(options[::2], options[1::2], strict=True):
        values[option] = (*values[option], value)
    columns = Columns(positive=values["--positive-value"], negative=values["--negative-value"])
    read_examples([str(data)], columns, say=said.append)
    assert sentence in said[0]


def test_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "train.evaluate.figures", raising=False)
    monkeypatch.delattr(train.evaluate, "figures", raising=False)
    said: list[str] = []
    cli.draw_curves(Run(tmp_path / "work", False, {}), said.append)
    assert [f"curves.svg needs matplotlib; from a checkout: {install('evaluate')}"] == said
    data = write(tmp_path / "a.csv", "01" * 20)
    result = CliRunner().invoke(evaluate, [str(tiny_model), "--data", str(data), "--output", str(tmp_path / "out")])
    assert (2, True) == (result.exit_code, "pip install -e '.[evaluate]'" in result.stderr)


def test_evaluation_reads_labels_by_the_same_rule(tiny_model: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "a.csv", "12345" * 8, ";")
    common = [str(tiny_model), "--data", str(data), "--delimiter", ";", "--output", str(tmp_path / "out")]
    refused = CliRunner().invoke(evaluate, common)
    assert (2, True) == (refused.exit_code, "cannot tell which labels mean positive" in refused.stderr)
    told = [*common, "--positive-value", ">=4", "--negative-value", "<=2", "--faithfulness-reviews", "0"]
    result = CliRunner().invoke(evaluate, told, catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    assert "16 positive (4, 5), 16 negative (1, 2), 8 neither (3)" in " ".join(result.output.split())
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {"positive": [">=4"], "negative": ["<=2"]}.items() <= found["data"]["labels"].items()
    assert 32 == found["data"]["reviews"]
    assert (
        "Labels in `label: >=4 positive, <=2 negative (16 and 16; 8 left out)`."
        in (tmp_path / "out" / "evaluation.md").read_text()
    )


def test_options_are_checked_before_tensorflow_is_imported_which_is_only_silent_once_hushed() -> None:
    code = "import sys; from train import cli, inputs; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert ("False", "") == (done.stdout.strip(), done.stderr)
