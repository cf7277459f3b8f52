"""The loop that every stage of training goes through: steps, checkpoints, and a log, from which a killed run goes on.

A run's directory holds, while it goes on and after it:

settings.json    what the result depends on; a run is resumed with the same settings only
log.jsonl        a line at each checkpoint and at the end of each epoch: stage, epoch, step (of the stage), loss,
                 seconds since the line before; at the end of an epoch what was measured, too
checkpoints/     the last checkpoint of each stage, and the weights of each epoch to choose from; gone once the model is
                 written
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

# Stages, as the log names them. Of several fine-tunings each is a stage, with its number after the name; `AVERAGE` is
# not trained: its lines say what the mean of their weights does.
PRETRAINING, FINE_TUNING, AVERAGE = "pretraining", "fine-tuning", "average"

Progress = Callable[[int, int, float], None]  # steps of the epoch done, all of them, running loss
Line = dict[str, Any]


class Run:
    """One training run: where it is kept, whether it goes on from there, and who is told of it."""

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
            directory: of checkpoints and log; made if need be.
            resume: whether to go on from the last checkpoint there; where there is none, the run simply starts.
            settings: all that the result depends on, as JSON has it.
            on_step: given stage, epoch and number of epochs, what to call after each of the epoch's steps.
            on_epoch: called with each line of the log that ends an epoch.
            checkpoint_seconds: after which a checkpoint is due, in the middle of an epoch too.

        Raises:
            OutputError: another run stands in the directory, and this is not to resume it.
            OptionError: the run to resume has other settings.
        """
        self.directory, self.resume = directory, resume
        self._on_step, self._on_epoch, self._checkpoint_seconds = on_step, on_epoch, checkpoint_seconds
        self._log = directory / "log.jsonl"
        self._marked = time.monotonic()
        stored = directory / "settings.json"
        given = json.loads(json.dumps(settings))
        if stored.exists():
            if not resume:
                raise OutputError(
                    "the work directory holds a training run already",
                    where=str(directory),
                    fix="go on with it by --resume, give another --work, or delete the directory",
                )
            _same_settings(directory, json.loads(stored.read_text(encoding="utf-8")), given)
        directory.mkdir(parents=True, exist_ok=True)
        replace_text(stored, json.dumps(given, indent=2) + "\n")
        self.lines: list[Line] = []
        for text in self._log.read_text(encoding="utf-8").splitlines(keepends=True) if self._log.exists() else []:
            if text.endswith("\n"):  # a kill may have cut off the last line, which no checkpoint followed then
                self.lines.append(json.loads(text))

    def epochs(self, stage: str) -> list[Line]:
        """The lines of the log that end an epoch of `stage`."""
        return [line for line in self.lines if line["stage"] == stage and line["measured"]]

    def rewind(self, stage: str, step: int) -> None:
        """Drops what the log says of `stage` after `step`, and of what no checkpoint was kept."""
        self.lines = [line for line in self.lines if line["stage"] != stage or line["step"] <= step]
        replace_text(self._log, "".join(json.dumps(line) + "\n" for line in self.lines))
        self._marked = time.monotonic()

    def note(self, stage: str, epoch: int, step: int, loss: float, measures: Mapping[str, Any] | None = None) -> None:
        """Adds a line to the log; with `measures` it ends an epoch, and is told."""
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
        """What to call after each step of an epoch."""
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

        An interrupted stage ends as an undisturbed one does: `losses` depends on nothing but its arguments and `state`.

        Args:
            steps: of an epoch.
            state: all variables that the steps change, by name; `taken`, an integer, counts them.
            losses: given an epoch and how many of its steps to leave out, takes the others, and gives their losses.
            measure: called after each epoch; what it returns goes to the log.
            enough: given the lines that end an epoch, whether to stop early.
            begin: called before the first step, and not where the stage goes on from a checkpoint.
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
            # The line comes first: without its checkpoint it is dropped again, and an epoch without a line cannot be.
            self.note(name, epoch, epoch * steps, running, {"training_loss": float(total) / steps, **measure(epoch)})
            manager.save()

    def finish(self) -> None:
        """Deletes the checkpoints; the log stays."""
        shutil.rmtree(self.directory / "checkpoints", ignore_errors=True)


def _same_settings(directory: Path, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    was, now = _flat(stored), _flat(given)
    differ = [name for name in sorted(was | now) if was.get(name) != now.get(name)]
    if differ:
        raise OptionError(
            "the run to resume was begun with other settings",
            where=str(directory),
            expected=", ".join(f"{name} {was.get(name)}" for name in differ),
            got=", ".join(f"{name} {now.get(name)}" for name in differ),
            fix="give the settings it was begun with, or another --work",
        )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in settings.items():
        out |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def replace_text(path: Path, text: str) -> None:
    """Writes a file so that a kill leaves the old one or the new one whole."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
