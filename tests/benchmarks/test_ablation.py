"""The ablation: variants are trained from the full run's tensors, once, and tabled by their validation figures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from batch_scorer.models import artifact
from benchmarks.ablation.__main__ import VARIANTS, main
from tests.train.test_train import run, write
from tests.train.traced import quick_graphs
from train import full
from train.options import changed

pytestmark = pytest.mark.slow

SHORT = ("--epochs", 1, "--set", "pretraining.epochs=1", "--set", "teacher.folds=0", "--set", "mixture.sentences=0")


def test_every_variant_is_a_setting_of_the_recipe() -> None:
    for settings in VARIANTS.values():
        assert full.Recipe() != changed(full.Recipe(), settings)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Variants are trained in this process and for one epoch: another process would spend its time on importing."""

    def train(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        assert [sys.executable, "-m", "train"] == command[:3]
        result = run(*command[3:], *SHORT)
        return subprocess.CompletedProcess(command, result.exit_code)

    monkeypatch.setattr(subprocess, "run", train)
    with quick_graphs():
        yield


@pytest.mark.usefixtures("in_process")
def test_ablation_trains_what_is_missing_and_tables_the_rest(tmp_path: Path) -> None:
    data = write(tmp_path, "jsonl")
    model = tmp_path / "model"
    variant_name = "one, no adversarial term"
    settings = [part for setting in VARIANTS[variant_name] for part in ("--set", setting)]  # and so with its graph
    run("--preset", "full", "--data", data, "--id-column", "id", *SHORT, *settings, "--output", model)
    arguments = ["--data", data, "--id-column", "id", "--full", model, "--default", model, "--only",
                 variant_name, "--models", tmp_path / "variants", "--output", tmp_path / "a.json"]  # fmt: skip
    first = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert 0 == first.exit_code, first.output
    variant = artifact.load(str(tmp_path / "variants" / "one-no-adversarial-term"))
    assert 0 == variant.manifest["training"]["recipe"]["perturbation"]
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert ["full", "no pre-training (preset default)", variant_name] == [row["variant"] for row in rows]
    assert variant.manifest["metrics"]["validation"]["log_loss"] == rows[2]["log_loss"]

    (tmp_path / "variants" / "one-no-adversarial-term.work" / "settings.json").unlink()
    again = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert 0 == again.exit_code
    assert not (tmp_path / "variants" / "one-no-adversarial-term.work" / "settings.json").exists()
