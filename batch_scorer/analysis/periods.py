"""The days on which reviews were written -> periods to show and compare: days, weeks, months or years.

Pure functions over the number of reviews of each day; what belongs to no period is a review without a date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from batch_scorer.errors import OptionError

UNITS = ("day", "week", "month", "year")
MOST = 400  # periods
_LONGEST = {"day": 45, "week": 280, "month": 366 * 30}  # days of reviews that are shown by this unit, at most
_OUTSIDE = 0.0005  # of the reviews at either end: those that lie far from the others have no likely date
_UNUSUAL = 0.1  # of the periods end earlier than is usual
_SILENCE = 3.0  # mean distances of two reviews: a longer silence at the end is the end of the data


@dataclass(frozen=True)
class Periods:
    """Consecutive periods.

    Args:
        unit: one of `UNITS`.
        starts: the first day of each.
        is_unfinished: whether the last one had not ended when the last review was written.
        first, last: the first day and the last, inclusive, that belong to them.
    """

    unit: str
    starts: tuple[date, ...]
    is_unfinished: bool
    first: date
    last: date

    @property
    def finished(self) -> int:
        """How many of them have ended."""
        return len(self.starts) - self.is_unfinished

    def index_sql(self, moment: str) -> str:
        """SQL of the index of the period of a timestamp; null outside of all."""
        first = f"date '{self.starts[0]}'"
        index = f"datediff('{self.unit}', {first}, {moment})"
        if self.unit == "week":  # DuckDB's weeks begin on Mondays, as `first` does
            index = f"(datediff('day', {first}, {moment}) // 7)"
        return f"case when {moment}::date between date '{self.first}' and date '{self.last}' then {index} end"

    def name(self, at: int) -> str:
        """A period as a reader calls it.

        Example:
            >>> Periods("month", (date(2024, 5, 1),), False, date(2024, 5, 3), date(2024, 5, 30)).name(0)
            'May 2024'
        """
        start = self.starts[at]
        if self.unit == "year":
            return f"{start.year}"
        if self.unit == "month":
            return f"{start:%B %Y}"
        return f"{'week of ' if self.unit == 'week' else ''}{start.day} {start:%B %Y}"


def find_periods(days: Sequence[tuple[date, int]], last_moment: datetime, unit: str | None = None) -> Periods | None:
    """The periods that cover these days; None without any.

    Args:
        days: each day with its number of reviews, in order.
        last_moment: when the last review was written; midnight where times are unknown.
        unit: one of `UNITS`; None: whichever fits the time that is covered.

    Raises:
        OptionError: there would be more than `MOST` periods.
    """
    days = _likely(days)
    if not days:
        return None
    first, last = days[0][0], days[-1][0]
    length = (last - first).days + 1
    grain = _grain([day for day, _ in days])
    if unit is None:
        unit = next((name for name, longest in _LONGEST.items() if length <= longest), "year")
        unit = UNITS[max(UNITS.index(unit), UNITS.index(grain))]
        while unit != UNITS[-1] and _is_mostly_empty([day for day, _ in days], unit):
            unit = UNITS[UNITS.index(unit) + 1]
    starts = [_start(first, unit)]
    while (after := _next(starts[-1], unit)) <= last and len(starts) <= MOST:
        starts.append(after)
    if len(starts) > MOST:
        raise OptionError(
            f"by {unit}, there would be too many periods",
            where=f"--by {unit}",
            expected=f"at most {MOST}",
            got=f"{first} to {last}",
            fix=f"choose --by {UNITS[min(UNITS.index(unit) + 1, len(UNITS) - 1)]}",
        )
    has_times = last_moment.time() != time() and last_moment.date() == last
    end = last_moment if has_times else datetime.combine(_next(_start(last, grain), grain), time())
    reviews = sum(number for _, number in days)
    silence = timedelta(days=_SILENCE * length / reviews)
    left = datetime.combine(_next(starts[-1], unit), time()) - end
    is_early = unit == "day" or (last - starts[-1]).days < _usual_end([day for day, _ in days], starts, unit)
    return Periods(unit, tuple(starts), left > silence and is_early, first, last)


def _likely(days: Sequence[tuple[date, int]]) -> list[tuple[date, int]]:
    """The days without those that lie farther from nearly all others than these from each other, such as 1970."""
    total, below = sum(number for _, number in days), 0
    low = high = days[0][0] if days else date.min
    for day, number in days:
        low = day if below <= _OUTSIDE * total else low
        high = day if below < (1 - _OUTSIDE) * total else high
        below += number
    span = high - low + timedelta(days=30)
    return [(day, number) for day, number in days if day - high <= span and low - day <= span]


def _grain(days: Sequence[date]) -> str:
    """How exactly the days are known: if all are the first of a month, that stands for the month."""
    if len(days) > 1 and all((day.month, day.day) == (1, 1) for day in days):
        return "year"
    if len(days) > 1 and all(day.day == 1 for day in days):
        return "month"
    if len(days) > 3 and all(day.weekday() == 0 for day in days):
        return "week"
    return "day"


def _usual_end(days: Sequence[date], starts: Sequence[date], unit: str) -> int:
    """How many days into a period its last review usually comes, at least: not on its last day if that is a Sunday."""
    last = {
        _start(day, unit): (day - _start(day, unit)).days for day in days
    }  # of each period, since days are in order
    ends = sorted(end for start, end in last.items() if start != starts[-1])
    return ends[int(_UNUSUAL * len(ends))] if ends else 1_000


def _is_mostly_empty(days: Sequence[date], unit: str) -> bool:
    """Whether most periods would have no reviews: they may come once a month, on any day of it."""
    filled = {_start(day, unit) for day in days}
    length = {"day": 1, "week": 7, "month": 30.44, "year": 365.25}[unit]
    return len(filled) < (days[-1] - days[0]).days / length / 2


def _start(day: date, unit: str) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day if unit == "day" else day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _next(start: date, unit: str) -> date:
    if unit in ("day", "week"):
        return start + timedelta(days=1 if unit == "day" else 7)
    if unit == "year":
        return start.replace(year=start.year + 1)
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
