"""The loop shared by all stages of training: steps, checkpoints, and a log, from which a killed run resumes.

The work directory of a run holds:

settings.json    everything that the result depends on; a run resumes only with the same settings
log.jsonl        a line at each checkpoint and at the end of each epoch: stage, epoch, step (of the stage), loss and
                 seconds since the previous line; at the end of an epoch also its measurements
checkpoints/     the last checkpoint of each stage, and the weights of each epoch to choose from; deleted once the model
                 is written
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from batch_scorer.errors import OptionError, OutputError

# Stages, as the log names them. Of several fine-tunings, each is a stage of its own, with its number after the name.
# `AVERAGE` is not trained: its lines measure the mean of their weights.
PRETRAINING, FINE_TUNING, AVERAGE, ADAPTING = "pretraining", "fine-tuning", "average", "adapting"

Progress = Callable[[int, int, float], None]  # steps done in the epoch, steps in the epoch, running mean of the loss
Line = dict[str, Any]


class Run:
    """One training run: its work directory, whether it resumes from there, and the callbacks that report on it."""

    def __init__(
        self,
        directory: Path,
        resume: bool,
        settings: Mapping[str, Any],
        on_step: Callable[[str, int, int], Progress] = lambda stage, epoch, epochs: lambda done, steps, loss: None,
        on_epoch: Callable[[Line], None] = lambda line: None,
        checkpoint_seconds: float = 120.0,
    ) -> None:
        """
        Args:
            directory: work directory for checkpoints and log; created if necessary.
            resume: whether to continue from the last checkpoint there; without one, the run simply starts.
            settings: everything that the result depends on, as JSON.
            on_step: called with stage, epoch and number of epochs; returns what to call after each step of the epoch.
            on_epoch: called with each line of the log that ends an epoch.
            checkpoint_seconds: time between checkpoints, which may be in the middle of an epoch.

        Raises:
            OutputError: the directory holds another run, and this one does not resume it.
            OptionError: the run to resume has different settings.
        """
        self.directory, self.resume = directory, resume
        self._on_step, self._on_epoch, self._checkpoint_seconds = on_step, on_epoch, checkpoint_seconds
        self._log = directory / "log.jsonl"
        self._marked = time.monotonic()
        stored = directory / "settings.json"
        requested = json.loads(json.dumps(settings))
        if stored.exists():
            if not resume:
                raise OutputError(
                    "the work directory already holds a training run",
                    where=str(directory),
                    fix="continue it with --resume, choose another --work, or delete the directory",
                )
            _check_same_settings(directory, json.loads(stored.read_text(encoding="utf-8")), requested)
        directory.mkdir(parents=True, exist_ok=True)
        replace_text(stored, json.dumps(requested, indent=2) + "\n")
        self.lines: list[Line] = []
        for text in self._log.read_text(encoding="utf-8").splitlines(keepends=True) if self._log.exists() else []:
            if text.endswith("\n"):  # a kill may have cut off the last line; then no checkpoint followed it
                self.lines.append(json.loads(text))

    def epochs(self, stage: str) -> list[Line]:
        """The lines of the log that end an epoch of `stage`."""
        return [line for line in self.lines if line["stage"] == stage and line["measured"]]

    def rewind(self, stage: str, step: int) -> None:
        """Drops the lines of `stage` after `step`, for which there is no checkpoint, and restarts the clock."""
        self.lines = [line for line in self.lines if line["stage"] != stage or line["step"] <= step]
        replace_text(self._log, "".join(json.dumps(line) + "\n" for line in self.lines))
        self._marked = time.monotonic()

    def note(self, stage: str, epoch: int, step: int, loss: float, measures: Mapping[str, Any] | None = None) -> None:
        """Adds a line to the log. With `measures`, it ends an epoch and is passed to `on_epoch`."""
        now = time.monotonic()
        line = {"stage": stage, "epoch": epoch, "step": step, "loss": loss, "seconds": round(now - self._marked, 3)}
        line |= {"measured": measures is not None, **(measures or {})}
        self._marked = now
        self.lines.append(line)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if measures is not None:
            self._on_epoch(line)

    def progress(self, stage: str, epoch: int, epochs: int) -> Progress:
        """Returns the function to call after each step of an epoch."""
        return self._on_step(stage, epoch, epochs)

    def stage(
        self,
        name: str,
        epochs: int,
        steps: int,
        state: Mapping[str, Any],
        losses: Callable[[int, int], Iterator[float]],
        measure: Callable[[int], Mapping[str, Any]],
        enough: Callable[[list[Line]], bool] = lambda lines: False,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Runs a stage to its end, from its last checkpoint if the run is resumed.

        An interrupted stage has the same result as an undisturbed one, since `losses` depends only on its arguments and
        `state`.

        Args:
            steps: in an epoch.
            state: all variables that the steps change, by name; `taken`, an integer, counts the steps.
            losses: takes the steps of an epoch, given its number and how many steps to skip, and yields their losses.
            measure: called after each epoch; its result goes to the log.
            enough: whether to stop early, given the lines that end an epoch.
            begin: called before the first step, but not if the stage resumes from a checkpoint.
        """
        import tensorflow as tf

        taken, total = state["taken"], tf.Variable(0.0, dtype=tf.float64)
        saved = tf.train.Checkpoint(**state, total=total)
        manager = tf.train.CheckpointManager(saved, str(self.directory / "checkpoints" / name), max_to_keep=1)
        if self.resume and manager.latest_checkpoint:
            saved.restore(manager.latest_checkpoint).assert_consumed()
        else:
            begin()
        self.rewind(name, int(taken))
        while (done := int(taken)) < epochs * steps and not enough(self.epochs(name)):
            epoch, skip = done // steps + 1, done % steps
            progress, running = self.progress(name, epoch, epochs), math.nan
            if not skip:
                total.assign(0.0)
            for step, loss in enumerate(losses(epoch, skip), skip + 1):
                total.assign_add(loss)
                running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
                progress(step, steps, running)
                if step < steps and time.monotonic() - self._marked >= self._checkpoint_seconds:
                    self.note(name, epoch, done - skip + step, running)
                    manager.save()
            # The line comes first: a line without its checkpoint is dropped on resuming, while a checkpoint without its
            # line would leave an epoch unmeasured.
            self.note(name, epoch, epoch * steps, running, {"training_loss": float(total) / steps, **measure(epoch)})
            manager.save()

    def finish(self) -> None:
        """Deletes the checkpoints and keeps the log."""
        shutil.rmtree(self.directory / "checkpoints", ignore_errors=True)


def _check_same_settings(directory: Path, stored: Mapping[str, Any], requested: Mapping[str, Any]) -> None:
    before, now = _flat(stored), _flat(requested)
    different = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
    if different:
        raise OptionError(
            "the run to resume was started with different settings",
            where=str(directory),
            expected=", ".join(f"{name} {before.get(name)}" for name in different),
            got=", ".join(f"{name} {now.get(name)}" for name in different),
            fix="use the settings it was started with, or choose another --work",
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in settings.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def replace_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Replaces an .npz file of these arrays atomically, like `replace_text`."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft.npz")
    np.savez(draft, **arrays)
    draft.replace(path)


def replace_text(path: Path, text: str) -> None:
    """Replaces a file atomically: a kill leaves either the old file or the new one."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
