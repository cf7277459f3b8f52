"""The bar that shows how a training run goes: stage, epoch, steps, loss, rate and the time left of the stage."""

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
    """Steps a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} steps/s" if task.speed else "")


@contextmanager
def bar(console: Console) -> Iterator[Callable[[str, int, int], Progress]]:
    """A progress bar over all epochs of a stage; gives what makes, for each epoch, the function called at each step."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TextColumn("loss {task.fields[loss]:.4f}"), Rate(), TimeElapsedColumn(),
               TimeRemainingColumn()]  # fmt: skip
    with Bar(*columns, console=console) as shown:
        task = shown.add_task("starting", loss=0.0, total=None)
        begun: set[str] = set()

        def on_step(stage: str, epoch: int, epochs: int) -> Progress:
            def progress(done: int, steps: int, loss: float) -> None:
                at, what = (epoch - 1) * steps + done, f"{stage}, epoch {epoch} of {epochs}"
                if stage not in begun:
                    # A resumed run starts in the middle: the steps before count neither as time nor as speed.
                    begun.add(stage)
                    shown.reset(task, total=epochs * steps, completed=at - 1, description=what, loss=loss)
                shown.update(task, completed=at, description=what, loss=loss)

            return progress

        yield on_step
