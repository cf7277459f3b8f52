"""A kept column -> its values as times, in SQL: typed, in ISO, as seconds since 1970, or in a format that is given.

What may mean two things is asked, not guessed: 03/04/2024, and whole numbers that are no clear number of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer.analysis.quoting import literal
from batch_scorer.errors import OptionError
from batch_scorer.escape import safe

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ENOUGH = 0.9  # of the values have to fit a format; the others are reviews without a date
SAMPLE = 1_000_000  # values that formats are tried on
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}  # in a second; also names for --date-format
_FIRST, _LAST = 631_152_000, 4_102_444_800  # seconds: 1990 to 2100; in other units, other numbers mean these years
_ISO = r"^\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*(Z|UTC|[+-]\d{2}(:?\d{2})?)?)?)?$"
# Formats that mean one thing only, and those that may be taken for each other: alone, one of these is believed.
_FORMATS = (
    *("%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d"),
    *("%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%B %d, %Y", "%b %d, %Y", "%a, %d %b %Y %H:%M:%S %z"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S"),
    *("%m/%d/%Y %I:%M %p", "%d/%m/%y", "%m/%d/%y", "%y/%m/%d", "%Y%m%d"),
)


@dataclass(frozen=True)
class Dates:
    """How the values of a column are read.

    Args:
        sql: an expression of type timestamp (UTC), null where a value is no date.
        format: in words, for notes.
    """

    sql: str
    format: str


def read_dates(db: DuckDBPyConnection, rows: str, column: str, name: str, date_format: str | None) -> Dates:
    """How to read the dates in `column` of `rows`.

    Args:
        rows, column: a view, and a column of it, as SQL.
        name: the column's name for the user.
        date_format: as `--date-format` gives it: a format of strptime, or a unit of `UNITS`; None: find out.

    Raises:
        OptionError: the column holds no dates, its values may mean several, or the format does not fit them.
    """
    kind = str(db.execute(f"select typeof({column}) from {rows} limit 1").fetchall())
    text = f"trim({column}::varchar)"
    if date_format is not None:
        sql = _epoch(text, date_format) if date_format in UNITS else _parsed(text, date_format)
        if not _fits(db, rows, column, sql):
            raise _refused(db, rows, column, name, f"--date-format {date_format} does not fit it", _suggested(name))
        return Dates(sql, date_format)
    if any(word in kind for word in ("DATE", "TIMESTAMP")):
        return Dates(f"{column}::timestamp", "dates")
    iso = f"if(regexp_matches({text}, {literal(_ISO)}), try_cast({_with_day(text)} as timestamptz)::timestamp, null)"
    clear = [("ISO dates", iso), *((f"{unit} since 1970", _epoch(text, unit, True)) for unit in UNITS)]
    shares = _fitting(db, rows, column, [sql for _, sql in clear])
    for (words, sql), share in zip(clear, shares, strict=True):
        if share >= ENOUGH:
            return Dates(sql, words)
    found = _fitting(db, rows, column, [_parsed(text, one) for one in _FORMATS])
    fitting = [one for one, share in zip(_FORMATS, found, strict=True) if share >= ENOUGH]
    if fitting == ["%Y%m%d"] or not fitting:
        raise _refused(db, rows, column, name, "the column's dates cannot be told", _suggested(name, fitting))
    if len(fitting) > 1:
        raise _refused(db, rows, column, name, "the column's dates may mean several days", _suggested(name, fitting))
    return Dates(_parsed(text, fitting[0]), fitting[0])


def _fits(db: DuckDBPyConnection, rows: str, column: str, sql: str) -> bool:
    import duckdb

    try:
        return _fitting(db, rows, column, [sql])[0] >= ENOUGH
    except (duckdb.InvalidInputException, duckdb.BinderException):  # no format at all
        return False


def _with_day(text: str) -> str:
    return f"if(length({text}) = 7, {text} || '-01', {text})"


def _parsed(text: str, date_format: str) -> str:
    return f"try_strptime({text}, {literal(date_format)})::timestamp"


def _epoch(text: str, unit: str, is_clear: bool = False) -> str:
    """SQL of a number of `unit` since 1970; with `is_clear`, null unless no other unit would make it a likely time."""
    number, per_second = f"try_cast({text} as double)", UNITS[unit]
    limits = (_FIRST * per_second, _LAST * per_second) if is_clear else (-_LAST * per_second, _LAST * per_second)
    time = f"make_timestamp(({number} * {1e6 / per_second!r})::bigint)"
    return f"case when {number} between {limits[0]} and {limits[1]} then {time} end"


def _fitting(db: DuckDBPyConnection, rows: str, column: str, expressions: list[str]) -> list[float]:
    """For each expression, the share of the column's values that it makes a time; nulls and blanks aside."""
    counts = ", ".join(f"count({sql})" for sql in expressions)
    (row,) = db.execute(f"""
        select count(*), {counts} from (select {column} from {rows} limit {SAMPLE})
        where {column} is not null and trim({column}::varchar) not in ('', 'nan', 'NaT')
    """).fetchall()
    return [count / row[0] if row[0] else 0.0 for count in row[1:]]


def _suggested(name: str, formats: list[str] | tuple[str, ...] = ()) -> str:
    if not formats:
        return (
            f"say how to read {name}: --date-format '%d/%m/%Y' for 31/12/2024, '%m/%d/%Y' for 12/31/2024, '%Y%m%d' for "
            "20241231, or s, ms, us or ns for numbers since 1970"
        )
    listed = " or ".join(f"--date-format '{one}'" for one in formats[:3])
    return f"say which it is: {listed}"


def _refused(db: DuckDBPyConnection, rows: str, column: str, name: str, what: str, fix: str) -> OptionError:
    found = db.execute(f"""
        select {column}::varchar from (select {column} from {rows} limit {SAMPLE})
        where {column} is not null and trim({column}::varchar) <> '' limit 1
    """).fetchall()
    example = f"such as {safe(found[0][0])!r:.60}" if found else "nulls and blanks only"
    return OptionError(
        what,
        where=f"--over {name}",
        expected="dates or times, ISO (2024-12-31), or seconds, ms, us or ns since 1970",
        got=example,
        fix=fix,
    )
