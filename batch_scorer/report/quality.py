"""How the labels of a run compare with what a kept column says is true: accuracy, calibration, and both by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from batch_scorer.analysis.labels import Labels, as_text
from batch_scorer.analysis.statistics import proportion
from batch_scorer.report.budget import NAME, cut, cut_sql
from batch_scorer.report.findings import Quality, Reliability, Slice

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REVIEWS = "new_reviews"  # the view that `gather` makes, in which kept columns have names of ours
JUDGED = "new_judged"  # the same, and in `truth`: positive, negative or null
BINS = 10
LENGTHS = (1, 100, 200, 300)  # words; one more slice is that of the reviews which are not read whole
UNKNOWN_SHARES = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15)
SLICES = 12  # of a column


def judge(connection: DuckDBPyConnection, kept: Mapping[str, str], labels: Labels | None) -> None:
    """Makes the view `JUDGED`."""
    truth = labels.sql(kept[labels.column]) if labels else "null::varchar"
    connection.execute(f"create temp view {JUDGED} as select *, {truth} as truth from {REVIEWS}")


def no_label(column: str) -> str:
    """What is said instead of the quality."""
    return f"The column {column} holds no label: nothing can be said about quality."


def measure_quality(
    connection: DuckDBPyConnection,
    kept: Mapping[str, str],
    labels: Labels,
    slice_columns: Sequence[str],
    max_words: int,
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
        column=labels.column,
        positive=labels.positive,
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
