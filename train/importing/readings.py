"""What a file leaves open, as readings: each choice is named, and all of them together are tried or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

MOST = 512  # readings of one model


@dataclass(frozen=True)
class Choice:
    """One of several ways to read a part of a model.

    Args:
        about: which part.
        taken: the way that is taken, in words.
        is_further: whether it is tried only against expected probabilities; without these, another is taken.
    """

    about: str
    taken: str
    is_further: bool


@dataclass(frozen=True)
class Reading(Generic[_T]):
    """A model read in one way, and the choices that were open on the way. What it is is read again when it is used."""

    read: Callable[[Choices], _T]
    told: tuple[int, ...]
    choices: tuple[Choice, ...]

    @property
    def model(self) -> _T:
        return self.read(Choices(self.told))

    @property
    def is_further(self) -> bool:
        return any(choice.is_further for choice in self.choices)

    def __str__(self) -> str:
        return "; ".join(f"{choice.about}: {choice.taken}" for choice in self.choices) or "as it is written"


class Choices:
    """Takes the choices of one way through a model: the first ones as told, the others their first option."""

    def __init__(self, told: Sequence[int]) -> None:
        self.told = told
        self.counts: list[int] = []
        self.taken: list[Choice] = []

    def choose(self, about: str, *options: tuple[str, Any], further: Sequence[tuple[str, Any]] = ()) -> Any:
        """One of the options, each with its words. What leaves no choice is not noted."""
        everything = [*options, *further]
        if len(everything) == 1:
            return everything[0][1]
        at = len(self.counts)
        index = self.told[at] if at < len(self.told) else 0
        self.counts.append(len(everything))
        self.taken.append(Choice(about, everything[index][0], index >= len(options)))
        return everything[index][1]


def explore(read: Callable[[Choices], _T]) -> Iterator[Reading[_T]]:
    """All readings: `read` is called for each combination of what it chooses.

    Example:
        >>> def read(choices):
        ...     return choices.choose("letter", ("a", 1), ("b", 2)) * choices.choose("digit", ("one", 10))
        >>> [(reading.model, str(reading)) for reading in explore(read)]
        [(10, 'letter: a'), (20, 'letter: b')]
    """
    told: list[int] = []
    for _ in range(MOST):
        choices = Choices(told)
        read(choices)
        told = [*told, *[0] * (len(choices.counts) - len(told))]
        yield Reading(read, tuple(told), tuple(choices.taken))
        while told and told[-1] + 1 == choices.counts[len(told) - 1]:
            told.pop()
        if not told:
            return
        told[-1] += 1
