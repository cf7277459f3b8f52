"""Groups of two runs: which of them moved, by distribution and by id, and in every output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from batch_scorer.compare.compare import compare
from batch_scorer.compare.group_result import GroupChange, GroupChanges
from batch_scorer.compare.result import DISTRIBUTION, RECORD_ID, Question
from tests.compare.conftest import Rows, WriteRun, listed, run

PRODUCTS = tuple(f"p{at}" for at in range(8))
Outputs = tuple[str, str]


def reviews(side: str, shares: dict[str, float], reason: str | None = None, each: int = 150) -> Rows:
    """Rows of every product with exactly this share of positive ones; half of the negative ones of p3 list `reason`."""
    made = []
    for product in PRODUCTS:
        for at in range(each):
            is_positive = at < round(shares.get(product, 0.6) * each)
            words = [("fine", 0, 1.0)] if is_positive else [("worst", 0, -1.0)]
            if reason and product == "p3" and not is_positive and at % 2:
                words.append((reason, 1, -0.5))
            made.append(
                {
                    "record_id": f"{side}{product}-{at:03d}",
                    "probability": 0.9 if is_positive else 0.1,
                    "product": product,
                    "top_contributing": listed(*words),
                }
            )
    return made


@pytest.fixture
def corpora(write_run: WriteRun) -> Outputs:
    """Two runs of different reviews: in the second, p3 has fewer positive ones, since the *hinge* breaks."""
    options: dict[str, Any] = {"kept": ("product",), "top_k": 10}
    return (
        write_run("a", reviews("a", {}), **options),
        write_run("b", reviews("b", {"p3": 0.4, "p5": 0.57}, "hinge"), **options),
    )


@pytest.fixture
def models(write_run: WriteRun) -> Outputs:
    """The same reviews twice: in the second run, 20 of p3 and two of each other product have become negative."""
    options: dict[str, Any] = {"kept": ("product",), "top_k": 10}
    shares = {product: 0.6 - 2 / 150 for product in PRODUCTS} | {"p3": 0.6 - 20 / 150}
    return write_run("a", reviews("", {}), **options), write_run("b", reviews("", shares), **options)


def changes(outputs: Outputs, **options: Any) -> GroupChanges:
    comparison = compare(*outputs, Question(group_by=("product",), **options))
    assert comparison.groups is not None
    return comparison.groups


def test_group_that_fell_is_named_with_what_sets_it_apart(corpora: Outputs) -> None:
    found = changes(corpora)
    assert (8, 1) == (found.tested, found.moved)
    first, *others = found.groups
    assert ("p3", True, ["hinge"]) == (first.value, first.moved, [word.text for word in first.words])
    assert (90, 60, 150, 150) == (first.a.count, first.b.count, first.a.reviews, first.b.reviews)
    assert -0.2 == pytest.approx(first.change)
    assert first.low is not None
    assert first.high is not None
    assert first.low < -0.2 < first.high < 0
    assert not any(change.moved or change.words for change in others)
    assert (None, None) == (first.to_positive, first.to_negative)


def test_same_reviews_are_compared_by_the_labels_that_changed(models: Outputs) -> None:
    comparison = compare(*models, Question(group_by=("product",)))
    assert RECORD_ID == comparison.by
    assert comparison.groups is not None
    first = comparison.groups.groups[0]
    assert ("p3", True, 0, 20, None) == (first.value, first.moved, first.to_positive, first.to_negative, first.low)
    # Two flips of each other product may be chance. In two samples of different reviews, even those of p3 may be.
    assert 1 == comparison.groups.moved
    assert 0 == changes(models, by=DISTRIBUTION).moved


def test_shift_of_all_groups_is_no_move_of_any(write_run: WriteRun) -> None:
    a = write_run("a", reviews("", {}), kept=("product",))
    b = write_run("b", reviews("", dict.fromkeys(PRODUCTS, 0.4)), kept=("product",))
    for way in (RECORD_ID, DISTRIBUTION):
        found = changes((a, b), by=way)
        assert (8, 0) == (found.tested, found.moved)


def test_story_and_table_name_the_groups(corpora: Outputs) -> None:
    result = run(*corpora, "--group-by", "product", "--rows", 3)
    assert 0 == result.exit_code, result.output
    assert "1 of 8 groups moved: p3 60% to 40% (hinge)." in result.output
    assert "groups: share positive" in result.output
    assert "and 5 more; --rows shows more of them" in result.output


def test_json_and_table_on_disk_have_every_group(corpora: Outputs, tmp_path: Path) -> None:
    result = run(*corpora, "--group-by", "product", "--json", "--output", tmp_path / "tables")
    document = json.loads(result.output)
    assert str(tmp_path / "tables/groups.parquet") in document["tables"]
    table = pq.read_table(tmp_path / "tables/groups.parquet").to_pylist()
    assert len(PRODUCTS) == len(table) == len(document["groups"]["groups"])
    for row, change in zip(table, document["groups"]["groups"], strict=True):
        shared = ("column", "value", "change", "low", "high", "to_positive", "to_negative", "p", "moved")
        assert {name: change[name] for name in shared} == {name: row[name] for name in shared}
        assert (change["a"]["share"], change["b"]["reviews"]) == (row["positive_a"], row["reviews_b"])


def test_without_groups_there_is_no_table_of_them(corpora: Outputs, tmp_path: Path) -> None:
    result = run(*corpora, "--output", tmp_path / "tables")
    assert 0 == result.exit_code, result.output
    assert ["reviews.parquet", "tokens.parquet", "words.parquet"] == sorted(p.name for p in tmp_path.glob("tables/*"))
    assert "moved:" not in result.output
    assert "groups: share" not in result.output


def test_several_columns_are_told_apart(write_run: WriteRun) -> None:
    outputs = []
    for side, shares in (("a", {}), ("b", {"p3": 0.3})):
        rows = [{**row, "shop": f"shop {at % 2}"} for at, row in enumerate(reviews(side, shares))]
        outputs.append(write_run(side, rows, kept=("product", "shop")))
    result = run(*outputs, "--group-by", "product", "--group-by", "shop", "--rows", 20)
    assert 0 == result.exit_code, result.output
    assert "1 of 10 groups moved: p3 " in result.output
    assert "product: p3" in result.output
    assert "shop: shop 1" in result.output


def test_group_of_one_run_only_is_listed_and_not_tested(write_run: WriteRun) -> None:
    a = write_run("a", [row for row in reviews("a", {}) if row["product"] != "p0"], kept=("product",))
    b = write_run("b", reviews("b", {}), kept=("product",))
    by_value: dict[str, GroupChange] = {change.value: change for change in changes((a, b)).groups}
    assert (0, 150, None, 0.0) == (
        by_value["p0"].a.reviews,
        by_value["p0"].b.reviews,
        by_value["p0"].p,
        by_value["p0"].change,
    )


def test_column_that_a_run_did_not_keep_is_refused(corpora: Outputs, write_run: WriteRun) -> None:
    other = write_run("c", reviews("c", {}))
    result = run(corpora[0], other, "--group-by", "product")
    assert 2 == result.exit_code
    assert "the group column is not in the run" in result.output
    assert "--keep product" in result.output


def test_names_of_groups_are_obeyed_by_no_terminal(write_run: WriteRun) -> None:
    rng = np.random.default_rng(0)
    rows = [{**row, "product": f"\x1b[31m{rng.integers(3)}"} for row in reviews("", {})]
    outputs = [write_run(name, rows, kept=("product",)) for name in "ab"]
    result = run(*outputs, "--group-by", "product")
    assert 0 == result.exit_code, result.output
    assert "\x1b" not in result.output
