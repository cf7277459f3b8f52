"""`--preset notebook`: the network that this project grew out of, fitted as in its notebook, for comparison.

Shapes as in `batch_scorer.models.network`. The settings are the notebook's. Splitting, calibration and measurement are
those of the default preset: the notebook validated on the test reviews, which `--validation FILE` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.errors import JobError
from batch_scorer.models.keras_model import notebook_network, notebook_variables
from batch_scorer.models.network import Architecture
from train.data import pad
from train.fit import Fitted
from train.metrics import fit_temperature, metrics
from train.prepare import Prepared
from train.run import FINE_TUNING, Run


@dataclass(frozen=True)
class Recipe:
    """The notebook's settings.

    Args:
        vocabulary_size: number of ids; the words are those of ranks 1 to 9 996, and id 3 is unused.
        validation_share: share of the labelled reviews held out by a hash of their id; not from the notebook.
        epochs: all of them run, and the last one is kept.
        learning_rate: of Adam.
        clip_norm: norm to which the gradient of each variable is clipped.
        dropout: share of embedding values that each direction drops.
    """

    vocabulary_size: int = 10_000
    validation_share: float = 0.1
    epochs: int = 2
    batch_size: int = 128
    learning_rate: float = 1e-4
    clip_norm: float = 1.0
    dropout: float = 0.3
    seed: int = 20


def architecture(vocabulary_size: int) -> Architecture:
    """The notebook's variant: relu gates and no mask."""
    return Architecture(vocabulary_size, recurrent_activation="relu", masked=False)


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the progress, measures each epoch on the validation split, and stops when the loss is not finite."""

    def __init__(self, validate: Callable[[], dict[str, float]], epochs: int, steps: int, run: Run) -> None:
        super().__init__()
        self._validate, self._epochs, self._steps, self._run = validate, epochs, steps, run

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._progress = self._run.progress(FINE_TUNING, epoch + 1, self._epochs)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise JobError(
                "training diverged: the loss is not a number",
                where=f"batch {batch + 1} of {self._steps}",
                expected="a finite loss",
                got=str(loss),
                fix="try another --seed, or fewer --epochs: relu gates have no upper bound, so states can grow without "
                "limit",
            )
        self._progress(batch + 1, self._steps, loss)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        measures = {"training_loss": loss, **self._validate()}
        self._run.note(FINE_TUNING, epoch + 1, (epoch + 1) * self._steps, loss, measures)


def fit(recipe: Recipe, architecture: Architecture, data: Prepared, run: Run) -> Fitted:
    """Fits the notebook's network with `keras.Model.fit`, then the temperature on the validation split.

    A checkpoint is saved after each epoch.

    Raises:
        JobError: training diverged: the loss or a validation logit is not finite.
    """
    keras.utils.set_random_seed(recipe.seed)
    network = notebook_network(architecture, recipe.dropout)
    network.compile(
        keras.optimizers.Adam(recipe.learning_rate, clipnorm=recipe.clip_norm),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    before_head = keras.Model(network.input, network.get_layer("batch_norm").output)
    validation, labels = _padded(data.validation.ids, architecture), data.validation.labels

    def validation_logits() -> npt.NDArray[np.float64]:
        # Computed from the layer before the head, since the head's sigmoid rounds large logits to 0 or 1.
        head = network.get_layer("head")
        logits = before_head.predict(validation, batch_size=128, verbose=0) @ head.kernel.numpy() + head.bias.numpy()
        if not np.isfinite(logits).all():
            raise JobError(
                "training diverged: a validation logit is not a number",
                expected="finite logits",
                got=f"{logits[~np.isfinite(logits)][0]}",
                fix="try another --seed, or fewer --epochs",
            )
        return logits[:, 0].astype(np.float64)  # type: ignore[no-any-return]

    def validate() -> dict[str, float]:
        logits = validation_logits()
        temperature = fit_temperature(logits, labels)
        return {"temperature": temperature, **metrics(logits, labels, temperature)}

    network.optimizer.build(network.trainable_variables)
    saved = tf.train.Checkpoint(network=network, optimizer=network.optimizer)
    manager = tf.train.CheckpointManager(saved, str(run.directory / "checkpoints" / "notebook"), max_to_keep=1)
    done, steps = 0, math.ceil(len(data.training) / recipe.batch_size)
    if run.resume and manager.latest_checkpoint:
        saved.restore(manager.latest_checkpoint).assert_consumed()
        done = int(manager.latest_checkpoint.rsplit("-")[-1])
    run.rewind(FINE_TUNING, done * steps)
    save = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: manager.save(checkpoint_number=epoch + 1))
    report = _Report(validate, recipe.epochs, steps, run)
    network.fit(
        _padded(data.training.ids, architecture),
        data.training.labels.astype(np.float32),
        batch_size=recipe.batch_size,
        initial_epoch=done,
        epochs=recipe.epochs,
        callbacks=[report, save],
        verbose=0,
    )
    logits = validation_logits()
    temperature = fit_temperature(logits, labels)
    tensors = {name: variable.numpy() for name, variable in notebook_variables(network).items()}
    return Fitted(tensors, recipe.epochs, temperature, metrics(logits, labels, temperature), logits)


def _padded(ids: Any, architecture: Architecture) -> npt.NDArray[np.int32]:
    """N reviews as int32[N, max_length], padded on the left."""
    return pad(ids, architecture.max_length)
