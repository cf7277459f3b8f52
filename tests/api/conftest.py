"""Fixtures: one model for all tests of the Python API, whose child process starts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_scorer import Model, load_model


@pytest.fixture(scope="session")
def model(tiny_model: Path) -> Iterator[Model]:
    """The tiny model."""
    loaded = load_model(tiny_model)
    yield loaded
    loaded.close()
