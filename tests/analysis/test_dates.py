"""Dates in kept columns: what is clear is read, and what may mean two things is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from batch_scorer.analysis.dates import read_dates
from batch_scorer.errors import OptionError


@pytest.fixture(scope="module")
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def read(db: duckdb.DuckDBPyConnection, values: Any, date_format: str | None = None) -> list[datetime | None]:
    db.register("rows_of_a_test", pa.table({"c": values}))
    dates = read_dates(db, "rows_of_a_test", "c", "written", date_format)
    return [row[0] for row in db.execute(f"select {dates.sql} from rows_of_a_test").fetchall()]


MARCH = datetime(2024, 3, 5)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2024-03-05", None, ""], [MARCH, None, None]),
        (["2024-03-05T10:30:00Z", "2024-03-05 10:30"], [MARCH.replace(hour=10, minute=30)] * 2),
        (["2024-03-05T10:30:00+02:00"], [MARCH.replace(hour=8, minute=30)]),
        (["2024-03"], [MARCH.replace(day=1)]),
        (["5 March 2024", "28 April 2024"], [MARCH, datetime(2024, 4, 28)]),
        (["Tue, 05 Mar 2024 02:00:00 +0200"], [MARCH]),
        (["25/03/2024", "05/03/2024"], [datetime(2024, 3, 25), MARCH]),  # no month is the 25th
        (["03/25/2024", "03/05/2024"], [datetime(2024, 3, 25), MARCH]),
        (["05.03.2024"], [MARCH]),
        ([1709596800], [MARCH]),
        (["1709596800.0"], [MARCH]),
        ([1709596800000], [MARCH]),
        ([1709596800000000], [MARCH]),
        (pa.array([date(2024, 3, 5)]), [MARCH]),
        (pa.array([MARCH], pa.timestamp("ns")), [MARCH]),
        (
            pa.array([datetime(2024, 3, 5, 2, tzinfo=timezone(timedelta(hours=2)))], pa.timestamp("us", "+02:00")),
            [MARCH],
        ),
        ([*["2024-03-05"] * 19, "soon"], [*[MARCH] * 19, None]),
    ],
)
def test_clear_dates_are_read(db: duckdb.DuckDBPyConnection, values: Any, expected: list[datetime | None]) -> None:
    assert expected == read(db, values)


@pytest.mark.parametrize(
    ("values", "messages"),
    [
        (["03/04/2024"], ["may mean several days", "'03/04/2024'", "'%d/%m/%Y'", "'%m/%d/%Y'"]),
        (["20240305"], ["cannot be told", "--date-format '%Y%m%d'"]),
        ([20240305], ["'20240305'", "--date-format '%Y%m%d'"]),
        ([19787], ["cannot be told", "s, ms, us or ns"]),
        ([1709596800, 1709596800000], ["cannot be told"]),
        (["yesterday", "today"], ["'yesterday'", "--date-format"]),
        (["", " "], ["nulls and blanks only"]),
    ],
)
def test_dates_that_may_mean_several_are_asked_with_an_example(
    db: duckdb.DuckDBPyConnection, values: Any, messages: list[str]
) -> None:
    with pytest.raises(OptionError) as refused:
        read(db, values)
    assert [] == [message for message in ["--over written", *messages] if message not in str(refused.value)]


@pytest.mark.parametrize(
    ("values", "date_format", "expected"),
    [
        (["03/04/2024"], "%d/%m/%Y", datetime(2024, 4, 3)),
        (["03/04/2024"], "%m/%d/%Y", datetime(2024, 3, 4)),
        ([20240305], "%Y%m%d", MARCH),
        ([86400], "s", datetime(1970, 1, 2)),
        (["86400000"], "ms", datetime(1970, 1, 2)),
    ],
)
def test_format_that_is_given_is_used(
    db: duckdb.DuckDBPyConnection, values: Any, date_format: str, expected: datetime
) -> None:
    assert [expected] == read(db, values, date_format)


@pytest.mark.parametrize("date_format", ["%Y", "%Q", "%d/%m/%Y"])
def test_format_that_does_not_fit_is_refused(db: duckdb.DuckDBPyConnection, date_format: str) -> None:
    with pytest.raises(OptionError, match=f"--date-format {date_format} does not fit"):
        read(db, ["2024-03-05"], date_format)
