"""Reviews -> counts by group and period, in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from batch_scorer.analysis import groups
from batch_scorer.analysis.groups import count_groups, find_course


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def view(db: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]]) -> None:
    db.execute("create table reviews (product varchar, written varchar, predicted_label varchar)")
    for row in rows:
        db.execute("insert into reviews values (?, ?, ?)", row)


YES, NO = "positive", "negative"


def test_reviews_are_counted_by_group_and_period(db: duckdb.DuckDBPyConnection) -> None:
    view(
        db,
        [
            *[("lamp", "2024-01-05", YES)] * 3,
            *[("lamp", "2024-03-05", NO)] * 2,
            *[("desk", "2024-02-29", YES)] * 4,
            ("desk", None, NO),
            *[(None, "2024-03-31", NO)] * 2,
        ],
    )
    course = find_course(db, "reviews", "written", "written", "month", None)
    assert course is not None
    assert ("ISO dates", 1, 3, False) == (
        course.format,
        course.undated,
        course.periods.finished,
        course.periods.is_unfinished,
    )
    counted = count_groups(db, "reviews", "product", "product", course.period_sql, 3)
    assert ("desk", "lamp", "(none)") == counted.values
    assert [[0, 4, 0], [3, 0, 2], [0, 0, 2]] == counted.reviews.tolist()
    assert [[0, 4, 0], [3, 0, 0], [0, 0, 0]] == counted.positive.tolist()
    assert ([5, 5, 2], [4, 3, 0]) == (counted.all_reviews.tolist(), counted.all_positive.tolist())


def test_groups_beyond_the_largest_are_counted_together(
    db: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    view(db, [(f"p{at}", None, YES) for at in range(5) for _ in range(5 - at)])
    monkeypatch.setattr(groups, "MOST", 2)
    counted = count_groups(db, "reviews", "product", "product")
    assert (("p0", "p1"), 3, 6) == (counted.values, counted.other_groups, counted.other_reviews)
    assert [[5], [4]] == counted.reviews.tolist()


def test_no_reviews_make_no_groups(db: duckdb.DuckDBPyConnection) -> None:
    view(db, [])
    assert find_course(db, "reviews", "written", "written", None, None) is None
    assert () == count_groups(db, "reviews", "product", "product").values


def test_long_values_are_cut(db: duckdb.DuckDBPyConnection) -> None:
    view(db, [("x" * 1_000, None, YES)])
    (value,) = count_groups(db, "reviews", "product", "product").values
    assert "x" * (groups.CHARACTERS - 1) + "…" == value
