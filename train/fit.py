"""Fits the network: adversarial training on length-bucketed batches, weights averaged, the epoch chosen on validation.

Shapes as in `batch_scorer.model`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.keras_model import ReviewClassifier
from batch_scorer.model import Architecture, Floats
from batch_scorer.tokenizer import OOV, PAD, START
from train.data import Ids, bucketed_batches, pad
from train.metrics import fit_temperature, log_loss, metrics
from train.network import normalised, random_embedding
from train.prepare import Prepared

Progress = Callable[[int, int, float], None]  # steps done, steps in all, running loss


@dataclass(frozen=True)
class Recipe:
    """Every setting that the result depends on: from published recipes, or tuned here on the validation split.

    Args:
        vocabulary_size: ids, the reserved ones included.
        validation_share: of the labelled reviews, held out by a hash of their id.
        epochs: at most; the learning rate falls to zero over them along a cosine.
        patience: epochs without a better validation loss before training stops.
        learning_rate: of Adam, at its highest.
        clip_norm: global norm to which a step's gradient is cut.
        embedding_dropout: share of embedding values dropped.
        embedding_scale: standard deviation of the random embeddings at the start. The normalisation makes the scale of
            the embeddings themselves meaningless, but the smaller they are, the faster Adam turns them.
        word_dropout: share of words replaced by the unknown word.
        perturbation: L2 norm of the adversarial step on a review's embeddings (Miyato et al. 2017, eq. 7); 0 is none.
        average_decay: of the moving average of all weights, a step.
    """

    vocabulary_size: int = 10_000
    validation_share: float = 0.1
    epochs: int = 6
    patience: int = 2
    batch_size: int = 64
    learning_rate: float = 1e-3
    clip_norm: float = 1.0
    embedding_scale: float = 0.1
    embedding_dropout: float = 0.5
    word_dropout: float = 0.1
    perturbation: float = 5.0
    average_decay: float = 0.998
    seed: int = 20


@dataclass(frozen=True)
class Fitted:
    """The chosen weights, as tensors of the artefact, and what they do on the validation split."""

    tensors: dict[str, Floats]
    epoch: int
    temperature: float
    validation: dict[str, float]
    validation_logits: npt.NDArray[np.float32]


class Trainer:
    """One training run: network, optimizer, averaged weights; saved after each epoch, resumed from there."""

    def __init__(
        self,
        recipe: Recipe,
        architecture: Architecture,
        counts: npt.NDArray[np.int64],
        steps: int,
        start: Mapping[str, Floats] | None = None,
    ) -> None:
        """
        Args:
            counts: int64[V], how often each id occurs in the training reviews.
            steps: batches in an epoch.
            start: pre-trained tensors, the embedding before its normalisation.
        """
        tf.keras.utils.set_random_seed(recipe.seed)
        self.recipe, self.steps = recipe, steps
        self.network = ReviewClassifier(architecture)
        self.network.embedding.embeddings.assign(random_embedding(architecture, recipe.embedding_scale, recipe.seed))
        for name, tensor in (start or {}).items():
            self.network.tensor_variables()[name].assign(tensor)
        self.averaged = ReviewClassifier(architecture)
        self.frequency = tf.constant((counts / counts.sum())[:, None], tf.float32)  # [V, 1]
        schedule = tf.keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * steps)
        self.optimizer = tf.keras.optimizers.Adam(schedule, global_clipnorm=recipe.clip_norm)
        self.optimizer.build(self.network.trainable_variables)
        self.average = {name: tf.Variable(v) for name, v in self.network.tensor_variables().items()}
        self.average["embedding"].assign(normalised(self.network.embedding.embeddings, self.frequency))
        self.taken = tf.Variable(0, dtype=tf.int64)
        self._step = tf.function(
            self._train_batch,
            input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)],
        )
        self._predict = tf.function(
            lambda ids: self.averaged(ids)[0], input_signature=[tf.TensorSpec([None, None], tf.int32)]
        )

    def _train_batch(self, ids: Any, labels: Any) -> Any:
        """One step on ids [B, T] and labels [B]; returns the loss on the clean reviews."""
        r, network = self.recipe, self.network
        variables = network.trainable_variables
        seeds = tf.stack([tf.cast(self.taken, tf.int32), r.seed])
        mask = ids != PAD
        dropped = tf.random.stateless_uniform(tf.shape(ids), seeds) < r.word_dropout
        ids = tf.where(dropped & (ids > START), OOV, ids)

        def embed() -> Any:
            embedded = tf.gather(normalised(network.embedding.embeddings, self.frequency), ids)  # [B, T, E]
            kept = tf.random.stateless_uniform(tf.shape(embedded), seeds + 1) >= r.embedding_dropout
            return embedded * tf.cast(kept, tf.float32) / (1 - r.embedding_dropout)

        def loss_of(embedded: Any) -> Any:
            logits, _ = network.read(embedded, mask, training=True)
            return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))

        with tf.GradientTape() as tape:
            embedded = embed()
            loss = loss_of(embedded)
        slope, *gradients = tape.gradient(loss, [embedded, *variables])
        if r.perturbation:
            # The worst small step of each review's embeddings, and a second pass there (Miyato et al. 2017, eq. 6-8).
            norm = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=[1, 2], keepdims=True) + 1e-24)
            with tf.GradientTape() as tape:
                adversarial = loss_of(embed() + tf.stop_gradient(r.perturbation * slope / norm))
            second = tape.gradient(adversarial, variables)
            gradients = [a + b for a, b in zip(gradients, second, strict=True)]
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.taken.assign_add(1)
        taken = tf.cast(self.taken, tf.float32)
        decay = tf.minimum(r.average_decay, (1 + taken) / (10 + taken))  # or the random start would linger
        for name, variable in network.tensor_variables().items():
            value = normalised(variable, self.frequency) if name == "embedding" else variable
            self.average[name].assign(decay * self.average[name] + (1 - decay) * value)
        return loss

    def train_epoch(
        self, epoch: int, encoded: Sequence[Ids], labels: npt.NDArray[np.int8], progress: Progress
    ) -> float:
        """One pass over the training reviews; returns the mean loss."""
        rng = np.random.default_rng((self.recipe.seed, epoch))
        lengths = np.array([len(ids) for ids in encoded])
        total, running = 0.0, math.nan
        for done, batch in enumerate(bucketed_batches(lengths, self.recipe.batch_size, rng), 1):
            loss = float(self._step(pad([encoded[i] for i in batch]), labels[batch].astype(np.float32)))
            total += loss
            running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
            progress(done, self.steps, running)
        return total / self.steps

    def logits(self, encoded: Sequence[Ids], batch_size: int = 128) -> npt.NDArray[np.float32]:
        """Logits of the averaged network: float32[N]."""
        self.averaged.assign({name: variable.numpy() for name, variable in self.average.items()})
        order = np.argsort([len(ids) for ids in encoded], kind="stable")
        out = np.empty(len(encoded), np.float32)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            out[chosen] = self._predict(pad([encoded[i] for i in chosen])).numpy()
        return out

    def checkpoint(self, directory: Path) -> tf.train.CheckpointManager:
        """Saves network, optimizer, averages and place in the schedule; keeps the last one."""
        saved = tf.train.Checkpoint(
            network=self.network, optimizer=self.optimizer, average=list(self.average.values()), taken=self.taken
        )
        return tf.train.CheckpointManager(saved, str(directory / "last"), max_to_keep=1)


def fit(
    recipe: Recipe,
    architecture: Architecture,
    data: Prepared,
    work: Path,
    resume: bool,
    on_step: Callable[[int], Progress],
    on_epoch: Callable[[dict[str, Any]], None],
    start: Mapping[str, Floats] | None = None,
) -> Fitted:
    """Trains until the validation loss stops falling, and returns the best epoch.

    The loss compared is that after calibration, since calibration follows anyway.

    Args:
        work: directory of checkpoints and of `log.jsonl`, one line an epoch.
        on_step: given the epoch, what to call after each of its steps.
        on_epoch: called with each line of the log.
        start: pre-trained tensors to begin with.
    """
    work.mkdir(parents=True, exist_ok=True)
    encoded, validation = data.training.ids, data.validation
    trainer = Trainer(recipe, architecture, data.counts, math.ceil(len(encoded) / recipe.batch_size), start)
    manager = trainer.checkpoint(work)
    log_file = work / "log.jsonl"
    log: list[dict[str, Any]] = []
    if resume and manager.latest_checkpoint:
        manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
        log = [json.loads(line) for line in log_file.read_text().splitlines()][
            : int(manager.latest_checkpoint.rsplit("-")[-1])
        ]
    for epoch in range(len(log) + 1, recipe.epochs + 1):
        best = min(log, key=lambda line: line["log_loss"], default=None)
        if best and epoch - 1 - best["epoch"] >= recipe.patience:
            break
        loss = trainer.train_epoch(epoch, encoded, data.training.labels, on_step(epoch))
        logits = trainer.logits(validation.ids)
        temperature = fit_temperature(logits, validation.labels)
        line = {"epoch": epoch, "training_loss": loss, "temperature": temperature}
        line |= metrics(logits, validation.labels, temperature)
        if not best or line["log_loss"] < best["log_loss"]:
            np.savez(work / "best.npz", logits=logits, **{k: v.numpy() for k, v in trainer.average.items()})
        log.append(line)
        log_file.write_text("".join(json.dumps(entry) + "\n" for entry in log))
        manager.save(checkpoint_number=epoch)
        on_epoch(line)
    best = min(log, key=lambda line: line["log_loss"])
    with np.load(work / "best.npz") as stored:
        tensors = {name: stored[name] for name in stored.files if name != "logits"}
        logits = stored["logits"]
    assert math.isclose(log_loss(logits, validation.labels, best["temperature"]), best["log_loss"], rel_tol=1e-6)
    validation_metrics = metrics(logits, validation.labels, best["temperature"])
    return Fitted(tensors, best["epoch"], best["temperature"], validation_metrics, logits)
