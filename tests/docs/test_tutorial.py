"""docs/tutorial.ipynb: every cell runs, and what is the same everywhere is what the file shows."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest

from batch_scorer.cli import main
from tests import tutorial
from train import cli as train_cli

COMMANDS = {"python -m train": train_cli.main, "batch-scorer score": main.main.commands["score"]}


def prose(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def checked_in() -> Any:
    return nbformat.read(tutorial.NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tutorial.execute(tmp_path_factory.mktemp("tutorial"))


def outputs(notebook: Any, stable: bool) -> dict[str, str]:
    """What each cell of code printed, by the cell's id."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return {c.id: tutorial.printed(c) for c in cells if (tutorial.STABLE in c.metadata.get("tags", ())) == stable}


@pytest.mark.slow
def test_notebook_runs_and_prints_what_the_file_shows(checked_in: Any, executed: Any) -> None:
    assert outputs(checked_in, stable=True) == outputs(executed, stable=True)


@pytest.mark.slow
def test_other_outputs_of_the_file_have_the_shape_of_a_run(checked_in: Any, executed: Any) -> None:
    def kinds(notebook: Any) -> dict[str, list[tuple[str, list[str]]]]:
        return {
            cell.id: [(output.output_type, sorted(output.get("data", ()))) for output in cell.outputs]
            for cell in notebook.cells
            if cell.cell_type == "code"
        }

    assert kinds(executed) == kinds(checked_in)


def test_file_holds_no_timing_and_no_path_of_a_machine(checked_in: Any) -> None:
    for name, text in (outputs(checked_in, stable=True) | outputs(checked_in, stable=False)).items():
        assert [] == re.findall(r"(?:/tmp|/home|/root|/Users|/var|/work)\b\S*", text), name
        assert tutorial.without_timings(text) == text, name


def test_file_is_small_and_its_cells_are_short(checked_in: Any) -> None:
    assert tutorial.NOTEBOOK.stat().st_size < 400_000
    assert [] == [c.id for c in checked_in.cells if c.cell_type == "code" and len(c.source.splitlines()) > 30]


def test_links_lead_to_files(checked_in: Any) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", prose(checked_in)) if not link.startswith("https://")]
    assert len(links) > 5
    assert [] == [link for link in links if not (tutorial.NOTEBOOK.parent / link).is_file()]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_are_not_run_have_options_that_exist(checked_in: Any, command: str) -> None:
    blocks = re.findall(r"(?m)^    (" + command + r"(?: .*\\\n)* .*)$", prose(checked_in))
    given = {option for block in blocks for option in re.findall(r" (--[a-z-]+)", block.split(" -- ")[0])}
    known = {option for parameter in COMMANDS[command].params for option in parameter.opts}
    assert {"--output"} == given & {"--output"}
    assert set() == given - known
