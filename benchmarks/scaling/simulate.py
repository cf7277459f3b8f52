"""A job as events: workers start, take the next shard from a queue, finish it or are taken away with it in hand.

In: shards, `Costs`, a `Cluster`, a seed. Out: a `Run`.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.scaling.costs import Cluster, Costs

HOUR = 3600.0
READY, DONE, GONE = range(3)


@dataclass(frozen=True)
class Run:
    """What a job took.

    Args:
        makespan_s: until the last shard was done.
        scored: reviews of the shards that were done.
        done: how often each shard was done.
        begun: how many times a shard was begun.
        lost: how many times a worker was taken away with a shard in hand.
        starting_s: of workers, until they could score.
        useful_s: of workers, on shards that were then done.
        lost_s: of workers, on shards that they were taken away from.
        idle_s: of workers, with nothing in hand.
        vcpu_hours: rented: all workers, from the request until the last shard was done.
    """

    makespan_s: float
    scored: int
    done: tuple[int, ...]
    begun: int
    lost: int
    starting_s: float
    useful_s: float
    lost_s: float
    idle_s: float
    vcpu_hours: float


@dataclass
class _Worker:
    """A worker: how much longer than usual it takes, since when it does what it does, and the shard in its hand."""

    slowness: float
    since_s: float
    shard: int | None = None


class _Job:
    """The queue, the workers and the events to come."""

    def __init__(self, shards: Sequence[int], costs: Costs, cluster: Cluster, seed: int) -> None:
        self.shards, self.costs, self.cluster = shards, costs, cluster
        self.chance = random.Random(seed)
        self.queue, self.now = deque(range(len(shards))), 0.0
        # Those with nothing to do, in the order in which they came to it.
        self.idle: dict[int, _Worker] = {}
        self.workers: dict[int, _Worker] = {}
        self.hired = self.begun = self.lost = 0
        self.done = [0] * len(shards)
        self.starting_s = self.useful_s = self.lost_s = self.idle_s = 0.0
        self.events: list[tuple[float, int, int]] = []

    def hire(self) -> None:
        cluster, name = self.cluster, self.hired
        self.hired += 1
        slowness = self.chance.lognormvariate(0.0, cluster.spread)
        if self.chance.random() < cluster.slow_share:
            slowness *= cluster.slow_factor
        ready_s = self.now + cluster.machine_s + self.costs.process_s * slowness
        self.workers[name] = _Worker(slowness, self.now)
        heapq.heappush(self.events, (ready_s, name, READY))
        if cluster.preempted_an_hour:
            gone_s = ready_s + self.chance.expovariate(cluster.preempted_an_hour / HOUR)
            heapq.heappush(self.events, (gone_s, name, GONE))

    def take(self, name: int) -> None:
        worker = self.workers[name]
        worker.since_s = self.now
        if not self.queue:
            self.idle[name] = worker
            return
        worker.shard = self.queue.popleft()
        self.begun += 1
        seconds = self.costs.shard_s + self.shards[worker.shard] * self.costs.review_s * worker.slowness
        heapq.heappush(self.events, (self.now + seconds, name, DONE))

    def go(self, name: int) -> None:
        worker = self.workers.pop(name)
        if self.idle.pop(name, None):
            self.idle_s += self.now - worker.since_s
        elif worker.shard is not None:
            self.lost += 1
            self.lost_s += self.now - worker.since_s
            self.queue.appendleft(worker.shard)
            if self.idle:
                other = next(iter(self.idle))
                self.idle_s += self.now - self.idle.pop(other).since_s
                self.take(other)
        self.hire()

    def run(self) -> None:
        for _ in range(self.cluster.workers):
            self.hire()
        left = len(self.shards)
        while left:
            self.now, name, kind = heapq.heappop(self.events)
            worker = self.workers.get(name)
            if worker is None:
                continue  # the end of a shard that was lost
            if kind == GONE:
                self.go(name)
                continue
            if kind == READY:
                self.starting_s += self.now - worker.since_s
            elif worker.shard is not None:
                left -= 1
                self.done[worker.shard] += 1
                self.useful_s += self.now - worker.since_s
                worker.shard = None
            self.take(name)
        for name, worker in self.workers.items():
            if name in self.idle:
                self.idle_s += self.now - worker.since_s
            else:
                self.starting_s += self.now - worker.since_s


def simulate(shards: Sequence[int], costs: Costs, cluster: Cluster, seed: int = 0) -> Run:
    """Runs a job.

    Args:
        shards: reviews of each, in the order of the queue.
        seed: of the workers' speeds and ends; the first workers are the same however many there are.
    """
    job = _Job(shards, costs, cluster, seed)
    job.run()
    scored = sum(reviews * times for reviews, times in zip(shards, job.done, strict=True))
    return Run(
        job.now, scored, tuple(job.done), job.begun, job.lost, job.starting_s, job.useful_s, job.lost_s, job.idle_s,
        cluster.workers * job.now / HOUR,
    )  # fmt: skip
