"""A run's rows -> the words that drive its decisions, and those that changed most since a reference run.

A word counts where it is among the `top_contributing` of a review: the output has no contributions beyond these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer.analysis.quoting import cut_sql
from batch_scorer.analysis.statistics import Z
from batch_scorer.report.budget import TOKEN
from batch_scorer.report.findings import WordTotal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TOP = 25  # words in each list
_COLUMNS = "token, adds, times, reviews, reference, margin"


@dataclass(frozen=True)
class CorpusWords:
    """The words that matter most in a run, strongest first; `changed` is empty without a reference run.

    `changed` has the words whose sum changed by more than its margin of error, most evidence first, as in `compare`:
    the largest changes are often those of frequent words, by chance.
    """

    positive: tuple[WordTotal, ...]
    negative: tuple[WordTotal, ...]
    changed: tuple[WordTotal, ...]


def sum_words(connection: DuckDBPyConnection, reviews: int, earlier: int | None) -> CorpusWords:
    """Sums the words of the `new_` views, and of the `old_` views if there is a reference run.

    Args:
        reviews, earlier: how many the run has, and the reference run; None or 0 without one.
    """
    _total(connection, "new")
    totals = "(select *, null::double as reference, null::double as margin from new_words)"
    if earlier:
        _total(connection, "old")
        scale = reviews / earlier
        # The variance of a sum over N reviews, most of which contribute 0. Rounding may leave a little less than 0.
        variance = f"""coalesce(n.squares - n.adds ** 2 / {max(reviews, 1)}, 0)
                    + {scale!r}::double ** 2 * coalesce(o.squares - o.adds ** 2 / {earlier}, 0)"""
        totals = f"""(
            select coalesce(n.token, o.token) as token, coalesce(n.adds, 0) as adds, coalesce(n.times, 0) as times,
                coalesce(n.reviews, 0) as reviews, round(coalesce(o.adds, 0) * {scale!r}::double, 6) as reference,
                round({Z} * sqrt(greatest({variance}, 0)), 6) as margin
            from new_words n full join old_words o on n.token = o.token
        )"""

    def top(where: str, order: str) -> tuple[WordTotal, ...]:
        rows = connection.execute(
            f"select {_COLUMNS} from {totals} where {where} order by {order}, token limit {TOP}"
        ).fetchall()
        return tuple(WordTotal(*row) for row in rows)

    change = "abs(adds - reference)"
    changed = top(f"{change} > margin", f"margin / {change}, {change} desc") if min(reviews, earlier or 0) > 1 else ()
    return CorpusWords(top("adds > 0", "adds desc"), top("adds < 0", "adds"), changed)


def _total(connection: DuckDBPyConnection, group: str) -> None:
    """Creates the table `GROUP_words`. Sums are rounded, because threads add up in a random order."""
    connection.execute(f"""
        create temp table {group}_words as
        select token, round(fsum(adds), 6) as adds, fsum(adds ** 2) as squares,
            sum(times)::bigint as times, sum(reviews)::bigint as reviews
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
