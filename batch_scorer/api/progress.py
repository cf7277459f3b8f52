"""The progress of a job: in a notebook one output that changes, elsewhere a line on standard error now and then."""

from __future__ import annotations

import sys
import time
from html import escape
from typing import Any

from batch_scorer.escape import safe
from batch_scorer.events import Event, OnEvent

LINE_SECONDS = 10.0
_SHOWN = ("planned", "job", "warning", "notice", "finished")  # what stays; steps and progress give way to what follows


def shown() -> OnEvent:
    """A function that shows each event it gets where a person would see it."""
    display = _notebook_display()
    return _Output(display) if display else _Lines()


def _notebook_display() -> Any:
    """What IPython displays with, if this is a notebook."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    return display if getattr(get_ipython(), "kernel", None) else None


class _Lines:
    def __init__(self) -> None:
        self._printed = time.monotonic()

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if event.name in ("progress", "step"):
            if now - self._printed < LINE_SECONDS:
                return
        elif event.name not in _SHOWN:
            return
        self._printed = now
        print(_line(event), file=sys.stderr, flush=True)


class _Output:
    """One output of a cell: the lines that stay, and below them how far the job is.

    Args:
        display: IPython's function.
    """

    def __init__(self, display: Any) -> None:
        self._lines: list[str] = []
        self._handle = display(self._content("starting"), raw=True, display_id=True)

    def __call__(self, event: Event) -> None:
        if event.name in _SHOWN:
            self._lines.append(_line(event))
            self._handle.update(self._content("" if event.name == "finished" else "scoring"), raw=True)
        elif event.name in ("progress", "step"):
            self._handle.update(self._content(_line(event)), raw=True)

    def _content(self, now: str) -> dict[str, str]:
        text = "\n".join([*self._lines, *([now] if now else [])])
        html = f'<div style="white-space: pre-wrap; opacity: 0.85">{escape(text)}</div>'
        return {"text/plain": text, "text/html": html}


def _line(event: Event) -> str:
    return safe(f"warning: {event.message}" if event.name == "warning" else event.message)
