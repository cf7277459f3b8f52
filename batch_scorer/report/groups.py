"""A run's rows -> its groups: their shares of positive reviews, their course over time, and those that moved.

Everything is counted in SQL; what is done here takes one row per group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from batch_scorer.analysis import apart
from batch_scorer.analysis.apart import Part, Setting
from batch_scorer.analysis.evidence import Counts
from batch_scorer.analysis.groups import Course, Groups, count_groups, find_course
from batch_scorer.analysis.movers import Evidence, combined, since
from batch_scorer.analysis.statistics import difference, proportion
from batch_scorer.report.findings import MOVERS
from batch_scorer.report.group_findings import Group, Grouping, Mover, Overview
from batch_scorer.report.quality import LABELLED
from batch_scorer.report.question import Question
from batch_scorer.report.selection import SELECTED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN = 30  # movers that are shown with words and examples
EXAMPLES = 3  # reviews of each
RECENT = 4  # a group's change is about the last of so many equal parts of the periods


def measure_groups(
    db: DuckDBPyConnection, question: Question, kept: Mapping[str, str], has_spans: bool
) -> Overview | None:
    """The groups that `question` asks for, None if it asks for none; adds the movers' examples to `SELECTED`.

    Args:
        kept: name -> column of the kept columns in the view `LABELLED`.
        has_spans: whether the view has `top_spans`.

    Raises:
        OptionError: the dates cannot be told.
    """
    if not question.group_by:
        return None
    course = None
    if question.over is not None:
        course = find_course(db, LABELLED, kept[question.over], question.over, question.by, question.date_format)
    periods = (course.period_sql, len(course.periods.starts)) if course else ("0", 1)
    counted = [count_groups(db, LABELLED, kept[name], name, *periods) for name in question.group_by]
    if course is None:
        groupings = (_grouping(groups, _plain(groups)) for groups in counted)
        return Overview(tuple(groupings), over=question.over)
    finished = course.periods.finished
    evidence = combined([groups.evidence(finished) for groups in counted])
    recent = max(1, finished // RECENT) if finished > 1 else 0
    shown = [_dated(groups, one, finished, recent) for groups, one in zip(counted, evidence, strict=True)]
    overall = _overall(db, course, kept[question.group_by[0]])
    movers = [
        _mover(groups, listed[g], g, course, overall)
        for groups, one, listed in zip(counted, evidence, shown, strict=True)
        for g in np.flatnonzero(one.moved).tolist()
    ]
    movers.sort(key=lambda mover: (mover.p, -abs(mover.now.share - mover.before.share), mover.group.value))
    text = kept[question.text_column] if question.text_column and has_spans else None
    return Overview(
        tuple(_grouping(groups, listed) for groups, listed in zip(counted, shown, strict=True)),
        tuple(_explained(db, movers[:SHOWN], counted, course, text)),
        over=course.column,
        unit=course.periods.unit,
        periods=tuple(course.periods.name(at) for at in range(len(course.periods.starts))),
        starts=tuple(str(start) for start in course.periods.starts),
        is_unfinished=course.periods.is_unfinished,
        recent=recent,
        undated=course.undated,
        all=overall,
    )


def _grouping(groups: Groups, listed: Sequence[Group]) -> Grouping:
    return Grouping(
        groups.column,
        tuple(listed),
        sum(group.p is not None for group in listed),
        sum(group.has_moved for group in listed),
        groups.other_groups,
        groups.other_reviews,
    )


def _plain(groups: Groups) -> list[Group]:
    totals = zip(groups.values, groups.all_positive.tolist(), groups.all_reviews.tolist(), strict=True)
    return [Group(value, proportion(positive, reviews)) for value, positive, reviews in totals]


def _dated(groups: Groups, evidence: Evidence, finished: int, recent: int) -> list[Group]:
    reviews, positive = groups.reviews.tolist(), groups.positive.tolist()
    changes = _changes(groups.reviews[:, :finished], groups.positive[:, :finished], recent)
    return [
        Group(
            group.value,
            group.positive,
            tuple(reviews[g]),
            tuple(positive[g]),
            changes[g],
            float(evidence.p[g]) if evidence.tested[g] else None,
            bool(evidence.moved[g]),
        )
        for g, group in enumerate(_plain(groups))
    ]


def _changes(reviews: Counts, positive: Counts, recent: int) -> list[float | None]:
    if not recent:
        return [None] * len(reviews)
    n, x = reviews[:, -recent:].sum(1), positive[:, -recent:].sum(1)
    n0, x0 = reviews[:, :-recent].sum(1), positive[:, :-recent].sum(1)
    changes = x / np.maximum(n, 1) - x0 / np.maximum(n0, 1)
    known = (n > 0) & (n0 > 0)
    return [change if is_known else None for change, is_known in zip(changes.tolist(), known.tolist(), strict=True)]


def _overall(db: DuckDBPyConnection, course: Course, any_column: str) -> Group:
    """All reviews as one group."""
    periods = len(course.periods.starts)
    reviews, positive = np.zeros(periods, np.int64), np.zeros(periods, np.int64)
    rows = db.execute(f"""
        select {course.period_sql} as period, count(*), count_if(predicted_label = 'positive')
        from {LABELLED} group by period
    """).fetchall()
    for period, number, positives in rows:
        if period is not None:
            reviews[period], positive[period] = number, positives
    total, total_positive = (sum(row[i] for row in rows) for i in (1, 2))
    return Group("", proportion(total_positive, total), tuple(reviews.tolist()), tuple(positive.tolist()))


def _mover(groups: Groups, group: Group, g: int, course: Course, overall: Group) -> Mover:
    finished = course.periods.finished
    start = since(groups.reviews[g, :finished], groups.positive[g, :finished])

    def share(of: Group, low: int, high: int) -> tuple[int, int]:
        return sum(of.positives[low:high]), sum(of.reviews[low:high])

    before, now = (proportion(*share(group, *ends)) for ends in ((0, start), (start, finished)))
    low, high = difference(before, now)

    def others(low: int, high: int) -> float:
        (x, n), (own_x, own_n) = share(overall, low, high), share(group, low, high)
        return (x - own_x) / max(n - own_n, 1)

    return Mover(
        column=groups.column,
        group=group,
        since=course.periods.name(start),
        since_index=start,
        before=before,
        now=now,
        low=low,
        high=high,
        others_before=others(0, start),
        others_now=others(start, finished),
        p=group.p or 0.0,
    )


def _explained(
    db: DuckDBPyConnection, movers: Sequence[Mover], counted: Sequence[Groups], course: Course, text: str | None
) -> list[Mover]:
    """The movers, with words and examples."""
    explained: dict[int, Mover] = {}
    ranks: dict[tuple[str, str, int], int] = {}
    for groups in counted:
        own = [at for at, mover in enumerate(movers) if mover.column == groups.column]
        if not own:
            continue
        parts = [
            Part(movers[at].group.value, "negative" if movers[at].fell else "positive", movers[at].since_index)
            for at in own
        ]
        reviews = int(groups.all_reviews.sum()) + groups.other_reviews
        spans = apart.phrases(text) if text else None
        setting = Setting(LABELLED, groups.value_sql, course.period_sql, reviews, spans)
        words = apart.words_apart(db, setting, parts)
        found: dict[int, list[int]] = {}
        for part, record_id, source, offset in apart.examples(db, setting, words, EXAMPLES):
            found.setdefault(part, []).append(ranks.setdefault((record_id, source, offset), len(ranks) + 1))
        for part, at in enumerate(own):
            explained[at] = replace(movers[at], words=words[part], examples=tuple(found.get(part, ())))
    for key, rank in ranks.items():
        db.execute(f"insert into {SELECTED} values ('{MOVERS}', ?, ?, ?, ?)", [rank, *key])
    return [explained[at] for at in range(len(movers))]
