"""What `check` is asked, and what it found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """What to check, and against what.

    Args:
        output: the run.
        references: earlier runs, or folders of them; none: the model's training data.
        limits: `--max` options.
        group_by: kept columns whose values are groups.
        label_column, positive_value, negative_value: a kept column with the true label, and what its values mean.
    """

    output: str
    references: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    label_column: str | None = None
    positive_value: tuple[str, ...] = ()
    negative_value: tuple[str, ...] = ()


@dataclass(frozen=True)
class Value:
    """A measure before it is compared with its limit.

    Args:
        name: one of `limits.KINDS`.
        value: see there.
        is_chance: whether two samples of the same reviews may well differ as much.
        sentence: what it says, with the figures behind it.
    """

    name: str
    value: float
    is_chance: bool
    sentence: str


@dataclass(frozen=True)
class Measure:
    """A measure and its limit; `broken` if the value is over the limit, and more than chance explains."""

    name: str
    value: float
    limit: float | None
    broken: bool
    sentence: str


@dataclass(frozen=True)
class Checked:
    """The outcome.

    Args:
        output, run_id: the run.
        against: what it was compared with, in words.
        references: run_ids of the runs that it was compared with.
        measures: all that could be measured, broken ones first.
        notes: what could not, and why.
    """

    output: str
    run_id: str
    against: str
    references: tuple[str, ...]
    measures: tuple[Measure, ...]
    notes: tuple[str, ...]

    @property
    def broken(self) -> tuple[Measure, ...]:
        return tuple(measure for measure in self.measures if measure.broken)

    @property
    def exit_code(self) -> int:
        """That of the command."""
        return 4 if self.broken else 0
