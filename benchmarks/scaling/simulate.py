"""A job as events: workers start, take the next shard from a queue, finish it or are taken away with it in hand.

In: shards, `Costs`, a `Cluster`, a seed. Out: a `Run`.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scaling.costs import Cluster, Costs

HOUR = 3600.0
READY, DONE, LOST = range(3)


@dataclass(frozen=True)
class Run:
    """What a job took.

    Args:
        makespan_s: until the last shard was done.
        scored: reviews, those of each shard once.
        shards: done.
        useful_s: of workers, on shards that were finished.
        lost_s: of workers, on shards that they were taken away from.
        lost: how many times that happened.
        idle_s: of workers, after their start, with nothing in hand.
        vcpu_hours: rented: all workers from the request until the last shard was done.
    """

    makespan_s: float
    scored: int
    shards: int
    useful_s: float
    lost_s: float
    lost: int
    idle_s: float
    vcpu_hours: float


@dataclass(frozen=True)
class _Worker:
    """A worker: when it starts to score, how much longer than usual it takes, and when it will be taken away."""

    ready_s: float
    slowness: float
    gone_s: float


def simulate(shards: Sequence[int], costs: Costs, cluster: Cluster, seed: int = 0) -> Run:
    """Runs a job.

    Args:
        shards: reviews of each, in the order of the queue.
    """
    chance = random.Random(seed)
    queue: deque[int] = deque(shards)
    idle: list[_Worker] = []
    numbers = itertools.count()  # so that events of one moment come in the order they were made
    events: list[tuple[float, int, int, _Worker, int, float]] = []
    scored = done = lost = 0
    useful_s = lost_s = starting_s = now = 0.0

    def start(at: float) -> None:
        worker = _start(at, costs, cluster, chance)
        nonlocal starting_s
        starting_s += worker.ready_s - at
        heapq.heappush(events, (worker.ready_s, next(numbers), READY, worker, 0, 0.0))

    def take(worker: _Worker) -> None:
        if worker.gone_s <= now:  # it went while it had nothing to do
            return start(now)
        if not queue:
            return idle.append(worker)
        reviews = queue.popleft()
        end = now + worker.slowness * (costs.shard_s + reviews * costs.review_s)
        kind, at = (DONE, end) if end <= worker.gone_s else (LOST, worker.gone_s)
        return heapq.heappush(events, (at, next(numbers), kind, worker, reviews, now))

    for _ in range(cluster.workers):
        start(0.0)
    while done < len(shards):
        now, _, kind, worker, reviews, begun = heapq.heappop(events)
        if kind == DONE:
            done, scored, useful_s = done + 1, scored + reviews, useful_s + now - begun
        elif kind == LOST:
            lost, lost_s = lost + 1, lost_s + now - begun
            queue.appendleft(reviews)
            start(now)
            if idle:
                take(idle.pop())
            continue
        take(worker)
    # What was started and is not ready, or not finished, at the end.
    for at, _, kind, _, _, begun in events:
        if kind == READY:
            starting_s -= max(at - now, 0.0)
    rented_s = cluster.workers * now
    return Run(
        now, scored, done, useful_s, lost_s, lost, rented_s - starting_s - useful_s - lost_s, rented_s / HOUR
    )


def _start(at: float, costs: Costs, cluster: Cluster, chance: random.Random) -> _Worker:
    slowness = chance.lognormvariate(0.0, cluster.spread) if cluster.spread else 1.0
    if cluster.slow_share and chance.random() < cluster.slow_share:
        slowness *= cluster.slow_factor
    ready = at + cluster.machine_s + costs.process_s * slowness
    rate = cluster.preempted_an_hour / HOUR
    return _Worker(ready, slowness, ready + chance.expovariate(rate) if rate else float("inf"))
