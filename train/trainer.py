"""The steps of adversarial training on length-bucketed batches, and a moving average of the weights.

Shapes as in `batch_scorer.models.network`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.models.keras_model import ReviewClassifier
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import PAD
from train.data import Ids, pad
from train.lstm import TrainedClassifier
from train.material.parts import Part, batches
from train.network import (
    conicity,
    map_batches,
    normalised,
    random_embedding,
    update_statistics,
    without_values,
    without_words,
    worst_step,
)

STATISTICS = ("batch_norm.mean", "batch_norm.variance")


@dataclass(frozen=True)
class Recipe:
    """Every setting that the result depends on, from published recipes or tuned here on the validation split.

    Args:
        vocabulary_size: number of ids, the reserved ones included.
        validation_share: share of the labelled reviews held out by a hash of their id.
        epochs: maximum; over them the learning rate falls to zero along a cosine.
        patience: epochs without a better validation loss after which training stops.
        learning_rate: of Adam, at its peak.
        clip_norm: global norm to which the gradient of a step is clipped.
        embedding_dropout: share of embedding values dropped.
        embedding_scale: standard deviation of the random initial embeddings. The scale as such has no effect, since
            they are normalised, but the smaller they are, the faster Adam changes their direction.
        word_dropout: share of words replaced by the unknown word.
        perturbation: L2 norm of the adversarial step on a review's embeddings (Miyato et al. 2017, eq. 7); 0 turns it
            off.
        adversarial: share of the reviews, drawn for each epoch, that get this step, which takes as long again; the
            mixture of the full preset has a share of its own.
        average_decay: decay per step of the moving average of all weights; 0 keeps the last weights.
        diversity: weight in the loss of a review's conicity, the mean cosine between its hidden states and their mean
            (Mohankumar et al. 2020, section 3.2); 0 turns it off.
        seed: of initial weights, order and dropout.
    """

    vocabulary_size: int = 10_000
    validation_share: float = 0.1
    epochs: int = 4
    patience: int = 2
    batch_size: int = 64
    learning_rate: float = 3e-3
    clip_norm: float = 1.0
    embedding_scale: float = 0.1
    embedding_dropout: float = 0.3
    word_dropout: float = 0.1
    perturbation: float = 2.0
    adversarial: float = 1.0
    average_decay: float = 0.998
    diversity: float = 0.0
    seed: int = 20


class Trainer:
    """The network, its optimizer, its averaged weights, and the steps that change them."""

    network_type: ClassVar[type[ReviewClassifier]] = TrainedClassifier

    def __init__(
        self,
        recipe: Recipe,
        architecture: Architecture,
        counts: npt.NDArray[np.int64],
        steps: int,
        start: Mapping[str, Floats] | None = None,
        turn: int = 0,
    ) -> None:
        """
        Args:
            counts: int64[V], how often each id occurs in the training reviews.
            steps: batches in an epoch.
            start: pre-trained tensors, the embedding before its normalisation.
            turn: number of this training among several from the same weights, from 0. Order and dropout depend on it,
                initial weights do not.
        """
        tf.keras.utils.set_random_seed(recipe.seed)
        self.recipe = recipe
        self.seed = tf.Variable(recipe.seed + turn, dtype=tf.int32)  # of order and dropout
        self.network = self.network_type(architecture)
        self.network.embedding.embeddings.assign(random_embedding(architecture, recipe.embedding_scale, recipe.seed))
        for name, tensor in (start or {}).items():
            self.network.tensor_variables()[name].assign(tensor)
        self.averaged = self.network_type(architecture)
        self.frequency = tf.constant((counts / counts.sum())[:, None], tf.float32)  # [V, 1]
        schedule = tf.keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * steps)
        self.optimizer = tf.keras.optimizers.Adam(schedule, global_clipnorm=recipe.clip_norm)
        self.optimizer.build(self.network.trainable_variables)
        self.average = {name: tf.Variable(v) for name, v in self.network.tensor_variables().items()}
        self.average["embedding"].assign(normalised(self.network.embedding.embeddings, self.frequency))
        self.taken = tf.Variable(0, dtype=tf.int64)
        ids, numbers = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.float32)
        self._steps = {
            adversarial: tf.function(
                functools.partial(self._train_batch, adversarial=adversarial), input_signature=[ids, numbers, numbers]
            )
            for adversarial in (False, True)
        }
        self._predict = tf.function(lambda ids: self.averaged(ids)[0], input_signature=[ids])
        self._pool = tf.function(
            lambda ids: self.averaged.attend(self.averaged.embedding(ids), ids != PAD)[0], input_signature=[ids]
        )

    def _train_batch(self, ids: Any, targets: Any, weights: Any, *, adversarial: bool) -> Any:
        """One step on ids [B, T] with targets and weights [B]; returns the loss on the unperturbed texts."""
        r, network = self.recipe, self.network
        variables = network.trainable_variables
        seeds = tf.stack([tf.cast(self.taken, tf.int32), self.seed])
        mask = ids != PAD
        ids = without_words(ids, seeds, r.word_dropout)

        def embed() -> Any:
            embedded = tf.gather(normalised(network.embedding.embeddings, self.frequency), ids)  # [B, T, E]
            return without_values(embedded, seeds + 1, r.embedding_dropout)

        def loss_of(embedded: Any) -> tuple[Any, Any, Any]:
            context, _, states = network.attend(embedded, mask, training=True)
            logits = network.decide(context)  # uses the running statistics: see `update_statistics`
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
            return tf.reduce_mean(weights * losses), context, states

        with tf.GradientTape() as tape:
            embedded = embed()
            loss, context, states = loss_of(embedded)
            objective = loss + r.diversity * conicity(states, mask) if r.diversity else loss
        slope, *gradients = tape.gradient(objective, [embedded, *variables])
        if r.perturbation and adversarial:
            # A second pass after the worst small step of each review's embeddings (Miyato et al. 2017, eq. 8).
            with tf.GradientTape() as tape:
                worst, _, _ = loss_of(embed() + worst_step(slope, r.perturbation))
            second = tape.gradient(worst, variables)
            gradients = [a + b for a, b in zip(gradients, second, strict=True)]
        update_statistics(network.batch_norm, context)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.taken.assign_add(1)
        taken = tf.cast(self.taken, tf.float32)
        # Averages over fewer steps at first; otherwise the random initial weights would count for too long.
        decay = tf.minimum(r.average_decay, (1 + taken) / (10 + taken))
        for name, variable in network.tensor_variables().items():
            if name not in STATISTICS:
                value = normalised(variable, self.frequency) if name == "embedding" else variable
                self.average[name].assign(decay * self.average[name] + (1 - decay) * value)
        return loss

    def train_epoch(self, epoch: int, parts: Sequence[Part], skip: int = 0) -> Iterator[float]:
        """One pass over all `parts`, without the first `skip` batches; yields the loss of each step."""
        rng = np.random.default_rng((int(self.seed), epoch))
        for part, batch in itertools.islice(batches(parts, rng), skip, None):
            step = self._steps[part.adversarial]
            yield float(step(pad([part.ids[i] for i in batch]), part.targets[batch], part.weights[batch]))

    def begin(self, encoded: Sequence[Ids]) -> None:
        """Sets the running statistics of batch normalisation to those of the training reviews, instead of 0 and 1."""
        self.settle(encoded)
        for name in STATISTICS:
            self.network.tensor_variables()[name].assign(self.average[name])

    def settle(self, encoded: Sequence[Ids], reviews: int = 4_096) -> None:
        """Copies the averages to the averaged network and recomputes its batch normalisation statistics.

        The running statistics belong to the weights before averaging and, for hundreds of steps, to the initial ones
        (Izmailov et al. 2018, section 3.2).

        Args:
            encoded: the training reviews, int32[n] each.
            reviews: how many of them, always the same ones, to compute the statistics from, without dropout.
        """
        self.averaged.assign({name: variable.numpy() for name, variable in self.average.items()})
        drawn = np.random.default_rng(self.recipe.seed).permutation(len(encoded))[:reviews]
        contexts = map_batches(self._pool, [encoded[i] for i in drawn]).astype(np.float64)  # [n, 2H]
        for name, value in zip(STATISTICS, (contexts.mean(axis=0), contexts.var(axis=0)), strict=True):
            self.average[name].assign(value.astype(np.float32))
            self.averaged.tensor_variables()[name].assign(self.average[name])

    def take(self, tensors: Mapping[str, Floats], encoded: Sequence[Ids]) -> None:
        """Replaces the averaged weights by `tensors` and settles them on the training reviews `encoded`."""
        for name, tensor in tensors.items():
            self.average[name].assign(tensor)
        self.settle(encoded)

    def logits(self, encoded: Sequence[Ids]) -> npt.NDArray[np.float32]:
        """Logits of the averaged network as of the last `settle`: float32[N]."""
        return map_batches(self._predict, encoded)

    def state(self) -> dict[str, Any]:
        """All variables that the steps change, by name."""
        average = {f"average.{name}": variable for name, variable in self.average.items()}
        return {"network": self.network, "optimizer": self.optimizer, "taken": self.taken, **average}
