"""The measurement: both sides take turns on the same reviews, then the command alone scores more and more of them.

In: `Settings`. Out: all results, as in `job.json`.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_scorer.runs.markers import STAGES
from benchmarks.job.processes import Peak, Ran
from benchmarks.job.sides import Settings, Workplace, check_answers
from benchmarks.scoring.machine import machine
from benchmarks.scoring.measure import Spread

# The time that the first try must take beyond its start-up for its rate to be reliable, as a share of the start-up.
CLEAR = 0.5


@dataclass(frozen=True)
class Job:
    """A run of the command.

    Args:
        processes: number of processes that scored: the workers, or the driver alone.
        workers_mib: peak of the largest worker; None if the driver scored.
        other_mib: peak of the largest other process, if there was one.
        shares: of each stage in the time of all stages, over all processes.
        besides_seconds: `seconds` without the stages (averaged over the processes): imports, start-up, Beam, waiting
            and the end.
    """

    reviews: int
    seconds: float
    rate: float
    processes: int
    driver_mib: float
    workers_mib: float | None
    other_mib: float | None
    peaks: Sequence[Peak]
    shares: Mapping[str, float]
    besides_seconds: float

    @property
    def largest_mib(self) -> float:
        """Peak of the largest process."""
        return max(peak.mebibytes for peak in self.peaks)

    @property
    def but_scoring(self) -> float:
        """Share of all stages other than scoring."""
        return 1 - self.shares["score"]

    def to_json(self) -> dict[str, Any]:
        """The run as in `job.json`."""
        return {**dataclasses.asdict(self), "largest_mib": self.largest_mib, "but_scoring": self.but_scoring}


def job(reviews: int, ran: Ran, timings: Mapping[str, float]) -> Job:
    """Describes a run of the command.

    Args:
        timings: seconds per stage, summed over the processes, as in the run's manifest.
    """
    workers, others = ran.named("worker"), ran.others()
    processes = len(workers) or 1
    staged = sum(timings[stage] for stage in STAGES)
    return Job(
        reviews,
        ran.seconds,
        reviews / ran.seconds,
        processes,
        ran.driver_mib,
        max(workers, default=None),
        max(others, default=None),
        ran.peaks,
        {stage: timings[stage] / staged for stage in STAGES},
        ran.seconds - staged / processes,
    )


def run(settings: Settings, report: Callable[[str], None]) -> dict[str, Any]:
    """Measures everything.

    Args:
        report: called with a line of text at each step.

    Raises:
        InputError: the reviews cannot be read.
        JobError: a run failed.
        EngineError: the two sides do not agree.
    """
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as directory:
        place = Workplace(settings, Path(directory))
        common = place.cut(settings.first_try_reviews)
        report(f"checking that both sides give the same answers to {settings.first_try_reviews:,} reviews")
        _, manifest, ours = place.score(common)
        off = check_answers(ours, place.first_try(common)[1])
        rounds = side_by_side(place, report)
        growth = []
        for reviews in settings.grow:
            report(f"growth: {reviews:,} reviews")
            ran, larger, _ = place.score(place.cut(reviews))
            growth.append(job(reviews, ran, larger["timings"]))
    return {
        "data": Path(settings.source.file).name,
        "data_reviews": settings.source.rows(),
        "words": settings.source.words,
        "model_id": manifest["model_id"],
        "top_k": manifest["top_k"],
        "machine": machine(),
        "versions": manifest["versions"],
        "answers_off": off,
        **rounds,
        "growth": [run.to_json() for run in growth],
        "steps": steps(growth),
    }


def side_by_side(place: Workplace, report: Callable[[str], None]) -> dict[str, Any]:
    """Runs both sides in alternating order; the first try also on a single review, which gives its start-up."""
    settings = place.settings
    jobs: list[Job] = []
    tries: list[tuple[Ran, Ran]] = []

    def command() -> None:
        ran, manifest, _ = place.score(place.cut(settings.reviews))
        jobs.append(job(settings.reviews, ran, manifest["timings"]))

    def first_try() -> None:
        start, _ = place.first_try(place.cut(1))
        tries.append((start, place.first_try(place.cut(settings.first_try_reviews))[0]))

    turns = [command, first_try]
    for number in range(settings.rounds):
        report(f"round {number + 1} of {settings.rounds}")
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
    return {
        "reviews": settings.reviews,
        "rounds": settings.rounds,
        "job": {
            "seconds": _spread(job.seconds for job in jobs),
            "rate": _spread(job.rate for job in jobs),
            "runs": [job.to_json() for job in jobs],
        },
        **compare(settings, [job.seconds for job in jobs], tries),
    }


def compare(settings: Settings, job_seconds: Sequence[float], tries: Sequence[tuple[Ran, Ran]]) -> dict[str, Any]:
    """Extrapolates the first try to as many reviews, and says how many times faster the command was.

    Args:
        job_seconds: of the command, in each round.
        tries: in each round, the first try on a single review and on its number of reviews.
    """
    reviews, tried = settings.reviews, settings.first_try_reviews
    starts = [start.seconds for start, _ in tries]
    beyond = [max(ran.seconds - start.seconds, 1e-3) for start, ran in tries]  # may be noise for few reviews
    per_review = [seconds / (tried - 1) for seconds in beyond]
    scoring = [seconds * (reviews - 1) for seconds in per_review]
    totals = [start + seconds for start, seconds in zip(starts, scoring, strict=True)]
    peaks = [max(peak.mebibytes for peak in ran.peaks) for _, ran in tries]
    return {
        "first_try": {
            "reviews": tried,
            "seconds": _spread(ran.seconds for _, ran in tries),
            "start_seconds": _spread(starts),
            "rate": _spread(1 / seconds for seconds in per_review),  # once started
            "seconds_for_all": _spread(totals),
            "largest_mib": max(peaks),
            "peaks": [[dataclasses.asdict(peak) for peak in ran.peaks] for _, ran in tries],
            "too_few": any(s < CLEAR * start for s, start in zip(beyond, starts, strict=True)),
        },
        "ratio": _spread(total / ours for total, ours in zip(totals, job_seconds, strict=True)),
        # Without its own start-up but with that of the command: a lower bound.
        "ratio_without_its_start": _spread(theirs / ours for theirs, ours in zip(scoring, job_seconds, strict=True)),
    }


def steps(growth: Sequence[Job]) -> list[dict[str, Any]]:
    """By what factors things grew from each number of reviews to the next.

    Returns:
        `reviews`, `seconds`: factors. `seconds_a_review`: the second divided by the first: 1 if growth is linear, less
        if more reviews share the start-up. `largest`, `driver`, `worker`: factors of peak memory; the last two are None
        if only one of the runs had workers. `rate`: reviews/s of the additional reviews, which is the steady state;
        None if the larger run was not slower.
    """
    return [_step(few, many) for few, many in itertools.pairwise(growth)]


def _step(few: Job, many: Job) -> dict[str, Any]:
    more, longer = many.reviews / few.reviews, many.seconds - few.seconds
    alike = (few.workers_mib is None) == (many.workers_mib is None)
    return {
        "from": few.reviews,
        "to": many.reviews,
        "reviews": more,
        "seconds": many.seconds / few.seconds,
        "seconds_a_review": many.seconds / few.seconds / more,
        "largest": many.largest_mib / few.largest_mib,
        "driver": many.driver_mib / few.driver_mib if alike else None,
        "worker": many.workers_mib / few.workers_mib if many.workers_mib and few.workers_mib else None,
        "rate": (many.reviews - few.reviews) / longer if longer > 0 else None,
    }


def _spread(values: Any) -> dict[str, float]:
    return dataclasses.asdict(Spread.of(list(values)))
