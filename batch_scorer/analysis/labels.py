"""Which values of a kept column mean positive: the truth that `report` and `compare` hold a run's labels against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer.analysis.views import literal
from batch_scorer.errors import OptionError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAIRS = (("1", "0"), ("positive", "negative"), ("pos", "neg"), ("true", "false"))
_SHOWN, _CHARACTERS = 12, 30  # values that a complaint quotes, and of each


@dataclass(frozen=True)
class Labels:
    """What the values of a column mean, as text in lower case; `negative` None stands for all others."""

    column: str
    positive: str
    negative: str | None

    def sql(self, column: str) -> str:
        """SQL that is 'positive', 'negative', or null where a value of `column` is missing or means neither."""
        label = _label(column)
        others = f"{label} is not null" if self.negative is None else f"{label} = {literal(self.negative)}"
        return f"case when {label} = {literal(self.positive)} then 'positive' when {others} then 'negative' end"


def as_text(column: str) -> str:
    """SQL of a column's values as text without white space around them, whole numbers as such; null if empty or NaN."""
    text = rf"trim(regexp_replace({column}::varchar, '^(-?\d+)\.0+$', '\1'))"
    return f"if({text} in ('', 'nan'), null, {text})"


def find_labels(db: DuckDBPyConnection, rows: str, column: str, name: str, positive: str | None) -> Labels | None:
    """What the values of a label column mean; None if it has none.

    Args:
        rows: the table, view or query in parentheses, in which `column` stands.
        name: the column's name for the user.
        positive: the value that means positive, all others negative but for the other of a pair; None goes by `PAIRS`.

    Raises:
        OptionError: that cannot be told.
    """
    label = _label(column)
    values = [
        str(value)
        for (value,) in db.execute(
            f"select distinct left({label}, {_CHARACTERS + 1}) as v from {rows} where {label} is not null"
            f" order by v limit {_SHOWN + 1}"
        ).fetchall()
    ]
    if not values:
        return None
    if positive is None:
        for pair in PAIRS:
            if set(values) <= set(pair):
                return Labels(name, *pair)
        raise OptionError(
            "it cannot be told which labels mean positive",
            where=f"--label-column {name}",
            expected=", or ".join(f"{yes} and {no}" for yes, no in PAIRS),
            got=_quoted(values),
            fix="name the value that means positive with --positive-value; all others then mean negative",
        )
    wanted = positive.strip().lower()
    # A single other value may well be: a month of complaints. Of several, one should be what was named.
    if len(values) > 1 and not _is_there(db, rows, label, wanted):
        raise OptionError(
            "no label has the value that is to mean positive",
            where=f"--label-column {name}",
            expected=f"the value {positive!r} among the labels",
            got=_quoted(values),
            fix="give one of them as --positive-value",
        )
    other = next((no for yes, no in PAIRS if yes == wanted and no in values), None)
    return Labels(name, wanted, None if wanted == "1" and len(values) > 2 else other)


def _label(column: str) -> str:
    return f"lower({as_text(column)})"


def _is_there(db: DuckDBPyConnection, rows: str, label: str, wanted: str) -> bool:
    return db.execute(f"select 1 from {rows} where {label} = $1 limit 1", [wanted]).fetchone() is not None


def _quoted(values: Sequence[str]) -> str:
    some = ", ".join(value if len(value) <= _CHARACTERS else f"{value[:_CHARACTERS]}…" for value in values[:_SHOWN])
    return f"{some} and more" if len(values) > _SHOWN else some
