"""The size of a batch: what the processor's products take at a time goes into it."""

from __future__ import annotations

import pytest

from batch_scorer.config import PRECISIONS
from batch_scorer.models.batch_sizes import BATCH_SIZES, float32_rows


@pytest.mark.parametrize(
    ("features", "at_a_time"),
    [({"fma", "avx", "avx2"}, 6), ({"avx2", "avx512f", "avx512_bf16"}, 5), ({"asimd"}, 5), (set[str](), 5)],
)
def test_batch_is_a_multiple_of_what_a_product_takes_at_a_time(features: set[str], at_a_time: int) -> None:
    rows = float32_rows(frozenset(features))
    assert 0 == rows % at_a_time
    assert 32 < rows < 64  # fewer pay for each step, more leave the nearest cache


def test_every_precision_has_a_size() -> None:
    assert set(PRECISIONS) == set(BATCH_SIZES)
