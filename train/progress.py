"""What a training run shows: its progress bar (stage, epoch, steps, loss, rate, time left) and a line per epoch."""

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

from train.run import AVERAGE, PRETRAINING, Line, Progress


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


def measured(line: Line) -> str:
    """What the log's line at the end of an epoch says, in words."""
    if line["stage"] == PRETRAINING:
        return f"pre-training epoch {line['epoch']}: validation perplexity {line['perplexity']:.1f}"
    progress = f"mean of the weights after epoch {line['epoch']}"
    if line["stage"] != AVERAGE:
        progress = f"{line['stage']}, epoch {line['epoch']}: training loss {line['training_loss']:.4f}"
    return (
        f"{progress}; validation accuracy {line['accuracy']:.4f}, log loss {line['log_loss']:.4f}, "
        f"temperature {line['temperature']:.2f}"
    )
