"""The model card: the committed page is what its sources say, and they are of the shipped model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from batch_scorer.models.artifact import SHIPPED
from train.evaluate.command import card, render

ROOT = Path(__file__).parents[2]
PAGE, SOURCES = ROOT / "docs/model_card.md", ROOT / "docs/model_card"


def test_model_card_is_what_its_sources_say() -> None:
    expected = render(SOURCES, SHIPPED, PAGE)
    assert expected == PAGE.read_text(encoding="utf-8"), "out of date: run `python -m train card docs/model_card`"


def test_model_card_is_for_the_shipped_model() -> None:
    shipped = (Path(SHIPPED) / "MODEL_ID").read_text()[:12]
    assert shipped == json.loads((SOURCES / "evaluation.json").read_text(encoding="utf-8"))["model"]["id"]


def test_model_card_links_files_that_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text(encoding="utf-8"))
    assert {f"model_card/{name}.svg" for name in ("curves", "faithfulness", "reliability", "slices")} <= set(links)
    assert set() == {link for link in links if not (PAGE.parent / link).exists()}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the sources."""
    return Path(shutil.copytree(SOURCES, tmp_path / "sources"))


def test_card_command_writes_page_and_figures(copied: Path, tmp_path: Path) -> None:
    for figure in copied.glob("*.svg"):
        figure.unlink()
    result = CliRunner().invoke(card, [str(copied), "--output", str(tmp_path / "card.md")], catch_exceptions=False)
    assert 0 == result.exit_code, result.output
    assert PAGE.read_text(encoding="utf-8").replace("(model_card/", "(sources/") == (tmp_path / "card.md").read_text()
    assert {path.name for path in SOURCES.glob("*.svg")} == {path.name for path in copied.glob("*.svg")}


def test_card_of_a_different_model_is_refused(copied: Path, tiny_model: Path, tmp_path: Path) -> None:
    output = tmp_path / "card.md"
    result = CliRunner().invoke(card, [str(copied), "--model", str(tiny_model), "--output", str(output)])
    assert 2 == result.exit_code
    assert "the evaluation is for a different model" in result.output
    assert not output.exists()


def test_card_without_a_source_is_refused(copied: Path, tmp_path: Path) -> None:
    (copied / "ablation.json").unlink()
    result = CliRunner().invoke(card, [str(copied), "--output", str(tmp_path / "card.md")])
    assert 2 == result.exit_code
    assert "ablation.json" in result.output


def test_card_without_a_comparison_leaves_it_out(copied: Path, tmp_path: Path) -> None:
    (copied / "comparison.json").unlink(missing_ok=True)
    assert "## Comparison" not in render(copied, SHIPPED, tmp_path / "card.md")
