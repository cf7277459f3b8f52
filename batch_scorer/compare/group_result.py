"""How groups of reviews changed between two runs, as data: `groups` computes it, `ui.group_changes` shows it."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.analysis.apart import ApartWord
from batch_scorer.analysis.statistics import Proportion


@dataclass(frozen=True)
class GroupChange:
    """A group in both runs.

    Args:
        column, value: which.
        a, b: its reviews labelled positive in A and in B; by id, of the reviews in both.
        change: `b.share - a.share`; `low` and `high`: its 95 % interval, by distribution only.
        to_positive, to_negative: reviews whose label changed; by id only.
        p: of its change; None if it has too few reviews to be tested.
        moved: whether it changed by more than chance and the other groups explain.
        words: what sets its reviews in B of the label that became more frequent apart, best first.
    """

    column: str
    value: str
    a: Proportion
    b: Proportion
    change: float
    low: float | None
    high: float | None
    to_positive: int | None
    to_negative: int | None
    p: float | None
    moved: bool
    words: tuple[ApartWord, ...] = ()


@dataclass(frozen=True)
class GroupChanges:
    """All groups, those that moved first, by evidence, then those with most reviews.

    Args:
        tested, moved: how many groups had enough reviews to be tested, and how many of these moved.
        other_groups, other_reviews: smaller groups that are counted only, and their reviews.
    """

    groups: tuple[GroupChange, ...]
    tested: int
    moved: int
    other_groups: int
    other_reviews: int
