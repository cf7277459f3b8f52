"""How far a job is: a spinner while it is planned, then a bar that follows the markers of finished shards.

Where there is no terminal, or more is to be told than fits into a bar, a line now and then takes the place of both.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError
from batch_scorer.events import DETAIL, tell
from batch_scorer.runs import layout, plan_files

PLAIN_LINE_SECONDS = 10.0
Poll = Callable[[], int]  # reviews done so far
ShardDone = Callable[[int], None]


def reviews_done(output: str, reviews: Sequence[int], on_shard: ShardDone | None = None) -> Poll:
    """Counts the reviews of finished shards by the names of their markers.

    No marker is read: there may be a hundred thousand of them, in a store. A damaged one counts until its shard is done
    again, and then too.

    Args:
        reviews: how many each shard has, as planned.
        on_shard: called with each shard that is done since the first poll.
    """
    counted = 0
    known: set[int] | None = None

    def poll() -> int:
        nonlocal counted, known
        with contextlib.suppress(StoreError, UnavailableError):  # the job has troubles of its own then, if any
            done = layout.finished_shards(output)
            counted = sum(reviews[shard] for shard in done if shard < len(reviews))
            if on_shard:
                for shard in sorted(done - known) if known is not None else ():
                    on_shard(shard)
                known = done | (known or set())
        return counted

    return poll


def tell_shard(output: str, shards: int, run_id: str) -> ShardDone:
    """Tells, in detail, of a shard that is done; in a store by its number alone, since each marker takes a request."""

    def on_shard(index: int) -> None:
        fields: dict[str, object] = {"run_id": run_id, "shard": index}
        said = f"shard {index} of {shards:,} is done"
        if not storage.is_remote(output):
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
                marker = json.loads(storage.read_bytes(layout.marker_path(output, index)))
                counts, timings = marker["counts"], marker["timings"]
                took = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in timings.items())
                said = (
                    f"{plan_files.shard_at(output, index)} (of {shards:,}): {counts['scored']:,} scored, "
                    f"{counts['rejected']:,} rejected; {took}"
                )
                fields |= {"counts": counts, "timings": timings}
        tell("shard", said, DETAIL, **fields)

    return on_shard


@contextmanager
def steps(console: Console, plain: bool = False) -> Iterator[Callable[[str], None]]:
    """Shows what the body says it is at: in a terminal while it does it, elsewhere now and then if it takes long.

    Args:
        plain: as elsewhere, in a terminal too.
    """
    if console.is_terminal and not plain:
        with console.status("") as status:
            yield lambda words: status.update(Text(words))
        return
    stop, said = threading.Event(), Text()

    def say(words: str) -> None:
        said.plain = words

    def repeat() -> None:
        while not stop.wait(PLAIN_LINE_SECONDS):
            console.print(said)
            tell("step", said.plain)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield say
    finally:
        stop.set()
        thread.join()


@contextmanager
def progress(
    console: Console, poll: Poll, total: int, estimated: bool, every_s: float, plain: bool = False
) -> Iterator[None]:
    """Shows how far the job is while the body runs: a bar in a terminal, a line now and then elsewhere, or if `plain`.

    It has polled once before the body runs.
    """
    stop = threading.Event()
    show = _bar if console.is_terminal and not plain else _lines
    before = poll()
    thread = threading.Thread(target=show, args=(console, poll, before, total, estimated, every_s, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _polls(poll: Poll, every_s: float, stop: threading.Event) -> Iterator[int]:
    """What `poll` says, until `stop`; it takes a tenth of the time at most, since a listing may take seconds."""
    pause_s = every_s
    while not stop.wait(pause_s):
        start = time.monotonic()
        done = poll()
        pause_s = max(every_s, 9 * (time.monotonic() - start))
        yield done


def _bar(
    console: Console, poll: Poll, before: int, total: int, estimated: bool, every_s: float, stop: threading.Event
) -> None:
    about = "about " if estimated else ""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {about}{total:,} reviews"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=total, rate="")
        start = time.monotonic()
        for done in _polls(poll, every_s, stop):
            if done > before:
                rate = (done - before) / (time.monotonic() - start)
                bar.update(task, completed=done, description="scoring", rate=f"{rate:,.0f}/s")


def _lines(
    console: Console, poll: Poll, before: int, total: int, estimated: bool, every_s: float, stop: threading.Event
) -> None:
    about = "about " if estimated else ""
    start = said = time.monotonic()
    for done in _polls(poll, min(every_s, PLAIN_LINE_SECONDS), stop):
        now = time.monotonic()
        if now - said < PLAIN_LINE_SECONDS:
            continue
        said, rate = now, (done - before) / (now - start)
        left_s = max(total - done, 0) / rate if rate else None
        line = f"{done:,} of {about}{total:,} reviews"
        if left_s is not None:
            line += f", {rate:,.0f}/s, {left_s:,.0f} s left"
        console.print(line, highlight=False)
        fields = {"done": done, "total": total, "estimated": estimated, "reviews_per_s": round(rate, 1)}
        tell("progress", line, **fields, left_s=left_s and round(left_s))
