"""Days -> periods: their length, their names, and whether the last one is over."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import pytest

from batch_scorer.analysis.periods import Periods, find_periods
from batch_scorer.errors import OptionError

START = date(2024, 1, 1)


def days(count: int, every: int = 1, reviews: int = 50, start: date = START) -> list[tuple[date, int]]:
    return [(start + timedelta(days=at), reviews) for at in range(0, count, every)]


def periods(found: list[tuple[date, int]], unit: str | None = None, last: datetime | None = None) -> Periods:
    made = find_periods(found, last or datetime.combine(found[-1][0], datetime.min.time()), unit)
    assert made is not None
    return made


def indices(made: Periods, found: list[date]) -> list[int | None]:
    listed = ", ".join(f"({at}, timestamp '{day}')" for at, day in enumerate(found))
    with duckdb.connect() as db:
        db.execute(f"create table days as from (values {listed}) t(place, day)")
        rows = db.execute(f"select {made.index_sql('day')} from days order by place").fetchall()
    return [at for (at,) in rows]


@pytest.mark.parametrize(
    ("length", "unit", "count"), [(30, "day", 30), (90, "week", 13), (731, "month", 24), (366 * 40, "year", 41)]
)
def test_period_fits_the_time_covered(length: int, unit: str, count: int) -> None:
    made = periods(days(length))
    assert (unit, count) == (made.unit, len(made.starts))


def test_period_is_long_enough_for_most_to_have_reviews() -> None:
    assert "month" == periods(days(270, every=30)).unit
    assert "week" == periods(days(100, every=7)).unit


def test_period_is_never_shorter_than_the_dates_tell() -> None:
    assert "month" == periods([(date(2024, month, 1), 9) for month in (1, 2, 3)]).unit


@pytest.mark.parametrize(
    ("found", "unfinished"),
    [
        (days(60), False),  # to 29 February
        (days(59), True),
        (days(121, every=30, start=date(2024, 1, 5)), False),  # once a month: to 4 May, and the next are due in June
        ([day for day in days(89) if day[0].weekday() < 5], False),  # to a Friday, 29 March
        ([day for day in days(86) if day[0].weekday() < 5], True),
        ([day for day in days(360) if day[0].day <= 28], True),  # to 25 December
        ([day for day in days(363) if day[0].day <= 28], False),  # no month has any after its 28th
        (days(60, every=5, reviews=1), False),  # the next review is not due before the end of the month
        ([(date(2024, month, 1), 9) for month in (1, 2, 3)], False),  # the first of a month stands for the month
    ],
)
def test_last_month_is_unfinished_if_reviews_of_it_are_still_to_come(
    found: list[tuple[date, int]], unfinished: bool
) -> None:
    assert unfinished == periods(found, "month").is_unfinished


def test_last_day_is_unfinished_if_its_reviews_end_long_before_it() -> None:
    found = days(10)
    assert periods(found, "day", datetime(2024, 1, 10, 9)).is_unfinished
    assert not periods(found, "day", datetime(2024, 1, 10, 23, 30)).is_unfinished
    assert not periods(found, "day").is_unfinished


def test_dates_far_from_all_others_belong_to_no_period() -> None:
    found = [(date(1970, 1, 1), 2), *days(300), (date(9999, 12, 31), 1)]
    made = periods(found)
    assert (START, found[-2][0]) == (made.first, made.last)


def test_too_many_periods_are_refused_with_a_longer_one() -> None:
    with pytest.raises(OptionError, match="choose --by week"):
        periods(days(500), "day")


def test_no_day_has_no_periods() -> None:
    assert find_periods([], datetime.min) is None


@pytest.mark.parametrize(
    ("unit", "names"),
    [
        ("day", ["28 December 2023", "29 December 2023"]),
        ("week", ["week of 25 December 2023", "week of 1 January 2024"]),
        ("month", ["December 2023", "January 2024"]),
        ("year", ["2023", "2024"]),
    ],
)
def test_sql_and_names_agree_on_the_period_of_each_day(unit: str, names: list[str]) -> None:
    made = periods(days(40, start=date(2023, 12, 28)), unit)
    assert names == [made.name(0), made.name(1)]
    first_days = [max(start, made.first) for start in made.starts]
    assert [*range(len(first_days)), None] == indices(made, [*first_days, date(2020, 1, 1)])
