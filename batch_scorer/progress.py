"""How far a job is: polls the markers of finished shards; a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError

PLAIN_LINE_SECONDS = 10.0
Poll = Callable[[], int]  # reviews done so far


def reviews_done(output: str) -> Poll:
    """Counts the reviews of finished shards by their markers; each marker is read once."""
    seen: dict[str, int] = {}

    def poll() -> int:
        with contextlib.suppress(StoreError, UnavailableError):  # the job has troubles of its own then, if any
            for file in storage.match_in(storage.join(output, "shards"), "*.json"):
                if file.path not in seen:
                    # A marker that was damaged stands until its shard is done again.
                    with contextlib.suppress(
                        OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError
                    ):
                        seen[file.path] = int(json.loads(storage.read_bytes(file.path))["counts"]["read"])
        return sum(seen.values())

    return poll


@contextmanager
def progress(console: Console, poll: Poll, total: int, estimated: bool, every_s: float) -> Iterator[None]:
    """Shows how far the job is while the body runs: a bar in a terminal, a line now and then elsewhere."""
    stop = threading.Event()
    show = _bar if console.is_terminal else _lines
    thread = threading.Thread(target=show, args=(console, poll, total, estimated, every_s, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bar(console: Console, poll: Poll, total: int, estimated: bool, every_s: float, stop: threading.Event) -> None:
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
        start, before = time.monotonic(), poll()
        while not stop.wait(every_s):
            done = poll()
            if done > before:
                rate = (done - before) / (time.monotonic() - start)
                bar.update(task, completed=done, description="scoring", rate=f"{rate:,.0f}/s")


def _lines(console: Console, poll: Poll, total: int, estimated: bool, every_s: float, stop: threading.Event) -> None:
    about = "about " if estimated else ""
    start, before = time.monotonic(), poll()
    while not stop.wait(PLAIN_LINE_SECONDS):
        done = poll()
        elapsed = time.monotonic() - start
        rate = (done - before) / elapsed
        left = f", {max(total - done, 0) / rate:,.0f} s left" if rate else ""
        console.print(f"{done:,} of {about}{total:,} reviews, {rate:,.0f}/s{left}", highlight=False)
