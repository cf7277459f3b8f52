"""How the labels of a run compare with what a kept column says is true: accuracy, calibration, and both by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from batch_scorer.errors import OptionError
from batch_scorer.report.findings import Quality, Reliability, Slice
from batch_scorer.report.room import NAME, cut, cut_sql
from batch_scorer.significance import proportion
from batch_scorer.views import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REVIEWS = "new_reviews"  # the view that `gather` makes, in which kept columns have names of ours
JUDGED = "new_judged"  # the same, and in `truth`: positive, negative or null
PAIRS = (("1", "0"), ("positive", "negative"), ("pos", "neg"), ("true", "false"))
BINS = 10
LENGTHS = (1, 100, 200, 300)  # words; one more slice is that of the reviews which are not read whole
UNKNOWN_SHARES = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15)
SLICES = 12  # of a column
_SHOWN = 12


@dataclass(frozen=True)
class Truth:
    """Which values of a label column mean what, as text in lower case; `negative` None stands for all others."""

    column: str
    positive: str
    negative: str | None


def as_text(column: str) -> str:
    """SQL of a column's values as text without white space around them, whole numbers as such; null if empty or NaN."""
    text = rf"trim(regexp_replace({column}::varchar, '^(-?\d+)\.0$', '\1'))"
    return f"if({text} in ('', 'nan'), null, {text})"


def find_truth(
    connection: DuckDBPyConnection, kept: Mapping[str, str], column: str, positive: str | None
) -> Truth | None:
    """What the values of a label column mean; None if it has none.

    Args:
        kept: name -> column of `REVIEWS`, of the kept columns.
        positive: the value that means positive; None goes by what is there.

    Raises:
        OptionError: that cannot be told.
    """
    label = f"lower({as_text(kept[column])})"
    rows = connection.execute(
        f"select distinct left({label}, {NAME}) as v from {REVIEWS} where {label} is not null"
        f" order by v limit {_SHOWN + 1}"
    ).fetchall()
    values = [value for (value,) in rows]
    if not values:
        return None
    if positive is None:
        for pair in PAIRS:
            if set(values) <= set(pair):
                return Truth(column, *pair)
        raise OptionError(
            "it cannot be told which labels mean positive",
            where=f"--label-column {column}",
            expected=", or ".join(f"{yes} and {no}" for yes, no in PAIRS),
            got=_shown(values),
            fix="name the value that means positive with --positive-value; all others then mean negative",
        )
    wanted = positive.strip().lower()
    if len(values) in range(2, _SHOWN + 1) and wanted not in values:
        raise OptionError(
            "no label has the value that is to mean positive",
            where=f"--label-column {column}",
            expected=f"the value {positive!r} among the labels",
            got=_shown(values),
            fix="give one of them as --positive-value",
        )
    other = next((no for yes, no in PAIRS if yes == wanted and no in values), None)
    return Truth(column, wanted, None if wanted == "1" and len(values) > 2 else other)


def _shown(values: Sequence[str]) -> str:
    some = ", ".join(cut(value, 30) for value in values[:_SHOWN])
    return f"{some} and more" if len(values) > _SHOWN else some


def judge(connection: DuckDBPyConnection, kept: Mapping[str, str], truth: Truth | None) -> None:
    """Makes the view `JUDGED`."""
    said = "null::varchar"
    if truth:
        label = f"lower({as_text(kept[truth.column])})"
        is_negative = f"{label} is not null" if truth.negative is None else f"{label} = {literal(truth.negative)}"
        said = f"case when {label} = {literal(truth.positive)} then 'positive' when {is_negative} then 'negative' end"
    connection.execute(f"create temp view {JUDGED} as select *, {said} as truth from {REVIEWS}")


