"""Predicted labels and a kept column of true ones -> quality: accuracy, overall and by slice, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from batch_scorer.analysis import labels as label_column
from batch_scorer.analysis.labels import as_text
from batch_scorer.analysis.quoting import cut_sql, literal
from batch_scorer.analysis.statistics import proportion
from batch_scorer.formats.labels import Labels
from batch_scorer.report.budget import NAME, cut
from batch_scorer.report.caveats import CARD, Agreement, Caveats, Decisions, Unusual
from batch_scorer.report.quality_findings import Quality, Reliability, Slice
from batch_scorer.runs.caveats import NEGATIVE, POSITIVE, UNDECIDED
from batch_scorer.runs.finished import Run

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REVIEWS = "new_reviews"  # the view that `build` creates, in which kept columns have names of our own
LABELLED = "new_labelled"  # the same with a column `truth`: positive, negative or null
BINS = 10  # of the reliability diagram, by probability
LENGTHS = (1, 100, 200, 300)  # in words; one more slice has the reviews that are too long to be read whole
UNKNOWN_SHARES = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15)
SLICES = 12  # per column, at most


def add_truth(connection: DuckDBPyConnection, kept: Mapping[str, str], labels: Labels | None) -> None:
    """Creates the view `LABELLED`.

    Args:
        kept: name -> column of the kept columns in `REVIEWS`.
        labels: what the label column says; None: `truth` is null everywhere.
    """
    truth = label_column.truth(labels, kept[labels.column]) if labels else "null::varchar"
    connection.execute(f"create temp view {LABELLED} as select *, {truth} as truth from {REVIEWS}")


def no_label(column: str) -> str:
    """The sentence that replaces the quality if the label column is empty."""
    return f"The column {column} has no labels, so quality cannot be measured."


def measure_quality(
    connection: DuckDBPyConnection,
    kept: Mapping[str, str],
    labels: Labels,
    slice_columns: Sequence[str],
    max_words: int,
    words_read: int,
) -> tuple[Quality | None, list[str]]:
    """The quality on the labelled reviews, None if there are none, and remarks on what it leaves out.

    Args:
        max_words, words_read: the most words of a review that the model reads at a time, and in all.
    """
    rows = connection.execute(
        f"select truth, predicted_label, count(*) from {LABELLED} group by all order by all"
    ).fetchall()
    count = {(truth, predicted): number for truth, predicted, number in rows}
    labelled = sum(number for (truth, _), number in count.items() if truth is not None)
    if not labelled:
        return None, []
    true_positive, false_negative = (count.get(("positive", label), 0) for label in ("positive", "negative"))
    true_negative, false_positive = (count.get(("negative", label), 0) for label in ("negative", "positive"))
    right = true_positive + true_negative
    accuracy = proportion(right, labelled)
    slices, remarks = _slices(connection, kept, slice_columns, max_words, words_read)
    return Quality(
        column=labels.column,
        positive=labels.positive_text,
        negative=labels.negative_text,
        reviews=labelled,
        unlabelled=sum(count.values()) - labelled,
        neither=labels.counts["neither"],
        accuracy=right / labelled,
        low=accuracy.low,
        high=accuracy.high,
        true_positive=true_positive,
        false_positive=false_positive,
        true_negative=true_negative,
        false_negative=false_negative,
        ece=label_column.calibration_error(connection, LABELLED),
        reliability=_reliability(connection),
        slices=slices,
        remarks=labels.remarks,
    ), remarks


def measure_caveats(connection: DuckDBPyConnection, run: Run) -> Caveats:
    """What the manifest of a run says, and how rightly its reviews are labelled by the view `LABELLED`."""
    certainty, found = run.manifest.get("certainty"), run.manifest.get("unusual")
    decisions = unusual = None
    if certainty is not None:
        decisions = Decisions(
            certainty["target_accuracy"],
            certainty["threshold"],
            certainty["expected_accuracy"],
            certainty[POSITIVE],
            certainty[NEGATIVE],
            certainty[UNDECIDED],
            _agreement(connection, "decided"),
        )
    if found is not None:
        reasons = tuple(
            (name, count, _agreement(connection, f"list_contains(string_split(unusual, ','), {literal(name)})"))
            for name, count in found["reasons"].items()
            if count
        )
        unusual = Unusual(found["reviews"], reasons, CARD.get(run.manifest["model_id"], {}))
    return Caveats(decisions, unusual)


def _agreement(connection: DuckDBPyConnection, where: str) -> Agreement:
    row = connection.execute(
        f"select count(truth), coalesce(count_if(truth = predicted_label), 0) from {LABELLED} where {where}"
    ).fetchone()
    assert row is not None  # it aggregates
    return Agreement(*row)


def _reliability(connection: DuckDBPyConnection) -> tuple[Reliability, ...]:
    """The bins that have reviews, in order of probability."""
    rows = connection.execute(f"""
        select count(*), round(fsum(probability::double) / count(*), 9), avg((truth = 'positive')::integer)
        from {LABELLED} where truth is not null
        group by least(floor(probability::double * {BINS}), {BINS - 1}) order by 2
    """).fetchall()
    return tuple(Reliability(*row) for row in rows)


def _slices(
    connection: DuckDBPyConnection, kept: Mapping[str, str], columns: Sequence[str], max_words: int, words_read: int
) -> tuple[tuple[Slice, ...], list[str]]:
    bounds = sorted({*(n for n in LENGTHS if n <= max_words), max_words + 1, words_read + 1})
    lengths = [f"{low:,} to {high - 1:,} words" for low, high in pairwise(bounds)]
    names = [*lengths, f"{bounds[-1]:,} words or more, not read whole"]
    slices = _binned(connection, "length", "n_tokens", bounds, names)
    shares = [f"{low:.1%} to {high:.1%}" for low, high in pairwise(UNKNOWN_SHARES)]
    names = [*shares, f"{UNKNOWN_SHARES[-1]:.1%} or more"]
    slices += _binned(connection, "unknown words", "oov_rate::double", UNKNOWN_SHARES, names)
    remarks = []
    for column in columns:
        value = cut_sql(as_text(kept[column]), NAME)
        rows = _count_right(connection, f"coalesce({value}, '(none)')", f"order by 2 desc, 1 limit {SLICES + 1}")
        slices += [_slice(column, name, reviews, right) for name, reviews, right in rows[:SLICES]]
        if len(rows) > SLICES:
            remarks.append(f"Quality by {cut(column, 60)} covers only its {SLICES} most frequent values.")
    return tuple(slices), remarks


def _binned(
    connection: DuckDBPyConnection, column: str, value: str, bounds: Sequence[float], names: Sequence[str]
) -> list[Slice]:
    bin_number = " + ".join(f"({value} >= {float(bound)!r}::double)::integer" for bound in bounds[1:])
    rows = _count_right(connection, bin_number or "0", "order by 1")
    return [_slice(column, names[int(i)], reviews, right) for i, reviews, right in rows]


def _count_right(connection: DuckDBPyConnection, key: str, order: str) -> list[tuple[str | int, int, int]]:
    """For each value of `key`: how many labelled reviews have it, and how many of these are predicted right."""
    return connection.execute(f"""
        select {key} as k, count(*), count_if(truth = predicted_label)
        from {LABELLED} where truth is not null group by k {order}
    """).fetchall()


def _slice(column: str, value: object, reviews: int, right: int) -> Slice:
    accuracy = proportion(right, reviews)
    return Slice(column, str(value), reviews, accuracy.share, accuracy.low, accuracy.high)
