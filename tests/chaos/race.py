"""Two drivers in processes of their own that want one output in a store at the same moment, again and again."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tests.chaos import store_trials
from tests.chaos.proxy import Asked, Blow
from tests.processes import GUARD_S

LOST = 0.2  # share of the answers to writes that are lost: the request takes effect, and is repeated


@dataclass(frozen=True)
class Races:
    """How many races had how many winners."""

    scheme: str
    winners: Counter[int]

    def __str__(self) -> str:
        times = ", ".join(f"{number} won {n} times" for number, n in sorted(self.winners.items()))
        return f"{self.scheme}: {self.winners.total()} races of two drivers, {LOST:.0%} of the answers lost: {times}"


def race(scheme: str, times: int) -> Races:
    """Races for so many outputs: each driver claims, and holds what it got until the other has tried."""
    with store_trials.places((scheme,)) as places:
        place, rng = places[scheme], random.Random(times)

        def lose(asked: Asked) -> Blow | None:
            return Blow(after=True, cut=True) if asked.is_write and rng.random() < LOST else None

        place.proxy.blow = lose
        context = multiprocessing.get_context("spawn")
        barrier, results = context.Barrier(2), context.Queue()
        outputs = [place.path(f"race/{number}") for number in range(times)]
        drivers = [context.Process(target=_drive, args=(outputs, place.environment, barrier, results)) for _ in "ab"]
        for driver in drivers:
            driver.start()
        won = Counter[str]()
        for _ in drivers:
            won.update(results.get(timeout=GUARD_S))
        for driver in drivers:
            driver.join()
    return Races(scheme, Counter(won[path] for path in outputs))


def _drive(outputs: list[str], environment: dict[str, str], barrier: Any, results: Any) -> None:
    """What each driver does, in a process of its own."""
    os.environ.update(environment)
    from batch_scorer.errors import OutputError
    from batch_scorer.runs.claim import claimed
    from batch_scorer.storage.stores import retry

    retry.WAITS_S = (0.02,) * 6  # type: ignore[assignment]
    won = []
    for path in outputs:
        with ExitStack() as held:
            barrier.wait(GUARD_S)
            try:
                held.enter_context(claimed(path))
                won.append(path)
            except OutputError:
                pass
            barrier.wait(GUARD_S)
    results.put(won)