def measure_quality(
    connection: DuckDBPyConnection, kept: Mapping[str, str], truth: Truth, slice_columns: Sequence[str], max_words: int
) -> tuple[Quality | None, list[str]]:
    """The quality on the labelled reviews, None if there are none; and what else should be said of it."""
    rows = connection.execute(
        f"select truth, predicted_label, count(*) from {JUDGED} group by all order by all"
    ).fetchall()
    count = {(said, found): number for said, found, number in rows}
    labelled = sum(number for (said, _), number in count.items() if said is not None)
    if not labelled:
        return None, []
    hits, misses = count.get(("positive", "positive"), 0), count.get(("positive", "negative"), 0)
    passes, alarms = count.get(("negative", "negative"), 0), count.get(("negative", "positive"), 0)
    right = hits + passes
    accuracy = proportion(right, labelled)
    reliability = _reliability(connection)
    ece = sum(b.reviews * abs(b.probability - b.positive) for b in reliability) / labelled
    slices, remarks = _slices(connection, kept, slice_columns, max_words)
    return Quality(
        column=truth.column,
        positive=truth.positive,
        reviews=labelled,
        unlabelled=sum(count.values()) - labelled,
        accuracy=right / labelled,
        low=accuracy.low,
        high=accuracy.high,
        true_positive=hits,
        false_positive=alarms,
        true_negative=passes,
        false_negative=misses,
        ece=ece,
        reliability=reliability,
        slices=slices,
    ), remarks


def _reliability(connection: DuckDBPyConnection) -> tuple[Reliability, ...]:
    """The bins that have reviews, by probability."""
    rows = connection.execute(f"""
        select count(*), round(fsum(probability::double) / count(*), 9), avg((truth = 'positive')::integer)
        from {JUDGED} where truth is not null
        group by least(floor(probability::double * {BINS}), {BINS - 1}) order by 2
    """).fetchall()
    return tuple(Reliability(*row) for row in rows)


def _slices(
    connection: DuckDBPyConnection, kept: Mapping[str, str], columns: Sequence[str], max_words: int
) -> tuple[tuple[Slice, ...], list[str]]:
    bounds = [*(n for n in LENGTHS if n <= max_words), max_words + 1]
    lengths = [f"{low:,} to {high - 1:,} words" for low, high in pairwise(bounds)]
    names = [*lengths, f"{bounds[-1]:,} words or more, not read whole"]
    found = _binned(connection, "length", "n_tokens", bounds, names)
    shares = [f"{low:.1%} to {high:.1%}" for low, high in pairwise(UNKNOWN_SHARES)]
    names = [*shares, f"{UNKNOWN_SHARES[-1]:.1%} or more"]
    found += _binned(connection, "unknown words", "oov_rate::double", UNKNOWN_SHARES, names)
    remarks = []
    for column in columns:
        value = cut_sql(as_text(kept[column]), NAME)
        rows = _right(connection, f"coalesce({value}, '(none)')", f"order by 2 desc, 1 limit {SLICES + 1}")
        found += [_slice(column, name, reviews, right) for name, reviews, right in rows[:SLICES]]
        if len(rows) > SLICES:
            remarks.append(f"Quality by {cut(column, 60)} is shown for its {SLICES} most frequent values only.")
    return tuple(found), remarks


def _binned(
    connection: DuckDBPyConnection, column: str, value: str, bounds: Sequence[float], names: Sequence[str]
) -> list[Slice]:
    place = " + ".join(f"({value} >= {float(bound)!r}::double)::integer" for bound in bounds[1:])
    rows = _right(connection, place or "0", "order by 1")
    return [_slice(column, names[int(i)], reviews, right) for i, reviews, right in rows]


def _right(connection: DuckDBPyConnection, key: str, order: str) -> list[tuple[str | int, int, int]]:
    """By key: labelled reviews, and how many of them were decided as they should."""
    return connection.execute(f"""
        select {key} as k, count(*), count_if(truth = predicted_label)
        from {JUDGED} where truth is not null group by k {order}
    """).fetchall()


def _slice(column: str, value: object, reviews: int, right: int) -> Slice:
    accuracy = proportion(right, reviews)
    return Slice(column, str(value), reviews, accuracy.share, accuracy.low, accuracy.high)
