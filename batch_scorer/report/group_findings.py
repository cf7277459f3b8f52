"""What a report says about groups of reviews and their course over time, as data: `groups` computes it."""

from __future__ import annotations

from dataclasses import dataclass

from batch_scorer.analysis.apart import ApartWord
from batch_scorer.analysis.statistics import Proportion


@dataclass(frozen=True)
class Group:
    """A group of reviews.

    Args:
        value: of the column that reviews are grouped by.
        positive: its reviews labelled positive.
        reviews, positives: per period, the latter of those labelled positive; empty without `--over`.
        change: from before to the recent periods, as a difference of shares; None if either has no reviews.
        p: of its move, corrected for the windows that were tried; None if it has too few reviews to be tested.
        has_moved: whether it is among the movers.
    """

    value: str
    positive: Proportion
    reviews: tuple[int, ...] = ()
    positives: tuple[int, ...] = ()
    change: float | None = None
    p: float | None = None
    has_moved: bool = False


@dataclass(frozen=True)
class Mover:
    """A group whose share of positive reviews moved, and why.

    Args:
        column, group: which.
        since: the period in which it began, in words.
        since_index: the same as an index.
        before, now: its share before and since.
        low, high: the 95 % interval of the difference.
        others_before, others_now: the share of all other reviews of these times.
        p: corrected for the windows that were tried.
        words: what sets its reviews of the label that became more frequent apart, best first.
        examples: such reviews, by their rank in the report's list `findings.MOVERS`.
    """

    column: str
    group: Group
    since: str
    since_index: int
    before: Proportion
    now: Proportion
    low: float
    high: float
    others_before: float
    others_now: float
    p: float
    words: tuple[ApartWord, ...] = ()
    examples: tuple[int, ...] = ()

    @property
    def fell(self) -> bool:
        """Whether its share became smaller."""
        return self.now.share < self.before.share


@dataclass(frozen=True)
class Grouping:
    """The groups of one column, those with most reviews first.

    Args:
        tested: how many had enough reviews to be tested; `moved`: how many of these moved.
        other_groups, other_reviews: smaller groups that are counted only, and their reviews.
    """

    column: str
    groups: tuple[Group, ...]
    tested: int = 0
    moved: int = 0
    other_groups: int = 0
    other_reviews: int = 0


@dataclass(frozen=True)
class Overview:
    """All groups of a report.

    Args:
        movers: by evidence, of all columns together; the first of `moved`.
        over: the column with the dates; None without one.
        unit: of the periods: `day`, `week`, `month` or `year`; `periods`: their names, `starts`: their first days.
        is_unfinished: whether the last period had not ended; it is shown, but not compared.
        recent: how many finished periods a group's `change` compares with those before.
        undated: reviews without a date.
        all: all reviews together.
    """

    groupings: tuple[Grouping, ...]
    movers: tuple[Mover, ...] = ()
    over: str | None = None
    unit: str = ""
    periods: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    is_unfinished: bool = False
    recent: int = 0
    undated: int = 0
    all: Group | None = None

    @property
    def moved(self) -> int:
        """How many groups moved, over all columns."""
        return sum(grouping.moved for grouping in self.groupings)

    @property
    def tested(self) -> int:
        """How many groups were tested, over all columns."""
        return sum(grouping.tested for grouping in self.groupings)
