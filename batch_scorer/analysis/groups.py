"""Reviews -> counts by group and period: each group one row of an array, however many reviews it has.

Legend: G groups, T periods, the first being the earliest; without periods, T is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING

import numpy as np

from batch_scorer.analysis.dates import read_dates
from batch_scorer.analysis.evidence import Counts
from batch_scorer.analysis.labels import as_text
from batch_scorer.analysis.movers import Evidence, find_moves
from batch_scorer.analysis.periods import Periods, find_periods
from batch_scorer.analysis.quoting import cut_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST = 10_000  # groups of a column: the largest; the reviews of the others are counted together
CHARACTERS = 200  # of a value, at most
NO_VALUE = "(none)"


@dataclass(frozen=True)
class Course:
    """How reviews are put in time.

    Args:
        column: the name of the column with the dates.
        format: how they were read, in words.
        periods: what they were put into.
        period_sql: SQL of the index of a review's period, null without a likely date.
        undated: how many reviews have none.
    """

    column: str
    format: str
    periods: Periods
    period_sql: str
    undated: int


@dataclass(frozen=True)
class Groups:
    """The groups of a column, largest first.

    Args:
        column: the name of the column.
        value_sql: SQL of a review's group.
        values: their names.
        reviews, positive: int64[G, T], of the reviews with a date.
        all_reviews, all_positive: int64[G], with or without one.
        other_groups, other_reviews: groups beyond `MOST`, and their reviews.
    """

    column: str
    value_sql: str
    values: tuple[str, ...]
    reviews: Counts
    positive: Counts
    all_reviews: Counts
    all_positive: Counts
    other_groups: int = 0
    other_reviews: int = 0

    def evidence(self, finished: int) -> Evidence:
        """What speaks for a move of each group, over the first `finished` periods."""
        return find_moves(self.reviews[:, :finished], self.positive[:, :finished])


def value_of(column: str) -> str:
    """SQL of a group: the value as text, cut, or `NO_VALUE`."""
    return f"coalesce({cut_sql(as_text(column), CHARACTERS)}, '{NO_VALUE}')"


def find_course(
    db: DuckDBPyConnection, rows: str, column: str, name: str, unit: str | None, date_format: str | None
) -> Course | None:
    """Puts the reviews of `rows` in time; None if none of them has a date.

    Args:
        rows, column: a view, and its column with the dates, as SQL.
        name: the column's name for the user.
        unit: as for `find_periods`; `date_format`: as for `read_dates`.

    Raises:
        OptionError: the dates cannot be told, or `unit` makes too many periods.
    """
    if not db.execute(f"select 1 from {rows} where {column} is not null limit 1").fetchall():
        return None
    dates = read_dates(db, rows, column, name, date_format)
    days = db.execute(f"""
        select moment::date as day, count(*), max(moment) from (select {dates.sql} as moment from {rows})
        where moment is not null and isfinite(moment) group by day order by day
    """).fetchall()
    periods = find_periods([(day, number) for day, number, _ in days], datetime.min, unit)
    if periods is None:
        return None
    latest = next((last for day, _, last in days if day == periods.last), datetime.combine(periods.last, time()))
    periods = find_periods([(day, number) for day, number, _ in days], latest, unit)
    assert periods is not None
    ((reviews,),) = db.execute(f"select count(*) from {rows}").fetchall()
    dated = sum(number for day, number, _ in days if periods.first <= day <= periods.last)
    return Course(name, dates.format, periods, periods.index_sql(f"({dates.sql})"), reviews - dated)


def count_groups(
    db: DuckDBPyConnection, rows: str, column: str, name: str, period_sql: str = "0", periods: int = 1
) -> Groups:
    """Counts the reviews of `rows` by the values of a column, and by period.

    Args:
        rows, column: a view with `predicted_label`, and a column of it, as SQL.
        name: the column's name for the user.
        period_sql: SQL of the index of a review's period, null without one; `periods`: how many there are.
    """
    value = value_of(column)
    db.execute(f"""
        create or replace temp table group_cells as
        select {value} as value, {period_sql} as period, count(*) as n, count_if(predicted_label = 'positive') as x
        from {rows} group by all
    """)
    db.execute(f"""
        create or replace temp table group_names as
        select row_number() over (order by n desc, value) - 1 as g, *,
            count(*) over () as groups, sum(n) over () as all_n
        from (select value, sum(n)::bigint as n, sum(x)::bigint as x from group_cells group by value)
        qualify g < {MOST}
    """)
    totals = db.execute("select value, n, x, groups, all_n::bigint from group_names order by g").fetchall()
    cells = db.execute("""
        select g, period::bigint as period, c.n, c.x from group_cells c join group_names using (value)
        where period is not null
    """).fetchnumpy()
    shape = (len(totals), periods)
    reviews, positive = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    at = np.asarray(cells["g"], np.int64), np.asarray(cells["period"], np.int64)
    reviews[at], positive[at] = np.asarray(cells["n"], np.int64), np.asarray(cells["x"], np.int64)
    all_reviews, all_positive = (np.array([row[i] for row in totals], np.int64) for i in (1, 2))
    others = (totals[0][3] - len(totals), totals[0][4] - int(all_reviews.sum())) if totals else (0, 0)
    db.execute("drop table group_cells")
    return Groups(name, value, tuple(row[0] for row in totals), reviews, positive, all_reviews, all_positive, *others)
