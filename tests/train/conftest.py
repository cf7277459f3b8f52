"""Trainings in tests take few steps, so that most of their time would go into the making of graphs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.train.traced import quick_graphs


@pytest.fixture(scope="module", autouse=True)
def graphs() -> Iterator[None]:
    """Trainings of a file share their graphs."""
    with quick_graphs():
        yield
