"""The measurement: both sides take turns on the same reviews, then the command scores more and more of them alone.

In: `Settings`. Out: everything that was found, as `job.json` holds it.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_scorer.runs.manifest import STAGES
from benchmarks.job.processes import Peak, Ran
from benchmarks.job.sides import Settings, Workplace, check_answers
from benchmarks.scoring.machine import machine
from benchmarks.scoring.measure import Spread

CLEAR = 0.5  # of its start-up: what the first try has to take beyond it for its rate to be known well


@dataclass(frozen=True)
class Job:
    """What a run of the command did.

    Args:
        processes: that scored: the workers, or the driver alone.
        workers_mib: the peak of the largest worker; None where the driver scored.
        other_mib: the peak of the largest other process, if there was one.
        shares: of each stage in the time of all stages, all processes together.
        besides_seconds: what is left of `seconds` without the stages (of one process, on average): imports, start-up,
            Beam, waiting, the end.
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
        """The peak of the largest process."""
        return max(peak.mebibytes for peak in self.peaks)

    @property
    def but_scoring(self) -> float:
        """Share of all stages but scoring."""
        return 1 - self.shares["score"]

    def to_json(self) -> dict[str, Any]:
        """As it stands in `job.json`."""
        return {**dataclasses.asdict(self), "largest_mib": self.largest_mib, "but_scoring": self.but_scoring}


def job(reviews: int, ran: Ran, timings: Mapping[str, float]) -> Job:
    """A run of the command.

    Args:
        timings: seconds a stage, summed over the processes, as the run's manifest has them.
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


def run(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """Measures everything.

    Args:
        say: is told what goes on.

    Raises:
        InputError: the reviews cannot be read.
        JobError: a run failed.
        EngineError: the two sides do not agree.
    """
    with tempfile.TemporaryDirectory(prefix="batch-scorer-") as directory:
        place = Workplace(settings, Path(directory))
        common = place.cut(settings.first_try_reviews)
        say(f"checking that both give the same answers to {settings.first_try_reviews:,} reviews")
        _, manifest, ours = place.score(common)
        off = check_answers(ours, place.first_try(common)[1])
        rounds = side_by_side(place, say)
        growth = []
        for reviews in settings.grow:
            say(f"growth: {reviews:,} reviews")
            ran, grown, _ = place.score(place.cut(reviews))
            growth.append(job(reviews, ran, grown["timings"]))
    return {
        "data": Path(settings.source.file).name,
        "data_reviews": settings.source.rows(),
        "model_id": manifest["model_id"],
        "top_k": manifest["top_k"],
        "machine": machine(),
        "versions": manifest["versions"],
        "answers_off": off,
        **rounds,
        "growth": [grown.to_json() for grown in growth],
        "steps": steps(growth),
    }


def side_by_side(place: Workplace, say: Callable[[str], None]) -> dict[str, Any]:
    """Both sides in turn, another one first each round; the first try also on a single review, for its start-up."""
    settings = place.settings
    jobs: list[Job] = []
    tries: list[tuple[Ran, Ran]] = []

    def whole_command() -> None:
        ran, manifest, _ = place.score(place.cut(settings.reviews))
        jobs.append(job(settings.reviews, ran, manifest["timings"]))

    def first_try() -> None:
        start, _ = place.first_try(place.cut(1))
        tries.append((start, place.first_try(place.cut(settings.first_try_reviews))[0]))

    turns = [whole_command, first_try]
    for number in range(settings.rounds):
        say(f"round {number + 1} of {settings.rounds}")
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
        **beside(settings, [job.seconds for job in jobs], tries),
    }


def beside(settings: Settings, job_seconds: Sequence[float], tries: Sequence[tuple[Ran, Ran]]) -> dict[str, Any]:
    """The first try, and how many times faster the command was than it would have been on as many reviews.

    Args:
        job_seconds: of the command, each round.
        tries: the first try on a single review, and on its own number of reviews, each round.
    """
    reviews, tried = settings.reviews, settings.first_try_reviews
    starts = [start.seconds for start, _ in tries]
    beyond = [max(ran.seconds - start.seconds, 1e-3) for start, ran in tries]  # may be noise, if they are few
    a_review = [seconds / (tried - 1) for seconds in beyond]
    scoring = [seconds * (reviews - 1) for seconds in a_review]
    totals = [start + seconds for start, seconds in zip(starts, scoring, strict=True)]
    peaks = [max(peak.mebibytes for peak in ran.peaks) for _, ran in tries]
    return {
        "first_try": {
            "reviews": tried,
            "seconds": _spread(ran.seconds for _, ran in tries),
            "start_seconds": _spread(starts),
            "rate": _spread(1 / seconds for seconds in a_review),  # once started
            "seconds_for_all": _spread(totals),
            "largest_mib": max(peaks),
            "peaks": [[dataclasses.asdict(peak) for peak in ran.peaks] for _, ran in tries],
            "too_few": any(s < CLEAR * start for s, start in zip(beyond, starts, strict=True)),
        },
        "ratio": _spread(total / ours for total, ours in zip(totals, job_seconds, strict=True)),
        # Without its start-up, but with that of the command: the least that can be said.
        "ratio_without_its_start": _spread(theirs / ours for theirs, ours in zip(scoring, job_seconds, strict=True)),
    }


def steps(growth: Sequence[Job]) -> list[dict[str, Any]]:
    """What grew from each number of reviews to the next, and how many times.

    Returns:
        `reviews`, `seconds`: factors. `seconds_a_review`: the second over the first: 1 if linear, below it if more
        reviews shared the start-up. `largest`, `driver`, `worker`: factors of peak memory; the last two are None from
        a run without workers to one with. `rate`: reviews/s of the reviews that were added, the steady state; None if
        the run took no longer with them.
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
