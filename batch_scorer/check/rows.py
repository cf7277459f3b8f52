"""The rows of runs -> the measures that need them: labels, groups, kept columns, and columns that not every run has.

The views `new_predictions` and, with a reference, `old_predictions` are in the connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.groups import value_of
from batch_scorer.analysis.labels import ECE_BINS, as_text, calibration_error, find_labels, truth
from batch_scorer.analysis.quoting import identifier
from batch_scorer.check.profiles import is_chance
from batch_scorer.check.result import Value
from batch_scorer.formats.label_rule import LabelRule
from batch_scorer.models.profile import MAJOR, grade_of, stability_index

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

GROUPS = 1_000  # of a column, the largest ones; the others count together
GROUP_REVIEWS = 30  # a group of fewer, now or before, is not compared by itself
_SHORT = 5  # words; shorter texts repeat each other by chance


def _one(db: DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = db.execute(query).fetchone()
    assert row is not None  # all queries here aggregate
    return row


def _counts(db: DuckDBPyConnection, view: str, condition: str) -> tuple[int, int]:
    """How many rows fulfil a condition, and of how many for which it is not null."""
    count, reviews = _one(db, f"select count_if({condition}), count({condition}) from {view}")
    return int(count), int(reviews)


def shares(db: DuckDBPyConnection, columns: Sequence[str]) -> Iterator[Value]:
    """Changes of shares of the rows; `columns` are those that both sides have besides the usual ones."""
    for name, condition, what in (
        ("positive", "predicted_label = 'positive'", "of the reviews are positive"),
        ("undecided", "not decided", "of the reviews are not decided"),
        ("unusual", "unusual <> ''", "of the reviews are unusual"),
    ):
        if name == "positive" or ("decided" if name == "undecided" else name) in columns:
            here, then = (_counts(db, f"{side}_predictions", condition) for side in ("new", "old"))
            yield _change(name, here, then, what, both_ways=name == "positive")


def _change(
    name: str, here: tuple[int, int], then: tuple[int, int], what: str, both_ways: bool = False, pairs: int = 1
) -> Value:
    share, usual = (count / max(of, 1) for count, of in (here, then))
    value = abs(share - usual) if both_ways else share - usual
    return Value(name, value, is_chance(*here, *then, pairs), f"{share:.1%} {what}, {usual:.1%} before")


def repeated(db: DuckDBPyConnection, compared: bool) -> Value:
    """How many reviews repeat another one of their run, as far as length, unknown words and the exact logit tell."""
    sides = []
    for side in ("new", "old") if compared else ("new",):
        key = f"run_id, logit, n_tokens, oov_rate from {side}_predictions where n_tokens >= {_SHORT}"
        sides.append(_one(db, f"select coalesce(sum(n - 1), 0)::bigint, coalesce(sum(n), 0)::bigint "
                              f"from (select count(*) as n, {key} group by all)"))  # fmt: skip
    what = "of the reviews repeat another one"
    if compared:
        return _change("repeated", sides[0], sides[1], what)
    share = sides[0][0] / max(sides[0][1], 1)
    return Value("repeated", share, False, f"{share:.1%} {what}")


def nulls(db: DuckDBPyConnection, kept: Sequence[str]) -> Value | None:
    """The kept column whose share of nulls, or blank texts, rose most."""
    changes = []
    for name in kept:
        condition = f"({as_text(identifier(name))}) is null"
        here, then = (_counts(db, f"{side}_predictions", condition) for side in ("new", "old"))
        changes.append(_change("nulls", here, then, f"of the values of {name} are missing"))
    return max(changes, key=lambda change: change.value, default=None)


def groups(db: DuckDBPyConnection, column: str) -> Iterator[Value]:
    """Whether the groups of a column have other shares of the reviews, or one of them is less or more positive."""
    key = value_of(identifier(column))
    rows = db.execute(f"""
        select g, sum(n), sum(p), sum(m), sum(q) from (
            select {key} as g, count(*) as n, count_if(predicted_label = 'positive') as p, 0 as m, 0 as q
            from new_predictions group by all  -- by name would be the kept column, if one is called `g`
            union all
            select {key}, 0, 0, count(*), count_if(predicted_label = 'positive') from old_predictions group by all
        ) group by g order by sum(n) + sum(m) desc, g
    """).fetchall()
    largest, rest = rows[:GROUPS], rows[GROUPS:]
    counts = [(int(n), int(m)) for _, n, _, m, _ in largest]
    if rest:
        counts.append((int(sum(row[1] for row in rest)), int(sum(row[3] for row in rest))))
    here, then = (tuple(side) for side in zip(*counts, strict=True))
    index = stability_index(here, then)
    total, before = max(sum(here), 1), max(sum(then), 1)
    moved = max(largest, key=lambda row: abs(row[1] / total - row[3] / before))
    sentence = (
        f"stability index of {column} {index:.2f}; {moved[0]} has {moved[1] / total:.1%} of the reviews, "
        f"{moved[3] / before:.1%} before"
    )
    yield Value("groups", index, grade_of(here, then) != MAJOR, sentence)
    compared = [row for row in largest if min(row[1], row[3]) >= GROUP_REVIEWS]
    changes = [
        _change(
            "group_positive", (int(p), int(n)), (int(q), int(m)), f"of the reviews of {g} are positive",
            both_ways=True, pairs=len(compared),
        )
        for g, n, p, m, q in compared
    ]  # fmt: skip
    # The largest of many changes by chance alone is not taken for one.
    beyond = [change for change in changes if not change.is_chance]
    if changes:
        yield max(beyond or changes, key=lambda change: change.value)


def quality(db: DuckDBPyConnection, rule: LabelRule, compared: bool) -> Iterator[Value]:
    """Errors and calibration where a kept column has the true label."""
    measured = []
    for side in ("new", "old") if compared else ("new",):
        labels = find_labels(db, f"{side}_predictions", identifier(rule.column), rule)
        if labels is None:
            return
        label = truth(labels, identifier(rule.column))
        # Only these columns: a kept one may be called `truth`, too.
        labelled = (
            f"(select {label} as truth, predicted_label, probability from {side}_predictions "
            f"where ({label}) is not null)"
        )
        wrong, of = _counts(db, labelled, "truth <> predicted_label")
        measured.append((wrong, of, calibration_error(db, labelled)))
    wrong, of, gap = measured[0]
    share = wrong / max(of, 1)
    if not compared:
        yield Value("errors", share, False, f"{share:.1%} of {of:,} labelled reviews are predicted wrong")
        yield Value("calibration", gap, False, f"expected calibration error {gap:.3f}")
        return
    wrong_before, of_before, gap_before = measured[1]
    what = f"of {of:,} labelled reviews are predicted wrong"
    yield _change("errors", (wrong, of), (wrong_before, of_before), what)
    # About what bins of so many reviews show by chance alone (each deviates by its standard error).
    noise = 2 * sum((1 / (4 * max(reviews, 1) / ECE_BINS)) ** 0.5 / ECE_BINS**0.5 for reviews in (of, of_before))
    sentence = f"expected calibration error {gap:.3f}, {gap_before:.3f} before"
    yield Value("calibration", gap - gap_before, gap - gap_before <= noise, sentence)
