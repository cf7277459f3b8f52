"""Fits the network to labelled reviews; the validation split decides which epoch is kept.

Shapes as in `batch_scorer.models.network`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batch_scorer.models.calibration import Calibration
from batch_scorer.models.network import Architecture, Floats
from train.material.mixture import labelled
from train.material.parts import Part, Parts
from train.metrics import fit_temperature, metrics
from train.prepare import Encoded, Prepared
from train.run import AVERAGE, FINE_TUNING, Line, Run, replace_arrays
from train.trainer import Recipe, Trainer


@dataclass(frozen=True)
class Fitted:
    """The chosen weights, as tensors of the artefact, with their results on the validation split.

    Args:
        temperature: divides the logits (Guo et al. 2017, section 4.2); with a calibration, its median.
        validation: what `train.metrics.metrics` returns for the validation split.
        validation_logits: float64[N], before calibration.
        calibration: where the temperature depends on the review.
    """

    tensors: dict[str, Floats]
    epoch: int
    temperature: float
    validation: dict[str, float]
    validation_logits: npt.NDArray[np.float64]
    calibration: Calibration | None = None

    def temperatures(self, side: Encoded) -> npt.NDArray[np.float64]:
        """What the logits of N reviews are divided by: float64[N]."""
        if self.calibration is None:
            return np.full(len(side), self.temperature)
        return self.calibration.temperature(side.n_ids, side.oov_rate)


def fit(
    recipe: Recipe,
    architecture: Architecture,
    data: Prepared,
    run: Run,
    start: Mapping[str, Floats] | None = None,
    fine_tunings: int = 1,
    parts: Parts | None = None,
) -> Fitted:
    """Trains until the validation loss stops falling, as the stage `fine-tuning` of a run, and returns the best epoch.

    Epochs are compared by their loss after calibration, since every model is calibrated anyway.

    Args:
        start: pre-trained tensors to start from.
        fine_tunings: how many times to fine-tune from the same weights, each time with a different order and dropout.
            The model is the mean of all of them at the same epoch (Wortsman et al. 2022, a uniform soup): trainings
            that start from the same weights end in the same basin of the loss.
        parts: what each epoch is drawn from; by default the labelled reviews.
    """
    parts = parts or labelled_alone(data.training, recipe)
    stages = [FINE_TUNING] if fine_tunings == 1 else [f"{FINE_TUNING} {1 + turn}" for turn in range(fine_tunings)]
    for turn, stage in enumerate(stages):
        trainer = fine_tune(recipe, architecture, data, parts, run, stage, start, turn)
    epochs = range(1, 1 + min(len(run.epochs(stage)) for stage in stages))
    if fine_tunings == 1:  # the log already says which epoch is best
        best = min(run.epochs(FINE_TUNING), key=lambda line: line["log_loss"])["epoch"]
        epochs = range(best, best + 1)
    return min(_averaged(trainer, data, run, stages, epochs), key=lambda fitted: fitted.validation["log_loss"])


def labelled_alone(side: Encoded, recipe: Recipe) -> Parts:
    """The labelled reviews as the parts of each epoch: those that are learnt adversarially as well, and the others."""
    whole = labelled(side, recipe.batch_size)

    def parts(epoch: int) -> list[Part]:
        rng = np.random.default_rng((recipe.seed, 4, epoch))
        return [part for part in whole.divided(recipe.adversarial, rng) if len(part)]

    return parts


def fine_tune(
    recipe: Recipe,
    architecture: Architecture,
    data: Prepared,
    parts: Parts,
    run: Run,
    stage: str,
    start: Mapping[str, Floats] | None,
    turn: int,
) -> Trainer:
    """Runs one fine-tuning to its end and saves the averaged weights of each epoch to `weights_path`.

    Args:
        parts: what each epoch is drawn from.
        turn: which of several fine-tunings this is, from 0.
    """
    training, validation = data.training, data.validation
    steps = sum(part.steps for part in parts(1))
    trainer = Trainer(recipe, architecture, data.shared_counts, steps, start, turn)

    def measure(epoch: int) -> dict[str, float]:
        trainer.settle(training.ids)
        averages = {name: variable.numpy() for name, variable in trainer.average.items()}
        replace_arrays(weights_path(run, stage, epoch), averages)
        _, temperature, quality = _validate(trainer, validation)
        return {"temperature": temperature, **quality}

    def enough(lines: list[Line]) -> bool:
        best = min(lines, key=lambda line: line["log_loss"], default=None)
        return best is not None and len(lines) - best["epoch"] >= recipe.patience

    run.stage(
        stage,
        recipe.epochs,
        steps,
        trainer.state(),
        lambda epoch, skip: trainer.train_epoch(epoch, parts(epoch), skip),
        measure,
        enough,
        begin=lambda: trainer.begin(training.ids),
    )
    return trainer


def _averaged(
    trainer: Trainer, data: Prepared, run: Run, stages: Sequence[str], epochs: Iterable[int]
) -> Iterator[Fitted]:
    """Yields, for each epoch, the model whose weights are the mean over all stages."""
    run.rewind(AVERAGE, 0)
    for epoch in epochs:
        members = []
        for stage in stages:
            members.append(load_weights(run, stage, epoch))
        tensors = {name: np.mean([member[name] for member in members], axis=0) for name in members[0]}
        trainer.take(tensors, data.training.ids)
        logits, temperature, quality = _validate(trainer, data.validation)
        if len(stages) > 1:
            run.note(AVERAGE, epoch, epoch, quality["log_loss"], {"temperature": temperature, **quality})
        averaged = {name: variable.numpy() for name, variable in trainer.average.items()}
        yield Fitted(averaged, epoch, temperature, quality, logits)


def _validate(trainer: Trainer, validation: Encoded) -> tuple[npt.NDArray[np.float64], float, dict[str, float]]:
    """Logits of the averaged network on the validation split, the temperature fitted to them, and the metrics."""
    logits = validation.pooled(trainer.logits(validation.ids))
    temperature = fit_temperature(logits, validation.labels)
    return logits, temperature, metrics(logits, validation.labels, temperature)


def weights_path(run: Run, stage: str, epoch: int) -> Path:
    """Where `fine_tune` saves the averaged weights of an epoch."""
    return run.directory / "checkpoints" / stage / f"weights-{epoch}.npz"


def load_weights(run: Run, stage: str, epoch: int) -> dict[str, Floats]:
    """The weights at `weights_path`."""
    with np.load(weights_path(run, stage, epoch)) as stored:
        return {name: stored[name] for name in stored.files}
