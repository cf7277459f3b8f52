"""Simulates the jobs that docs/scaling.md describes.

In: `Costs`, a price, a seed. Out: time and cost of each job, as in `scaling.json`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks.scaling.costs import Cluster, Costs, cut, default_rows, default_workers, ideal_hours
from benchmarks.scaling.limits import limits
from benchmarks.scaling.simulate import Run, simulate

SEEDS = 3
CORPORA = tuple(10**power for power in range(6, 11))
ALIKE: dict[str, float] = {}
USUAL = {"spread": 0.1, "slow_share": 0.02, "slow_factor": 2.0, "preempted_an_hour": 0.05}
MIDDLE = 10**8  # the corpus for which workers and trouble are varied
WORKERS = (4, 16, 64, 140, 400, 1_000, 2_000, 4_000)
SIZES = (1_000, 5_000, 15_625, 50_000, 100_000, 250_000, 1_000_000)
POOLS = ((10**6, 4), (10**6, 64), (10**7, 16), (10**7, 400), (10**8, 140), (10**8, 400))
TROUBLE_SIZES = (15_625, 50_000, 250_000)
TROUBLES: dict[str, dict[str, float]] = {
    "none": ALIKE,
    "speeds differ by 10 %": {"spread": 0.1},
    "speeds differ by 30 %": {"spread": 0.3},
    "2 % take twice as long": {"slow_share": 0.02, "slow_factor": 2.0},
    "2 % take ten times as long": {"slow_share": 0.02, "slow_factor": 10.0},
    "preempted every 20 hours": {"preempted_an_hour": 0.05},
    "preempted every 2 hours": {"preempted_an_hour": 0.5},
    "preempted every half hour": {"preempted_an_hour": 2.0},
    "usual": USUAL,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One job, simulated with several seeds.

    Args:
        rows: reviews per shard.
        runs: one per seed, the fastest first.
    """

    reviews: int
    rows: int
    workers: int
    runs: tuple[Run, ...]

    @property
    def middle(self) -> Run:
        """The median run."""
        return self.runs[(len(self.runs) - 1) // 2]

    def to_json(self, costs: Costs, price: float) -> dict[str, Any]:
        """Time and cost of the median run, and the time of the slowest one."""
        run, rented_s = self.middle, self.middle.vcpu_hours * 3600
        return {
            "reviews": self.reviews,
            "rows": self.rows,
            "shards": len(run.done),
            "workers": self.workers,
            "seconds": run.makespan_s,
            "slowest_seconds": self.runs[-1].makespan_s,
            "vcpu_hours": run.vcpu_hours,
            "cost": run.vcpu_hours * price,
            "lost": run.lost,
            "starting": run.starting_s / rented_s,
            "lost_time": run.lost_s / rented_s,
            "idle": run.idle_s / rented_s,
            "over_ideal": run.vcpu_hours / ideal_hours(self.reviews, costs),
        }


def case(
    reviews: int, rows: int, workers: int, costs: Costs, machine_s: float, seed: int, trouble: dict[str, float]
) -> Case:
    """Simulates one job; a job without trouble only once, since it does not depend on chance."""
    cluster = Cluster(workers, machine_s, **trouble)
    seeds = [seed * SEEDS + i for i in range(SEEDS if trouble else 1)]  # no overlap with the next `seed`
    runs = (simulate(cut(reviews, rows), costs, cluster, own_seed) for own_seed in seeds)
    return Case(reviews, rows, workers, tuple(sorted(runs, key=lambda run: run.makespan_s)))


def run(costs: Costs, price: float, machine_s: float, trip_s: float, seed: int) -> dict[str, Any]:
    """Simulates all jobs; returns the contents of `scaling.json`.

    Args:
        price: of a vCPU-hour, in any currency.
        machine_s: time from requesting a machine until its process starts.
        trip_s: time for a request to the store and its response.
    """

    def job(reviews: int, rows: int, workers: int, trouble: dict[str, float]) -> dict[str, Any]:
        return case(reviews, rows, workers, costs, machine_s, seed, trouble).to_json(costs, price)

    middle = default_workers(MIDDLE)
    return {
        "costs": dataclasses.asdict(costs),
        "assumed": {"machine_s": machine_s, "trip_s": trip_s, "price": price, "usual": USUAL},
        "seed": seed,
        "seeds": SEEDS,
        "corpora": [
            {kind: job(n, default_rows(n), default_workers(n), trouble)
             for kind, trouble in (("alike", ALIKE), ("usual", USUAL))}
            for n in CORPORA
        ],
        "workers": [job(MIDDLE, default_rows(MIDDLE), workers, USUAL) for workers in WORKERS],
        "sizes": [
            [job(reviews, rows, workers, USUAL) for rows in SIZES if rows <= reviews] for reviews, workers in POOLS
        ],
        "troubles": {
            name: [job(MIDDLE, rows, middle, trouble) for rows in TROUBLE_SIZES] for name, trouble in TROUBLES.items()
        },
        "limits": [{"reviews": n, **dataclasses.asdict(limits(n, trip_s))} for n in CORPORA],
    }  # fmt: skip
