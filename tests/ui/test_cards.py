"""The card of a model, the scores of a run as blocks, and how a command that is shown calls this program."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from batch_scorer.cli.framework import program
from batch_scorer.escape import install
from batch_scorer.models import artifact
from batch_scorer.ui import terminal
from batch_scorer.ui.cards import model_card, positive_share, run_card
from tests.ui.test_summary import manifest


def shown(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return " ".join(on.file.getvalue().split())


def test_card_of_the_shipped_model_says_how_good_it_is_and_of_what_kind_its_reviews_were() -> None:
    on = Console(file=io.StringIO(), width=100, color_system=None)
    told = json.loads((Path(artifact.SHIPPED) / "manifest.json").read_text(encoding="utf-8"))
    model_card(on, "model", told, "0" * 12)
    found = told["metrics"]["validation"]
    accuracy = f"{found['accuracy']:.3f} ({found['accuracy_low']:.3f} to {found['accuracy_high']:.3f} at 95%)"
    profile = told["training_profile"]
    for text in (accuracy, f"{found['reviews']:,} reviews held out", f"off by {found['ece']:.1%} on average",
                 f"{profile['words'] / profile['reviews']:.0f} words on average", "31,936"):  # fmt: skip
        assert text in shown(on)


def test_card_says_what_the_labels_meant_where_the_model_knows() -> None:
    told = json.loads((Path(artifact.SHIPPED) / "manifest.json").read_text(encoding="utf-8"))
    counts = {"positive": 9, "negative": 7, "neither": 2, "missing": 1}
    labels = {"column": "stars [1]", "positive": [">=4"], "negative": ["<=2"], "counts": counts}
    on = Console(file=io.StringIO(), width=100, color_system=None)
    model_card(on, "model", {**told, "training": {**told["training"], "labels": labels}}, "0" * 12)
    assert "stars [1]: >=4 positive, <=2 negative (9 and 7; 3 left out)" in shown(on)


def test_card_of_a_model_that_was_never_judged_says_so() -> None:
    on = Console(file=io.StringIO(), width=100, color_system=None)
    told = json.loads((Path(artifact.SHIPPED) / "manifest.json").read_text(encoding="utf-8"))
    model_card(on, "model", {**told, "metrics": {}}, "0" * 12)
    assert "accuracy unknown" in shown(on)


def test_share_is_of_the_label_where_the_scores_can_tell() -> None:
    assert ("positive", 0.25) == positive_share(manifest())
    assert ("positive", 0.75) == positive_share(manifest(threshold=0.2))
    assert ("P >= 0.5", 0.25) == positive_share(manifest(threshold=0.47))


def test_card_of_a_run_draws_its_scores_and_measures_its_shift() -> None:
    on = Console(file=io.StringIO(), width=100, color_system=None)
    run_card(on, "out", manifest(), True)
    assert isinstance(on.file, io.StringIO)
    lines = [line.rstrip() for line in on.file.getvalue().splitlines()]
    assert " P(positive)  0   █ █    ██          1" in lines
    assert "scores 0.00 (stable), lengths 0.00 (stable), unknown words 0.00 (stable)" in shown(on)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ({"a-1": 7, "b-1": 31}, "2, with 31, 7 shards"),
        (
            {f"a-{i}": 1_000 + i for i in range(12)},
            "12, with 1,011, 1,010, 1,009, 1,008, 1,007, 1,006, 1,005, 1,004 ...",
        ),
        ({"a-1": 7}, ""),
        (None, ""),
    ],
)
def test_card_of_a_run_says_how_many_shards_its_workers_did(workers: dict[str, int] | None, expected: str) -> None:
    on = Console(file=io.StringIO(), width=200, color_system=None)
    run_card(on, "out", manifest() | ({"workers": workers} if workers else {}), True)
    assert (" workers 1" in shown(on) or " workers 2" in shown(on)) == bool(expected)
    assert expected in shown(on)


@pytest.mark.parametrize(("encoding", "expected"), [("utf-8", "▁ █▄"), ("ascii", "_ #:")])
def test_bars_show_every_bin_that_holds_anything(encoding: str, expected: str) -> None:
    on = Console(file=io.TextIOWrapper(io.BytesIO(), encoding))
    assert expected == terminal.bars(on, [1, 0, 1_000, 500])
    assert "  " == terminal.bars(on, [0, 0])


@pytest.mark.parametrize(
    ("called", "path", "expected"),
    [
        ("venv/bin/batch-scorer", "venv/bin", "batch-scorer"),
        ("venv/bin/batch-scorer", "elsewhere", "venv/bin/batch-scorer"),
        ("my venv/bin/batch-scorer", "elsewhere", "'my venv/bin/batch-scorer'"),
        ("lib/batch_scorer/__main__.py", "elsewhere", "{python} -m batch_scorer"),
        ("lib/pytest/__main__.py", "elsewhere", "batch-scorer"),
    ],
)
def test_program_is_called_again_as_a_shell_here_finds_it(
    called: str, path: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / called
    place.parent.mkdir(parents=True)
    place.touch(0o755)
    place.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / path))
    monkeypatch.setattr(sys, "argv", [str(place)])
    assert expected.format(python=sys.executable) == program()


@pytest.mark.parametrize(
    ("path", "expected"), [("venv/bin", "python"), ("elsewhere", "venv/bin/python"), ("", "venv/bin/python")]
)
def test_hints_call_the_python_that_has_the_packages(
    path: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("venv/bin", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "python").touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / path) if path else "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/bin/python"))
    assert f"{expected} -m pip install -e '.[report]'" == install("report")
