"""The benchmark of groups that moved: what it plants is in the rows, and it counts what a report says of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.movers.__main__ import Result, judge, summary
from benchmarks.movers.corpus import LARGE, SMALL, Planted, Pool, Shape, write_corpus
from tests.jobs import rows
from tests.made_runs import write_run

SHAPE = Shape(reviews=20_000, products=12, months=12, quarter=3, half=6)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    output = tmp_path_factory.mktemp("pool") / "run"
    write_run(output, 2_000, top_k=5)
    return Pool(str(output))


@pytest.fixture(scope="module")
def planted(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Planted, ...]]:
    pool.reasons = lambda positive, rng: ("zyzzyva", np.flatnonzero(pool.is_positive == positive)[:40])  # type: ignore[method-assign]
    output = tmp_path_factory.mktemp("planted") / "made"
    return output, write_corpus(pool, SHAPE, 3, True, output)


def test_planted_products_have_their_size_and_moved_by_so_many_points(
    planted: tuple[Path, tuple[Planted, ...]],
) -> None:
    output, found = planted
    counts, positive = Counter[tuple[str, bool]](), Counter[tuple[str, bool]]()
    months = {one.product: one.months for one in found}
    for row in rows(output):
        year, month, _ = map(int, row["date"].split("-"))
        last = months.get(row["product"], 0)
        key = row["product"], (year - 2024) * 12 + month > SHAPE.months - last
        counts[key] += 1
        positive[key] += row["predicted_label"] == "positive"
    assert [SHAPE.quarter] * 4 + [SHAPE.half] == sorted(one.months for one in found)
    for one in found:
        size = counts[one.product, True] + counts[one.product, False]
        assert size >= LARGE or (size, one.points) == (SMALL, -0.25)
        now, before = (positive[one.product, is_now] / counts[one.product, is_now] for is_now in (True, False))
        assert one.points == pytest.approx(now - before, abs=0.12)


def test_report_of_a_planted_corpus_is_judged_by_what_was_planted(planted: tuple[Path, tuple[Planted, ...]]) -> None:
    output, found = planted
    result = judge(3, found, output)
    assert 5 == result.planted
    assert result.found >= 4
    assert 0 == result.false
    fewer = judge(3, found[1:], output)
    assert result.found == fewer.found + fewer.false


def test_reason_is_a_word_of_that_label_and_of_the_rows_given(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 3_000, top_k=5)
    pool = Pool(str(tmp_path / "run"))
    pool.rows.validate()
    lists = pool.rows["top_contributing"].to_pylist()
    word, reviews = pool.reasons(False, np.random.default_rng(1), (0.0, 1.0))
    assert len(reviews) > 0
    for at in reviews.tolist():
        assert not pool.is_positive[at]
        assert word in [listed["token"] for listed in lists[at]]


def test_summary_counts_over_all_corpora() -> None:
    results = [Result(0, 5, 4, 1, 3, (), 2.0), Result(1, 5, 5, 0, 5, (), 3.0)]
    without = [Result(0, 0, 0, 0, 0, (), 1.0), Result(1, 0, 0, 2, 0, (), 1.0)]
    first, second, third, fourth = summary(results, without)
    assert "with 10 planted: 9 named, and 1 others, 10.0% of those named" == first
    assert "3 words of 8 of the 9 named" in second
    assert "none named in 1 of 2" in third
    assert "3.0 at most" in fourth
