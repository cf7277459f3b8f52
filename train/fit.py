"""Fits the network to labelled reviews; the epoch is chosen on the validation split.

Shapes as in `batch_scorer.model`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.model import Architecture, Floats
from train.metrics import fit_temperature, log_loss, metrics
from train.prepare import Prepared
from train.run import Line, Run
from train.trainer import Recipe, Trainer

STAGE = "fine-tuning"


@dataclass(frozen=True)
class Fitted:
    """The chosen weights, as tensors of the artefact, and what they do on the validation split."""

    tensors: dict[str, Floats]
    epoch: int
    temperature: float
    validation: dict[str, float]
    validation_logits: npt.NDArray[np.float32]


def fit(
    recipe: Recipe, architecture: Architecture, data: Prepared, run: Run, start: Mapping[str, Floats] | None = None
) -> Fitted:
    """Trains until the validation loss stops falling, as the stage `fine-tuning` of a run, and returns the best epoch.

    The loss compared is that after calibration, since calibration follows anyway.

    Args:
        start: pre-trained tensors to begin with.
    """
    training, validation = data.training, data.validation
    steps = math.ceil(len(training) / recipe.batch_size)
    trainer = Trainer(recipe, architecture, data.counts, steps, start)
    trainer.begin(training.ids)
    kept = run.directory / "best.npz"

    def best(lines: Sequence[Line]) -> Line | None:
        return min(lines, key=lambda line: line["log_loss"], default=None)

    def measure(epoch: int) -> dict[str, float]:
        trainer.settle(training.ids)
        logits = trainer.logits(validation.ids)
        temperature = fit_temperature(logits, validation.labels)
        measured = {"temperature": temperature, **metrics(logits, validation.labels, temperature)}
        before = best(run.epochs(STAGE))
        if not before or measured["log_loss"] < before["log_loss"]:
            draft = kept.with_suffix(".draft.npz")
            np.savez(draft, logits=logits, **{k: v.numpy() for k, v in trainer.average.items()})
            draft.replace(kept)
        return measured

    def enough(lines: list[Line]) -> bool:
        leader = best(lines)
        return leader is not None and len(lines) - leader["epoch"] >= recipe.patience

    run.stage(
        STAGE,
        recipe.epochs,
        steps,
        trainer.state(),
        lambda epoch, skip: trainer.train_epoch(epoch, training.ids, training.labels, skip),
        measure,
        enough,
    )
    chosen = best(run.epochs(STAGE))
    assert chosen is not None
    with np.load(kept) as stored:
        tensors = {name: stored[name] for name in stored.files if name != "logits"}
        logits = stored["logits"]
    temperature = chosen["temperature"]
    assert math.isclose(log_loss(logits, validation.labels, temperature), chosen["log_loss"], rel_tol=1e-6)
    validated = metrics(logits, validation.labels, temperature)
    return Fitted(tensors, chosen["epoch"], temperature, validated, logits)
