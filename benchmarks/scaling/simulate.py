"""Simulates a job as events: workers start, take shards from a queue, and finish them or are preempted before that.

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
READY, DONE, PREEMPTED = range(3)


@dataclass(frozen=True)
class Run:
    """The result of a job. Times of workers are summed over all workers.

    Args:
        makespan_s: from the request for workers until the last shard was done.
        scored: number of reviews in the shards that were done.
        done: how many times each shard was done.
        begun: how many times any shard was started.
        lost: how many times a worker was preempted in the middle of a shard.
        starting_s: time of workers until they could score.
        useful_s: time of workers on shards that they finished.
        lost_s: time of workers on shards that they lost to preemption.
        idle_s: time of workers without a shard.
        vcpu_hours: rented for all workers, from the request until the last shard was done.
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
    """A worker: by what factor it is slower than normal, the start of its current activity, and its current shard."""

    slowness: float
    since_s: float
    shard: int | None = None


class _Job:
    """The queue, the workers and the future events."""

    def __init__(self, shards: Sequence[int], costs: Costs, cluster: Cluster, seed: int) -> None:
        self.shards, self.costs, self.cluster = shards, costs, cluster
        self.chance = random.Random(seed)
        self.queue, self.now = deque(range(len(shards))), 0.0
        # Workers without a shard, in the order in which they became idle.
        self.idle: dict[int, _Worker] = {}
        self.workers: dict[int, _Worker] = {}
        self.hired = self.begun = self.lost = 0
        self.done = [0] * len(shards)
        self.starting_s = self.useful_s = self.lost_s = self.idle_s = 0.0
        self.events: list[tuple[float, int, int]] = []

    def hire(self) -> None:
        """Requests a worker."""
        cluster, name = self.cluster, self.hired
        self.hired += 1
        slowness = self.chance.lognormvariate(0.0, cluster.spread)
        if self.chance.random() < cluster.slow_share:
            slowness *= cluster.slow_factor
        ready_s = self.now + cluster.machine_s + self.costs.process_s * slowness
        self.workers[name] = _Worker(slowness, self.now)
        heapq.heappush(self.events, (ready_s, name, READY))
        if cluster.preempted_an_hour:
            preempted_s = ready_s + self.chance.expovariate(cluster.preempted_an_hour / HOUR)
            heapq.heappush(self.events, (preempted_s, name, PREEMPTED))

    def take(self, name: int) -> None:
        """Gives the worker the next shard, if there is one."""
        worker = self.workers[name]
        worker.since_s = self.now
        if not self.queue:
            self.idle[name] = worker
            return
        worker.shard = self.queue.popleft()
        self.begun += 1
        seconds = self.costs.shard_s + self.shards[worker.shard] * self.costs.review_s * worker.slowness
        heapq.heappush(self.events, (self.now + seconds, name, DONE))

    def preempt(self, name: int) -> None:
        """Removes the worker, puts its shard back and requests a replacement."""
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
        """Processes events until all shards are done."""
        for _ in range(self.cluster.workers):
            self.hire()
        remaining = len(self.shards)
        while remaining:
            self.now, name, kind = heapq.heappop(self.events)
            worker = self.workers.get(name)
            if worker is None:
                continue  # the end of a shard that was lost
            if kind == PREEMPTED:
                self.preempt(name)
                continue
            if kind == READY:
                self.starting_s += self.now - worker.since_s
            elif worker.shard is not None:
                remaining -= 1
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
    """Simulates a job.

    Args:
        shards: number of reviews in each shard, in the order of the queue.
        seed: of the workers' speeds and preemptions. With the same seed, the first workers are the same regardless of
            how many there are.
    """
    job = _Job(shards, costs, cluster, seed)
    job.run()
    scored = sum(reviews * times for reviews, times in zip(shards, job.done, strict=True))
    return Run(
        job.now, scored, tuple(job.done), job.begun, job.lost, job.starting_s, job.useful_s, job.lost_s, job.idle_s,
        cluster.workers * job.now / HOUR,
    )  # fmt: skip
