"""Rounds: every side takes its turn in each, another one begins each time, and ratios are taken within a round.

So a slow minute of the machine falls on all. Sides are contenders, and the products whose rate is the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import EngineError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import forward
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring.contenders import Contender

CHECKED = 64  # reviews whose logits are compared with the plain network's, which takes milliseconds for each


class Crew(Protocol):
    """Processes that take a turn together: see `crew.Crew`."""

    def turn(self, batch_size: int) -> tuple[float, list[Any]]:
        """Seconds, and what each process returns."""
        ...


@dataclass(frozen=True)
class Spread:
    """Median of the rounds, with the least and the most."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Side:
    """Something that takes turns.

    Args:
        work: what a turn does, in the unit of the rate: reviews, or operations.
        batch_sizes: those to choose from.
    """

    name: str
    crew: Crew
    work: float
    batch_sizes: Sequence[int]


@dataclass
class Record:
    """What was seen of a side: rates are work a second.

    Args:
        batch_size: the fastest of those tried.
        tried: rate at each batch size; empty where there was no choice.
        rates: of each round.
    """

    batch_size: int
    tried: Mapping[int, float]
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """What a contender did. Rates are reviews/s, of all processes together.

    Args:
        tried: the rate at each batch size, before the rounds; empty where there was no choice.
        ratio: its rate over the first contender's, in the same round.
        logit_off: the largest difference from the plain network's logit, on `CHECKED` of the reviews at most.
        reviews_per_vcpu_hour: median rate of one process, and so of one core, for an hour.
        share_of_limit: median rate over that which float32 products alone would allow: above 1 is possible in bfloat16.
    """

    name: str
    batch_size: int
    tried: Mapping[int, float]
    rates: Sequence[float]
    rate: Spread
    ratio: Spread
    logit_off: float
    reviews_per_vcpu_hour: float
    share_of_limit: float


def shares(lengths: npt.NDArray[np.int64], processes: int) -> list[npt.NDArray[np.intp]]:
    """Which reviews each process scores: of every length as many, as nearly as can be, and in the order they came."""
    order = np.argsort(lengths, kind="stable")
    return [np.sort(order[first::processes]) for first in range(processes)]


def choose(side: Side) -> Record:
    """Takes the side's fastest batch size: of each, one turn warms up, and the better of two counts.

    A warm-up compiles and fills caches. The rounds then measure it anew: the luck of a choice is in no figure.
    """
    if len(side.batch_sizes) == 1:
        return Record(side.batch_sizes[0], {})
    tried = {}
    for size in side.batch_sizes:
        side.crew.turn(size)
        tried[size] = side.work / min(side.crew.turn(size)[0] for _ in range(2))
    return Record(max(tried, key=lambda size: tried[size]), tried)


def time_rounds(
    sides: Sequence[Side], records: Mapping[str, Record], rounds: int, tell: Callable[[int], None] = lambda _: None
) -> None:
    """Lets all sides take turns at the batch size of their record, and adds the rates of each round to it.

    A first round warms up and does not count.

    Args:
        tell: is called with the number of each round, from 0, before it begins.
    """
    for number in range(rounds + 1):
        tell(number)
        begin = number % len(sides)
        for side in (*sides[begin:], *sides[:begin]):
            seconds, _ = side.crew.turn(records[side.name].batch_size)
            if number:
                records[side.name].rates.append(side.work / seconds)


def expected_logits(artifact: Artifact, ids: Sequence[Ids]) -> dict[int, float]:
    """Logits by the plain network of up to `CHECKED` reviews, from the shortest to the longest, by their place."""
    order = np.argsort([len(x) for x in ids], kind="stable")
    places = order[np.linspace(0, len(order) - 1, min(CHECKED, len(order))).astype(int)]
    return {int(i): forward(artifact.tensors, artifact.architecture, ids[i]).logit for i in places}


def check_logits(
    contender: Contender, found: Sequence[Any], parts: Sequence[npt.NDArray[np.intp]], expected: Mapping[int, float]
) -> float:
    """The largest difference of a logit from the plain network's.

    Args:
        found: the logits of each process.
        parts: the places of the reviews that each process scored.

    Raises:
        EngineError: it is beyond the contender's tolerance: that would be the time of another network.
    """
    logits = dict(zip(np.concatenate(list(parts)).tolist(), np.concatenate(list(found)).tolist(), strict=True))
    off = max(abs(logits[place] - logit) for place, logit in expected.items())
    if not off <= contender.tolerance:
        raise EngineError(
            "a contender scores otherwise than the network",
            where=contender.name,
            expected=f"logits within {contender.tolerance:g} of the plain network's",
            got=f"one that is off by {off:.3g}",
        )
    return float(off)


def results(
    records: Mapping[str, Record], logit_off: Mapping[str, float], processes: int, limit_rate: float
) -> list[Result]:
    """What each contender did, and its ratio to the first.

    Args:
        records: of the contenders, in their order.
        limit_rate: reviews/s that float32 products alone would allow.
    """
    first = next(iter(records.values())).rates
    found = []
    for name, record in records.items():
        rate = Spread.of(record.rates)
        ratio = Spread.of([mine / other for mine, other in zip(record.rates, first, strict=True)])
        per_hour = rate.median / processes * 3600
        found.append(Result(name, record.batch_size, record.tried, record.rates, rate, ratio, logit_off[name],
                            per_hour, rate.median / limit_rate))  # fmt: skip
    return found
