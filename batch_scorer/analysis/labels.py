"""A kept label column -> which of its values mean positive: the ground truth for `report` and `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer.analysis.views import literal
from batch_scorer.errors import OptionError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Pairs of labels that are understood without --positive-value: positive, negative.
PAIRS = (("1", "0"), ("positive", "negative"), ("pos", "neg"), ("true", "false"))
_MAX_QUOTED, _MAX_CHARACTERS = 12, 30  # an error message quotes so many values, and so much of each


@dataclass(frozen=True)
class Labels:
    """What the values of a column mean, as lower-case text; if `negative` is None, all others mean negative."""

    column: str
    positive: str
    negative: str | None

    def sql(self, column: str) -> str:
        """SQL that is 'positive', 'negative', or null where a value of `column` is missing or means neither."""
        label = _label(column)
        others = f"{label} is not null" if self.negative is None else f"{label} = {literal(self.negative)}"
        return f"case when {label} = {literal(self.positive)} then 'positive' when {others} then 'negative' end"


def as_text(column: str) -> str:
    """SQL of a column's values as stripped text: whole numbers without decimals, null if empty or NaN."""
    text = rf"trim(regexp_replace({column}::varchar, '^(-?\d+)\.0+$', '\1'))"
    return f"if({text} in ('', 'nan'), null, {text})"


def find_labels(db: DuckDBPyConnection, rows: str, column: str, name: str, positive: str | None) -> Labels | None:
    """What the values of a label column mean; None if the column has no values.

    Args:
        rows: a table, a view or a query in parentheses that has `column`.
        name: the column's name for the user.
        positive: the value that means positive; all others then mean negative. If it is half of one of `PAIRS` and the
            other half occurs too, third values mean neither. None: the values have to be those of one of `PAIRS`.

    Raises:
        OptionError: the values do not say which of them mean positive.
    """
    label = _label(column)
    values = [
        str(value)
        for (value,) in db.execute(
            f"select distinct left({label}, {_MAX_CHARACTERS + 1}) as v from {rows} where {label} is not null"
            f" order by v limit {_MAX_QUOTED + 1}"
        ).fetchall()
    ]
    if not values:
        return None
    if positive is None:
        for pair in PAIRS:
            if set(values) <= set(pair):
                return Labels(name, *pair)
        raise OptionError(
            "cannot tell which labels mean positive",
            where=f"--label-column {name}",
            expected=", or ".join(f"{yes} and {no}" for yes, no in PAIRS),
            got=_quoted(values),
            fix="name the value that means positive with --positive-value; all others then mean negative",
        )
    positive_label = positive.strip().lower()
    # A single other value is plausible: a month of nothing but complaints. Of several, one should be the one named.
    if len(values) > 1 and not _occurs(db, rows, label, positive_label):
        raise OptionError(
            "the value that should mean positive does not occur among the labels",
            where=f"--label-column {name}",
            expected=f"the value {positive!r} among the labels",
            got=_quoted(values),
            fix="give --positive-value one of these values",
        )
    other = next((no for yes, no in PAIRS if yes == positive_label and no in values), None)
    return Labels(name, positive_label, None if positive_label == "1" and len(values) > 2 else other)


def _label(column: str) -> str:
    return f"lower({as_text(column)})"


def _occurs(db: DuckDBPyConnection, rows: str, label: str, positive_label: str) -> bool:
    return db.execute(f"select 1 from {rows} where {label} = $1 limit 1", [positive_label]).fetchone() is not None


def _quoted(values: Sequence[str]) -> str:
    quoted = ", ".join(
        value if len(value) <= _MAX_CHARACTERS else f"{value[:_MAX_CHARACTERS]}…" for value in values[:_MAX_QUOTED]
    )
    return f"{quoted} and more" if len(values) > _MAX_QUOTED else quoted
