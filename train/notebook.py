"""`--preset notebook`: the network this project began with, fitted as its notebook did, for comparison.

Shapes as in `batch_scorer.models.network`. What is known of the notebook is followed; where it is silent, Keras'
defaults and what like notebooks use stand in, and `Recipe` says where. Data are split, calibrated and measured as for
the default.
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
        vocabulary_size: ids; the words are those of ranks 1 to 9 996, and id 3 is nobody's.
        validation_share: of the labelled reviews, held out by a hash of their id: ours.
        epochs: all are run, and the last one counts. Not known of the notebook; like ones ran 3 to 10.
        batch_size: not known of the notebook; this is what Keras takes where none is given.
        learning_rate: of Adam.
        clip_norm: norm to which the gradient of each variable is cut.
        dropout: share of embedding values that each direction drops.
    """

    vocabulary_size: int = 10_000
    validation_share: float = 0.1
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 1e-4
    clip_norm: float = 1.0
    dropout: float = 0.3
    seed: int = 20


def architecture(vocabulary_size: int) -> Architecture:
    """The notebook's variant: relu gates and no mask. (Its 128 attention units: not known, taken from like ones.)"""
    return Architecture(vocabulary_size, recurrent_activation="relu", masked=False)


class _Report(keras.callbacks.Callback):  # type: ignore[misc]
    """Shows how fitting goes, measures each epoch on the validation split, and stops when the loss is no number."""

    def __init__(self, validate: Callable[[], dict[str, float]], epochs: int, steps: int, run: Run) -> None:
        super().__init__()
        self._validate, self._epochs, self._steps, self._run = validate, epochs, steps, run

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._progress = self._run.progress(FINE_TUNING, epoch + 1, self._epochs)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if not math.isfinite(loss):
            raise JobError(
                "the loss is no number any more",
                where=f"batch {batch + 1} of {self._steps}",
                got=str(loss),
                fix="give another --seed; gates by relu have no upper bound, and a state may grow without end",
            )
        self._progress(batch + 1, self._steps, loss)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        measures = {"training_loss": loss, **self._validate()}
        self._run.note(FINE_TUNING, epoch + 1, (epoch + 1) * self._steps, loss, measures)


def fit(recipe: Recipe, architecture: Architecture, data: Prepared, run: Run) -> Fitted:
    """Fits the notebook's network by `keras.Model.fit`, and the temperature on the validation split.

    A checkpoint is kept after each epoch.

    Raises:
        JobError: the loss, or a validation logit, is no number any more.
    """
    keras.utils.set_random_seed(recipe.seed)
    network = notebook_network(architecture, recipe.dropout)
    network.compile(
        keras.optimizers.Adam(recipe.learning_rate, clipnorm=recipe.clip_norm),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    before_head = keras.Model(network.input, network.get_layer("batch_norm").output)
    held, labels = _padded(data.validation.ids, architecture), data.validation.labels

    def logits() -> npt.NDArray[np.float32]:
        # The head's sigmoid rounds large logits away: they are taken before it.
        head = network.get_layer("head")
        found = before_head.predict(held, batch_size=128, verbose=0) @ head.kernel.numpy() + head.bias.numpy()
        if not np.isfinite(found).all():
            raise JobError("a validation logit is no number", got=f"{found[~np.isfinite(found)][0]}")
        return found[:, 0].astype(np.float32)  # type: ignore[no-any-return]

    def validate() -> dict[str, float]:
        found = logits()
        temperature = fit_temperature(found, labels)
        return {"temperature": temperature, **metrics(found, labels, temperature)}

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
    found = logits()
    temperature = fit_temperature(found, labels)
    tensors = {name: variable.numpy() for name, variable in notebook_variables(network).items()}
    return Fitted(tensors, recipe.epochs, temperature, metrics(found, labels, temperature), found)


def _padded(ids: Any, architecture: Architecture) -> npt.NDArray[np.int32]:
    """int32[N, max_length], padded on the left."""
    return pad(ids, architecture.max_length)
