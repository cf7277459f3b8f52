"""How far a running job is: the markers of finished shards, counted now and then, become events."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError
from batch_scorer.escape import counted, per_second
from batch_scorer.events import DETAIL, Event, OnEvent
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout, plan_files

LOCAL_POLL_SECONDS, REMOTE_POLL_SECONDS = 0.5, 10.0


class ShardCounter:
    """Counts the reviews of finished shards by the names of their markers.

    No marker is read for that: there may be a hundred thousand of them, in a store. A damaged one counts until its
    shard is scored again, and after that too.

    Args:
        output: the directory of the run.
        reviews: how many each shard has, as planned.
        on_shard: is called with each shard that finished after the first count.
    """

    def __init__(self, output: str, reviews: Sequence[int], on_shard: Callable[[int], None] | None = None) -> None:
        self._output, self._reviews, self._on_shard = output, reviews, on_shard
        self._finished: set[int] | None = None
        self._first: dict[int, tuple[int, float]] | None = None
        self._latest = dict[int, tuple[int, float]]()
        self._count = 0

    def __call__(self) -> int:
        """The number of reviews so far."""
        with contextlib.suppress(StoreError, UnavailableError):  # the job has troubles of its own then, if any
            self._latest = layout.marker_stamps(self._output)
            self._first = self._latest if self._first is None else self._first
            finished = {*self._latest}
            self._count = sum(self._reviews[shard] for shard in finished if shard < len(self._reviews))
            before, self._finished = self._finished, finished | (self._finished or set())
            if self._on_shard and before is not None:
                for shard in sorted(finished - before):
                    self._on_shard(shard)
        return self._count

    @property
    def untouched(self) -> int:
        """The reviews of the shards whose markers are at the last count as they were at the first."""
        stamps = (self._first or {}).items()
        return sum(
            self._reviews[shard]
            for shard, stamp in stamps
            if shard < len(self._reviews) and stamp == self._latest.get(shard)
        )


def shard_event(plan: Plan, output: str, index: int) -> Event:
    """A finished shard, in detail; in a store by its number alone, since each marker would take a request."""
    fields: dict[str, object] = {"run_id": plan.run_id, "shard": index}
    message = f"shard {index} of {plan.shard_count:,} is done"
    if not storage.is_remote(output):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            marker = json.loads(storage.read_bytes(layout.marker_path(output, index)))
            counts, timings = marker["counts"], marker["timings"]
            stages = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in timings.items())
            message = (
                f"{plan_files.shard_at(output, index)} (of {plan.shard_count:,}): {counts['scored']:,} scored, "
                f"{counts['rejected']:,} rejected; {stages}"
            )
            fields |= {"counts": counts, "timings": timings}
    return Event("shard", message, DETAIL, fields)


@contextmanager
def followed(counter: ShardCounter, plan: Plan, output: str, on_event: OnEvent) -> Iterator[None]:
    """Passes on how far the job is while the body runs, from a thread of its own. It has counted once before that."""
    stop, before = threading.Event(), counter()
    every_s = REMOTE_POLL_SECONDS if storage.is_remote(output) else LOCAL_POLL_SECONDS

    def follow() -> None:
        start = time.monotonic()
        for done in _polls(counter, every_s, stop):
            on_event(_progress(plan, done, (done - before) / (time.monotonic() - start)))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _polls(counter: Callable[[], int], every_s: float, stop: threading.Event) -> Iterator[int]:
    """The counts until `stop`; counting takes a tenth of the time at most, since a listing may take seconds."""
    pause_s = every_s
    while not stop.wait(pause_s):
        start = time.monotonic()
        done = counter()
        pause_s = max(every_s, 9 * (time.monotonic() - start))
        yield done


def _progress(plan: Plan, done: int, reviews_per_s: float) -> Event:
    left_s = max(plan.reviews - done, 0) / reviews_per_s if reviews_per_s > 0 else None
    about = "about " if plan.estimated else ""
    message = f"{done:,} of {about}{counted(plan.reviews, 'review')}"
    if left_s is not None:
        message += f", {per_second(reviews_per_s)}, {left_s:,.0f} s left"
    fields = {
        "done": done,
        "total": plan.reviews,
        "estimated": plan.estimated,
        "reviews_per_s": round(reviews_per_s, 1),
    }
    return Event("progress", message, fields={**fields, "left_s": None if left_s is None else round(left_s)})
