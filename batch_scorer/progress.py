"""How far a job is: a spinner while it is planned, then a bar that follows the markers of finished shards.

Where there is no terminal, a line now and then takes the place of both.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError

PLAIN_LINE_SECONDS = 10.0
Poll = Callable[[], int]  # reviews done so far


def reviews_done(output: str, reviews: Sequence[int]) -> Poll:
    """Counts the reviews of finished shards by the names of their markers.

    No marker is read: there may be a hundred thousand of them, in a store. A damaged one counts until its shard is done
    again, and then too.

    Args:
        reviews: how many each shard has, as planned.
    """
    counted = 0

    def poll() -> int:
        nonlocal counted
        with contextlib.suppress(StoreError, UnavailableError):  # the job has troubles of its own then, if any
            files = storage.match_in(storage.join(output, "shards"), "*.json")
            stems = (os.path.basename(file.path).removesuffix(".json") for file in files)
            done = {int(stem) for stem in stems if stem.isascii() and stem.isdecimal()}
            counted = sum(reviews[shard] for shard in done if shard < len(reviews))
        return counted

    return poll


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str], None]]:
    """Shows what the body says it is at: in a terminal while it does it, elsewhere now and then if it takes long."""
    if console.is_terminal:
        with console.status("") as status:
            yield lambda words: status.update(Text(words))
        return
    stop, said = threading.Event(), Text()

    def say(words: str) -> None:
        said.plain = words

    def tell() -> None:
        while not stop.wait(PLAIN_LINE_SECONDS):
            console.print(said)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield say
    finally:
        stop.set()
        thread.join()


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


def _polls(poll: Poll, every_s: float, stop: threading.Event) -> Iterator[int]:
    """What `poll` says, until `stop`; it takes a tenth of the time at most, since a listing may take seconds."""
    pause_s = every_s
    while not stop.wait(pause_s):
        start = time.monotonic()
        done = poll()
        pause_s = max(every_s, 9 * (time.monotonic() - start))
        yield done


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
        for done in _polls(poll, every_s, stop):
            if done > before:
                rate = (done - before) / (time.monotonic() - start)
                bar.update(task, completed=done, description="scoring", rate=f"{rate:,.0f}/s")


def _lines(console: Console, poll: Poll, total: int, estimated: bool, every_s: float, stop: threading.Event) -> None:
    about = "about " if estimated else ""
    start, before = time.monotonic(), poll()
    for done in _polls(poll, PLAIN_LINE_SECONDS, stop):
        elapsed = time.monotonic() - start
        rate = (done - before) / elapsed
        left = f", {max(total - done, 0) / rate:,.0f} s left" if rate else ""
        console.print(f"{done:,} of {about}{total:,} reviews, {rate:,.0f}/s{left}", highlight=False)
