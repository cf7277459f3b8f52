"""A run's rows -> the words that drive its decisions, and those that changed most since a reference run.

A word counts where it is among the `top_contributing` of a review: the output has no contributions beyond these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer.report.budget import TOKEN, cut_sql
from batch_scorer.report.findings import WordTotal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TOP = 25  # words in each list
_COLUMNS = "token, adds, times, reviews, reference"


@dataclass(frozen=True)
class CorpusWords:
    """The words that matter most in a run, strongest first; `changed` is empty without a reference run."""

    positive: tuple[WordTotal, ...]
    negative: tuple[WordTotal, ...]
    changed: tuple[WordTotal, ...]


def sum_words(connection: DuckDBPyConnection, scale: float | None) -> CorpusWords:
    """Sums the words of the `new_` views, and of the `old_` views if there is a reference run.

    Args:
        scale: the run's number of reviews divided by the reference run's; None without a reference run.
    """
    _total(connection, "new")
    totals = "(select *, null::double as reference from new_words)"
    if scale is not None:
        _total(connection, "old")
        totals = f"""(
            select coalesce(n.token, o.token) as token, coalesce(n.adds, 0) as adds, coalesce(n.times, 0) as times,
                coalesce(n.reviews, 0) as reviews, round(coalesce(o.adds, 0) * {scale!r}::double, 6) as reference
            from new_words n full join old_words o on n.token = o.token
        )"""

    def top(where: str, order: str) -> tuple[WordTotal, ...]:
        rows = connection.execute(
            f"select {_COLUMNS} from {totals} where {where} order by {order}, token limit {TOP}"
        ).fetchall()
        return tuple(WordTotal(*row) for row in rows)

    changed = top("adds != reference", "abs(adds - reference) desc") if scale is not None else ()
    return CorpusWords(top("adds > 0", "adds desc"), top("adds < 0", "adds"), changed)


def _total(connection: DuckDBPyConnection, group: str) -> None:
    """Creates the table `GROUP_words`. Sums are rounded, because threads add up in a random order."""
    connection.execute(f"""
        create temp table {group}_words as
        select token, round(fsum(adds), 6) as adds, sum(times)::bigint as times, sum(reviews)::bigint as reviews
        from (
            select {cut_sql("w.token", TOKEN)} as token, w.contribution::double as adds, 1 as times, 0 as reviews
            from (select unnest(top_contributing) as w from {group}_predictions)
            union all
            select unnest(list_distinct(list_transform(top_contributing, lambda w: {cut_sql("w.token", TOKEN)}))),
                0, 0, 1
            from (select top_contributing from {group}_predictions)
        )
        where isfinite(adds)
        group by token
    """)
