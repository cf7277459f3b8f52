"""Times sides in rounds: each side takes a turn per round, in rotating order, and ratios are taken within a round.

So a slow minute of the machine affects all sides. Sides are the contenders, and the products whose rate is the limit.
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
from benchmarks.scoring.answers import Batching
from benchmarks.scoring.contenders import Contender

CHECKED = 64  # reviews whose logits are compared with those of the plain network, which takes milliseconds per review


class Crew(Protocol):
    """Processes that take a turn together: see `crew.Crew`."""

    def turn(self, batching: Batching) -> tuple[float, list[Any]]:
        """Returns the seconds and the result of each process."""
        ...


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Side:
    """A participant that takes turns.

    Args:
        work: the work of a turn in the unit of the rate: reviews or operations.
        batchings: those to choose from.
    """

    name: str
    crew: Crew
    work: float
    batchings: Sequence[Batching]


@dataclass
class Record:
    """The measurements of a side. Rates are work per second.

    Args:
        batching: the fastest of those tried.
        tried: the rate of each batching; empty if there was only one.
        rates: of each round.
    """

    batching: Batching
    tried: Mapping[Batching, float]
    rates: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """The result of a contender. Rates are reviews/s of all processes together.

    Args:
        equal_length: whether only reviews of the same length shared a batch.
        tried: the rate of each batching, before the rounds; empty if there was only one.
        ratio: its rate relative to the first contender's in the same round.
        logit_off: largest difference from the logits of the plain network, on at most `CHECKED` reviews.
        reviews_per_vcpu_hour: median rate of one process, and therefore one core, per hour.
        share_of_limit: median rate relative to what float32 products alone would allow; bfloat16 can exceed 1.
    """

    name: str
    batch_size: int
    equal_length: bool
    tried: Mapping[str, float]
    rates: Sequence[float]
    rate: Spread
    ratio: Spread
    logit_off: float
    reviews_per_vcpu_hour: float
    share_of_limit: float


def shares(lengths: npt.NDArray[np.int64], processes: int) -> list[npt.NDArray[np.intp]]:
    """Which reviews each process scores: as equal a mix of lengths as possible, in the original order."""
    order = np.argsort(lengths, kind="stable")
    return [np.sort(order[first::processes]) for first in range(processes)]


def choose(side: Side) -> Record:
    """Finds the side's fastest batching: of each, one turn to warm up, then the better of two turns.

    Warming up compiles and fills caches. The rounds measure again, so a lucky turn here is not part of any result.
    """
    if len(side.batchings) == 1:
        return Record(side.batchings[0], {})
    tried = {}
    for batching in side.batchings:
        side.crew.turn(batching)
        tried[batching] = side.work / min(side.crew.turn(batching)[0] for _ in range(2))
    return Record(max(tried, key=lambda batching: tried[batching]), tried)


def time_rounds(
    sides: Sequence[Side], records: Mapping[str, Record], rounds: int, report: Callable[[int], None] = lambda _: None
) -> None:
    """Has all sides take turns in the batches of their record, and adds the rate of each round to it.

    The first round is a warm-up and does not count.

    Args:
        report: called with the number of each round, from 0, before it begins.
    """
    for number in range(rounds + 1):
        report(number)
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            seconds, _ = side.crew.turn(records[side.name].batching)
            if number:
                records[side.name].rates.append(side.work / seconds)


def expected_logits(artifact: Artifact, ids: Sequence[Ids]) -> dict[int, float]:
    """The plain network's logits of up to `CHECKED` reviews, from the shortest to the longest, by index."""
    order = np.argsort([len(x) for x in ids], kind="stable")
    rows = order[np.linspace(0, len(order) - 1, min(CHECKED, len(order))).astype(int)]
    return {int(i): forward(artifact.tensors, artifact.architecture, ids[i]).logit for i in rows}


def check_logits(
    contender: Contender, logits: Sequence[Any], parts: Sequence[npt.NDArray[np.intp]], expected: Mapping[int, float]
) -> float:
    """The largest difference between a contender's logits and those of the plain network.

    Args:
        logits: of each process.
        parts: the indices of the reviews that each process scored.
        expected: logits of the plain network, by index.

    Raises:
        EngineError: the difference exceeds the contender's tolerance, so it does not run the same network.
    """
    by_review = dict(zip(np.concatenate(list(parts)).tolist(), np.concatenate(list(logits)).tolist(), strict=True))
    off = max(abs(by_review[i] - logit) for i, logit in expected.items())
    if not off <= contender.tolerance:
        raise EngineError(
            "a contender does not give the network's logits",
            where=contender.name,
            expected=f"logits within {contender.tolerance:g} of the plain network's",
            got=f"a difference of {off:.3g}",
        )
    return float(off)


def results(
    records: Mapping[str, Record], logit_off: Mapping[str, float], processes: int, limit_rate: float
) -> list[Result]:
    """The result of each contender, with its ratio to the first.

    Args:
        records: of the contenders, in their order.
        limit_rate: reviews/s that float32 products alone would allow.
    """
    first = next(iter(records.values())).rates
    lines = []
    for name, record in records.items():
        rate = Spread.of(record.rates)
        ratio = Spread.of([own / other for own, other in zip(record.rates, first, strict=True)])
        per_hour = rate.median / processes * 3600
        tried = {str(batching): rate for batching, rate in record.tried.items()}
        lines.append(Result(name, record.batching.size, record.batching.equal, tried, record.rates, rate, ratio,
                            logit_off[name], per_hour, rate.median / limit_rate))  # fmt: skip
    return lines
