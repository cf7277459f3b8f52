"""The progress bar of a training run: stage, epoch, steps, loss, rate and the time left in the stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from train.run import Progress


class Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


@contextmanager
def bar(console: Console) -> Iterator[Callable[[str, int, int], Progress]]:
    """Shows a progress bar for all epochs of a stage.

    Yields:
        A function of stage, epoch and number of epochs, which returns the function to call after each step.
    """
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("loss {task.fields[loss]:.4f}"), Rate(), TimeElapsedColumn(),
               TimeRemainingColumn()]  # fmt: skip
    with Bar(*columns, console=console) as display:
        task = display.add_task("starting", loss=0.0, total=None)
        started: set[str] = set()

        def on_step(stage: str, epoch: int, epochs: int) -> Progress:
            def progress(done: int, steps: int, loss: float) -> None:
                completed, title = (epoch - 1) * steps + done, f"{stage}, epoch {epoch} of {epochs}"
                if stage not in started:
                    # A resumed run starts in the middle: earlier steps must not count for its time and speed.
                    started.add(stage)
                    display.reset(task, total=epochs * steps, completed=completed - 1, description=title, loss=loss)
                display.update(task, completed=completed, description=title, loss=loss)

            return progress

        yield on_step
