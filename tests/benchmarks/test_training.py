"""The training benchmark: turns, ratios and padding on made-up sides, and the whole of it with tiny networks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from batch_scorer.errors import InputError
from benchmarks.training.__main__ import run
from benchmarks.training.measure import Side, padding_share, time_rounds, timings
from tests.train.traced import quick_graphs

pytestmark = pytest.mark.slow

TINY = {"embedding_dim": 4, "units": 4, "attention_units": 4, "max_length": 20}


@pytest.fixture
def reviews(tmp_path: Path) -> str:
    texts = [" ".join(["good" if i % 2 else "bad", *["film"] * (i % 7)]) for i in range(40)]
    path = tmp_path / "reviews.parquet"
    pq.write_table(
        pa.table({"text": texts, "label": [i % 2 for i in range(40)], "id": [str(i) for i in range(40)]}), path
    )
    return str(path)


def test_padding_share_counts_what_each_batch_adds_to_its_shorter_reviews() -> None:
    lengths = np.array([2, 4, 10, 10])
    assert 1 - 26 / 28 == pytest.approx(padding_share(lengths, [np.array([0, 1]), np.array([2, 3])]))
    assert 1 - 26 / 40 == pytest.approx(padding_share(lengths, [np.arange(4)]))


def test_sides_take_turns_and_only_rounds_after_the_warm_up_count() -> None:
    taken: list[tuple[str, int]] = []
    times = itertools.accumulate([0, 3, 0, 1, 0, 2, 0, 4])  # start and end of each timed pass

    def side(name: str) -> Side:
        note: Callable[[int], None] = lambda number: taken.append((name, number))  # noqa: E731
        return Side(name, 8, 0.0, 0.0, note)

    sides = [side("a"), side("b")]
    seconds = time_rounds(sides, 2, lambda: next(times))
    assert [("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)] == taken
    assert {"a": [1, 2], "b": [3, 4]} == seconds


def test_timings_are_medians_and_ratios_are_taken_within_a_round() -> None:
    sides = [Side("first", 32, 0.5, 0.5, print), Side("other", 64, 0.1, 0.2, print)]
    first, other = timings(sides, {"first": [10, 20, 40], "other": [5, 4, 10]}, reviews=2_500)
    assert (200, 100, 400, 1, 1, 1) == (
        first.seconds, first.seconds_low, first.seconds_high, first.ratio, first.ratio_low, first.ratio_high
    )  # fmt: skip
    assert (50, 40, 100, 0.25, 0.2, 0.5) == (
        other.seconds, other.seconds_low, other.seconds_high, other.ratio, other.ratio_low, other.ratio_high
    )  # fmt: skip


def test_run_with_tiny_networks_times_every_side(reviews: str, tmp_path: Path) -> None:
    with quick_graphs():
        run(reviews, "id", 1, 16, tmp_path / "results", Console(quiet=True), **TINY)
    found = json.loads((tmp_path / "results" / "training.json").read_text())
    expected = {"data": "reviews.parquet", "reviews": 16, "rounds": 1, "epoch_reviews": 25_000}
    assert expected == {name: found[name] for name in expected}
    names = [
        "notebook",
        "default, plain",
        "default",
        "default, half adversarial",
        "default, Keras' loops",
        "pre-training",
    ]
    assert names == [side["name"] for side in found["sides"]]
    assert 1 == found["sides"][0]["ratio"]
    assert all(
        side["seconds"] > 0 and 0 <= side["padding"] < found["sides"][0]["padding"] for side in found["sides"][1:]
    )
    table = (tmp_path / "results" / "training.md").read_text()
    assert all(f"| {name} | " in table for name in names)


def test_sides_that_are_named_are_compared_with_the_first_of_them(reviews: str, tmp_path: Path) -> None:
    names = ("default, half adversarial", "default, plain")
    with quick_graphs():
        run(reviews, "id", 1, 16, tmp_path, Console(quiet=True), names, **TINY)
    sides = json.loads((tmp_path / "training.json").read_text())["sides"]
    assert [*names] == [side["name"] for side in sides] and 1 == sides[0]["ratio"] != sides[1]["ratio"]


def test_run_on_fewer_reviews_than_asked_for_refuses(reviews: str) -> None:
    with pytest.raises(InputError, match="too few reviews"):
        run(reviews, "id", 1, 41, None, Console(quiet=True), **TINY)
