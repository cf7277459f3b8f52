"""The examples in the docstrings of the Python API print what they say."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import json
from pathlib import Path

import pytest

# In this order: the examples of `run` open what that of `job` writes.
MODULES = [
    "batch_scorer",
    *(f"batch_scorer.api.{name}" for name in ("model", "explanation", "job", "run", "transform")),
]
REVIEWS = [("r1", "A lovely film."), ("r2", "Dull.")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the file that the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    lines = [json.dumps({"review_id": name, "text": text}) + "\n" for name, text in REVIEWS]
    (folder / "reviews.jsonl").write_text("".join(lines))
    return folder


@pytest.mark.usefixtures("plain_shipped")
def test_examples_print_what_they_say(place: Path) -> None:
    tried = {}
    with contextlib.chdir(place):
        for name in MODULES:
            failed, tried[name] = doctest.testmod(importlib.import_module(name))
            assert 0 == failed, name
    assert {name for name in MODULES if name != "batch_scorer.api.explanation"} <= {n for n, t in tried.items() if t}
