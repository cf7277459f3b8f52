"""What a terminal shows while a job runs: a spinner while it is planned, then a bar.

Where there is no terminal, or more is to be said than fits into a bar, a line now and then takes the place of both.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.status import Status
from rich.text import Text

from batch_scorer.escape import counted, per_second, safe
from batch_scorer.events import Event, log

LINE_SECONDS = 10.0


class JobScreen:
    """Shows the events of a job, and logs them. A context manager: it leaves the terminal as it was.

    Args:
        plain: lines rather than animations, in a terminal too.
    """

    def __init__(self, console: Console, plain: bool = False) -> None:
        self._console, self._animated = console, console.is_terminal and not plain
        self._step = ""
        self._printed: float | None = None  # when the last line about progress was
        self._status: Status | None = None
        self._bar: tuple[Progress, TaskID] | None = None
        self._stop = threading.Event()
        self._repeating = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> JobScreen:
        if not self._animated:
            self._repeating.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._clear()
        self._stop.set()
        if self._repeating.ident:
            self._repeating.join()

    def __call__(self, event: Event) -> None:
        """Takes in the next event, from any thread."""
        if event.name == "step":
            self._show_step(event.message)
            return
        self._step = ""
        if event.name == "progress":
            self._show_progress(event)
            return
        if event.name in ("planned", "job"):
            self._end_status()
            self._console.print(safe(event.message), highlight=False)
        elif event.name in ("warning", "notice", "finished"):
            self._clear()
        log(event)

    def _show_step(self, words: str) -> None:
        self._step = words
        if not self._animated:
            return  # said if it takes long
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(Text(words))

    def _repeat(self) -> None:
        """Says now and then what takes long before the work begins."""
        while not self._stop.wait(LINE_SECONDS):
            if words := self._step:
                self._console.print(Text(words))
                log(Event("step", words))

    def _show_progress(self, event: Event) -> None:
        if self._animated:
            self._update_bar(event)
            return
        now = time.monotonic()
        self._printed = self._printed or now
        if now - self._printed >= LINE_SECONDS:
            self._printed = now
            self._console.print(event.message, highlight=False)
            log(event)

    def _update_bar(self, event: Event) -> None:
        self._end_status()
        done, total, rate = (event.fields[name] for name in ("done", "total", "reviews_per_s"))
        if self._bar is None:
            about = "about " if event.fields["estimated"] else ""
            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn(f"{{task.completed:,.0f}} of {about}{counted(total, 'review')}"),  # type: ignore[arg-type]
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._bar = bar, bar.add_task("starting", total=total, rate="")  # type: ignore[arg-type]
            bar.start()
        bar, task = self._bar
        if rate:
            bar.update(task, completed=done, description="scoring", rate=per_second(rate))  # type: ignore[arg-type]

    def _end_status(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None

    def _clear(self) -> None:
        self._end_status()
        if self._bar:
            self._bar[0].stop()
            self._bar = None
