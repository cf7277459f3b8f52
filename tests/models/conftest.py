"""The engine itself is tested here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines import tensorflow_engines


@pytest.fixture(scope="module", autouse=True)
def real_engines() -> Iterator[None]:
    """Models score by TensorFlow."""
    with tensorflow_engines():
        yield
