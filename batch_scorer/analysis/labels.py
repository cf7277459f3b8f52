"""A kept label column -> which of its values mean positive: the ground truth for `report` and `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from batch_scorer.analysis.quoting import literal
from batch_scorer.errors import OptionError
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.formats.labels import BLANK, VALUE_CHARACTERS, Labels

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_LABELS = 10_000  # different values of a label column: each is read by the rule
ECE_BINS = 15  # of confidence, as in `train.metrics`
_BLANK = " || ".join(f"chr({ord(character)})" for character in BLANK)


def truth(labels: Labels, column: str) -> str:
    """SQL that is 'positive', 'negative', or null where a value of `column` is missing or means neither."""
    label = _label(column)
    yes, no = ([value for value, meaning in labels.meaning.items() if meaning is one] for one in (True, False))
    positive = f"{label} in ({_list(yes)})" if yes else "false"
    # The other values may be many; only those that are told apart are listed.
    negative = f"{label} in ({_list(no)})" if labels.negative else f"{label} <> '' and lower({label}) <> 'nan'"
    return f"case when {positive} then 'positive' when {negative} then 'negative' end"


def _list(values: Sequence[str]) -> str:
    return ", ".join(map(literal, values)) or "null"


def _label(column: str) -> str:
    return f"trim({column}::varchar, {_BLANK})"


def calibration_error(db: DuckDBPyConnection, rows: str) -> float:
    """The expected calibration error, as `python -m train evaluate` computes it: by confidence (Guo et al. 2017).

    Confidence is the probability of the likelier label: max(p, 1 - p). Of no reviews, the error is 0.

    Args:
        rows: a table, a view or a query in parentheses with `probability` and `truth`; where that is null, a review
            does not count.
    """
    ((error,),) = db.execute(f"""
        select sum(gap) / sum(reviews) from (
            select abs(fsum(agrees::double - confidence)) as gap, count(*) as reviews from (
                select greatest(probability::double, 1 - probability::double) as confidence,
                    ((probability >= 0.5) = (truth = 'positive'))::integer as agrees
                from {rows} where truth is not null
            ) group by least(floor(confidence * {ECE_BINS}), {ECE_BINS - 1})
        )
    """).fetchall()
    return float(round(error or 0.0, 9))  # threads add up in a random order


def as_text(column: str) -> str:
    """SQL of a column's values as stripped text: whole numbers without decimals, null if empty or NaN."""
    text = rf"trim(regexp_replace({column}::varchar, '^(-?\d+)\.0+$', '\1'))"
    return f"if({text} in ('', 'nan'), null, {text})"


def find_labels(db: DuckDBPyConnection, rows: str, column: str, rule: LabelRule) -> Labels | None:
    """What the values of a label column mean; None if the column has no values.

    Args:
        rows: a table, a view or a query in parentheses that has `column`.
        rule: what the options say; `rule.column` is the column's name for the user.

    Raises:
        OptionError: the values do not say which of them mean positive, or there are more than `MAX_LABELS`.
    """
    found = db.execute(
        f"select left({_label(column)}, {VALUE_CHARACTERS + 1}) as label, count(*) from {rows} group by all"
        f" limit {MAX_LABELS + 1}"
    ).fetchall()
    if len(found) > MAX_LABELS:
        raise OptionError(
            "the label column has too many different values to be labels",
            where=f"--label-column {rule.column}",
            expected=f"at most {MAX_LABELS:,}",
            got=f"more than {MAX_LABELS:,}",
            fix="name another column, or round its values before you score",
        )
    labels = rule.read(dict(found))
    return labels if labels.values else None
