"""Two runs -> how the groups of a kept column changed, which of them by more than the others, and why.

By distribution, the two runs are two periods of `analysis.movers`. By id, the reviews whose label changed are counted,
as McNemar's test does; the same texts with other labels say more than two samples would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from batch_scorer.analysis import apart
from batch_scorer.analysis.apart import Part, Setting
from batch_scorer.analysis.evidence import Counts, Doubles, error_of_change, signed_root
from batch_scorer.analysis.groups import Groups, count_groups, value_of
from batch_scorer.analysis.movers import FEWEST, Evidence, combined, find_moves, weigh
from batch_scorer.analysis.quoting import identifier
from batch_scorer.analysis.statistics import difference, proportion
from batch_scorer.compare.group_result import GroupChange, GroupChanges
from batch_scorer.compare.result import DISTRIBUTION

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXPLAINED = 30  # groups that moved whose words are looked for
_MANY = 10**9  # reviews: a share among so many is known exactly
_OURS = 'record_id, source, "offset", logit, predicted_label, top_contributing'


def compare_groups(db: DuckDBPyConnection, group_by: Sequence[str], by: str, listed: int) -> GroupChanges:
    """How the groups of each column changed; also creates the temporary table `group_changes`.

    Args:
        group_by: kept columns of both runs, which `pair_reviews` was given too.
        by: one of `WAYS`.
        listed: how many words of each review are looked at.
    """
    counted = [_count(db, at, name, by) for at, name in enumerate(group_by)]
    flips = [None if by == DISTRIBUTION else _flips(db, at, groups) for at, groups in enumerate(counted)]
    evidence = combined(
        [
            find_moves(groups.reviews, groups.positive) if flip is None else _paired(groups.reviews[:, 0], *flip)
            for groups, flip in zip(counted, flips, strict=True)
        ]
    )
    changes = [
        change
        for groups, one, flip in zip(counted, evidence, flips, strict=True)
        for change in _changes(groups, one, flip)
    ]
    changes.sort(key=lambda c: (not c.moved, c.p if c.moved and c.p is not None else 0, -c.a.reviews - c.b.reviews))
    for at, name in enumerate(group_by):
        changes = _explained(db, changes, name, at, listed)
    _create_table(db, changes)
    return GroupChanges(
        tuple(changes),
        sum(change.p is not None for change in changes),
        sum(change.moved for change in changes),
        sum(groups.other_groups for groups in counted),
        sum(groups.other_reviews for groups in counted),
    )


def _count(db: DuckDBPyConnection, at: int, name: str, by: str) -> Groups:
    """The reviews of A as the first period and those of B as the second; by id, only those in both."""
    only = "" if by == DISTRIBUTION else " and in_a and in_b"
    sides = " union all ".join(
        f"select group_{at} as value, label_{side} as predicted_label, {period} as period from reviews "
        f"where in_{side}{only}"
        for period, side in enumerate("ab")
    )
    return count_groups(db, f"({sides})", "value", name, "period", 2)


def _flips(db: DuckDBPyConnection, at: int, groups: Groups) -> tuple[Counts, Counts]:
    """Per group, how many reviews became positive, and how many negative."""
    rows = db.execute(f"""
        select {value_of(f"group_{at}")} as value, count_if(label_b = 'positive'), count_if(label_b = 'negative')
        from reviews where in_a and in_b and flipped group by value
    """).fetchall()
    found = {value: counts for value, *counts in rows}
    both = np.array([found.get(value, (0, 0)) for value in groups.values], np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _paired(reviews: Counts, to_positive: Counts, to_negative: Counts) -> Evidence:
    """Tests each group: do labels change in one direction more than in the other, and more often than elsewhere?"""
    flipped, rose = to_positive + to_negative, to_positive > to_negative
    some = np.where(rose, to_positive, to_negative)
    elsewhere = np.where(rose, to_positive.sum() - to_positive, to_negative.sum() - to_negative)
    others, sign = reviews.sum() - reviews, np.where(rose, 1.0, -1.0)
    few = (reviews < FEWEST) | (flipped == 0)
    n, n0, zero = np.maximum(reviews, 1), np.maximum(others, 1), np.zeros(len(reviews))
    half, all_ = np.full(len(reviews), _MANY // 2), np.full(len(reviews), _MANY)
    own = signed_root(to_positive, np.maximum(flipped, 1), half, all_, zero)
    beyond = np.where(others > 0, sign * signed_root(some, n, elsewhere, n0, zero), own)
    own[few] = beyond[few] = np.nan
    variance = error_of_change(some, n, elsewhere, n0)

    def columns(values: Doubles) -> Doubles:
        return values.reshape(-1, 1)

    return weigh(columns(own), columns(beyond), columns(variance), columns(zero))


def _changes(groups: Groups, evidence: Evidence, flips: tuple[Counts, Counts] | None) -> list[GroupChange]:
    changes = []
    for g, value in enumerate(groups.values):
        (n_a, n_b), (x_a, x_b) = groups.reviews[g].tolist(), groups.positive[g].tolist()
        a, b = proportion(x_a, n_a), proportion(x_b, n_b)
        low, high = difference(a, b) if flips is None else (None, None)
        changes.append(
            GroupChange(
                column=groups.column,
                value=value,
                a=a,
                b=b,
                change=b.share - a.share if n_a and n_b else 0.0,
                low=low,
                high=high,
                to_positive=None if flips is None else int(flips[0][g]),
                to_negative=None if flips is None else int(flips[1][g]),
                p=float(evidence.p[g]) if evidence.tested[g] else None,
                moved=bool(evidence.moved[g]),
            )
        )
    return changes


def _explained(
    db: DuckDBPyConnection, changes: Sequence[GroupChange], name: str, at: int, listed: int
) -> list[GroupChange]:
    """The changes, with words for the first that moved of the column `name`."""
    chosen = [i for i, change in enumerate(changes) if change.moved and change.column == name][:EXPLAINED]
    if not chosen or not listed:
        return [*changes]
    sides = " union all ".join(
        f"select {_OURS.replace('top_contributing', f'top_contributing[1:{listed}] as top_contributing')}, "
        f"{identifier(name)}::varchar as value, {period} as period from {side}_predictions"
        for period, side in enumerate("ab")
    )
    db.execute(f"create or replace temp view compared_{at} as {sides}")
    ((reviews,),) = db.execute(f"select count(*) from compared_{at}").fetchall()
    setting = Setting(f"compared_{at}", value_of("value"), "period", reviews)
    parts = [Part(changes[i].value, "negative" if changes[i].change < 0 else "positive", 1) for i in chosen]
    words = dict(zip(chosen, apart.words_apart(db, setting, parts), strict=True))
    return [replace(change, words=words[i]) if i in words else change for i, change in enumerate(changes)]


def _create_table(db: DuckDBPyConnection, changes: Sequence[GroupChange]) -> None:
    import pyarrow as pa

    types = {
        **{"place": pa.int64(), "column": pa.string(), "value": pa.string()},
        **dict.fromkeys(("reviews_a", "reviews_b"), pa.int64()),
        **dict.fromkeys(("positive_a", "positive_b", "change", "low", "high"), pa.float64()),
        **{"to_positive": pa.int64(), "to_negative": pa.int64(), "p": pa.float64(), "moved": pa.bool_()},
    }
    rows = [
        {
            **asdict(change),
            "place": place,
            "reviews_a": change.a.reviews,
            "reviews_b": change.b.reviews,
            "positive_a": change.a.share,
            "positive_b": change.b.share,
        }
        for place, change in enumerate(changes)
    ]
    table = pa.Table.from_pylist([{name: row[name] for name in types} for row in rows], pa.schema(types))
    db.register("group_rows", table)
    db.execute("create temp table group_changes as select * from group_rows")
    db.unregister("group_rows")
