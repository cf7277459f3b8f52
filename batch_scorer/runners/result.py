"""What a finished job did: its manifest, its time, what it rejected; as an object, in a sentence, and as events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_scorer.escape import counted, per_second
from batch_scorer.events import ERROR, WARNING, Event
from batch_scorer.models.profile import SHARE_EDGES
from batch_scorer.runs.caveats import CAVEATS, DECISIONS
from batch_scorer.runs.rejections import Unreadable

OTHER = "start-up and other"


@dataclass(frozen=True)
class JobResult:
    """A job that has just finished.

    Args:
        output: the directory of its run.
        manifest: of its run.
        seconds: wall clock, from the start of the job.
        reviews_before: reviews that an earlier attempt had already scored.
        processes: local ones that scored; None where a runner has its own.
        rejected: records by code; None where they were not counted.
        unreadable: the first files and ranges that could not be read.
        first_rejected: for a run that is no success, a record with the most frequent code, and what is wrong with it.
        badly_encoded: the first input with texts that are not in the encoding they were read in, if there is one.
    """

    output: str
    manifest: Mapping[str, Any]
    seconds: float
    reviews_before: int
    processes: int | None
    rejected: Mapping[str, int] | None
    unreadable: Sequence[Unreadable] = ()
    badly_encoded: str | None = None
    first_rejected: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the run counts as a success."""
        return self.manifest["not_a_success"] is None

    @property
    def reviews_per_s(self) -> float:
        """What this attempt scored, over all its time."""
        scored: int = self.manifest["counts"]["scored"]
        return max(scored - self.reviews_before, 0) / (self.seconds or 1)

    @property
    def time_shares(self) -> dict[str, float]:
        """Where the time of the workers went.

        What is in no stage is `OTHER`; how much that is, is known of a local job that was not resumed.
        """
        timings = dict(self.manifest["timings"])
        rest = (self.processes or 0) * self.seconds - sum(timings.values())
        if self.processes and not self.reviews_before and rest > 0:
            timings = {OTHER: rest, **timings}
        total = sum(timings.values()) or 1
        return {stage: seconds / total for stage, seconds in timings.items()}

    @property
    def sentence(self) -> str:
        """The result in one line."""
        counts, before = self.manifest["counts"], self.reviews_before
        earlier = f", {before:,} of them earlier," if before else ""
        # A job that found everything done has no rate.
        rate = f" ({per_second(self.reviews_per_s)})" if counts["scored"] > before else ""
        # Those of older versions were not counted.
        empty = f" ({counts['empty']:,} without words)" if counts.get("empty") else ""
        passed = counts.get("passed_over", 0)
        known = f", {counted(passed, 'record')} passed over" if passed else ""
        took = f"{self.seconds:,.1f} s" if self.seconds < 600 else duration(self.seconds)
        return (
            f"{counted(counts['scored'], 'review')} scored{earlier} in {took}{rate}, "
            f"{counts['rejected']:,} rejected{empty}, {counts['unreadable']:,} unreadable{known}"
        )


def duration(seconds: float) -> str:
    """Seconds, in the unit in which one would say them."""
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def positive_share(manifest: Mapping[str, Any]) -> tuple[str, float | None]:
    """What the share is of, and the share: of the label `positive`, where the histogram of scores can tell.

    Of no reviews there is no share: None.
    """
    run, threshold = manifest["profile"]["run"]["probability"], manifest["threshold"]
    edge = threshold if threshold in SHARE_EDGES else 0.5
    above = sum(n for start, n in zip(run["from"], run["reviews"], strict=True) if start >= edge)
    reviews = sum(run["reviews"])
    return "positive" if edge == threshold else "P >= 0.5", above / reviews if reviews else None


def caveats(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was asked of how far to trust the scores: names, and how many reviews are what, in words."""
    scored, said = manifest["counts"]["scored"], list[tuple[str, str]]()
    certainty, unusual = manifest.get("certainty"), manifest.get("unusual")
    if scored and certainty is not None:
        counts = ", ".join(f"{certainty[name]:,} {name} ({certainty[name] / scored:.1%})" for name in DECISIONS)
        said.append(("decided", f"{counts}; decided if max(p, 1 - p) is at least {certainty['threshold']:g}"))
    if scored and unusual is not None:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in unusual["reasons"].items() if count)
        reviews = f"{counted(unusual['reviews'], 'review')} ({unusual['reviews'] / scored:.1%})"
        said.append(("unusual", f"{reviews}: {reasons}" if reasons else reviews))
    return said


def finished_fields(result: JobResult) -> dict[str, Any]:
    """What a job did, for programs: as JSON has it."""
    manifest = result.manifest
    label, share = positive_share(manifest)
    return {
        "run_id": manifest["run_id"],
        "output": result.output,
        "files": sum(found["files"] for found in manifest["inputs"]),
        "counts": manifest["counts"],
        "rejected": result.rejected,
        "success": result.is_success,
        "seconds": round(result.seconds, 3),
        "reviews_per_s": round(result.reviews_per_s, 1),
        "reviews_before": result.reviews_before,
        "processes": result.processes,
        "positive": round(share, 4) if label == "positive" and share is not None else None,
        "timings": manifest["timings"],
        **{name: manifest[name] for name in CAVEATS if name in manifest},
    }


def finished_events(result: JobResult) -> list[Event]:
    """The end of a job: warnings, notices, what it did, and why it is not a success if it is not."""
    manifest, run = result.manifest, {"run_id": result.manifest["run_id"]}
    events = [Event("warning", warning, WARNING, run) for warning in manifest["warnings"]]
    events += [Event("notice", notice, fields=run) for notice in manifest["notices"]]
    events.append(Event("finished", result.sentence, fields=finished_fields(result)))
    if not result.is_success:
        reason = f"not a success: {manifest['not_a_success']}"
        events.append(Event("not_a_success", reason, ERROR, {**run, "exit_code": 3}))
    return events
