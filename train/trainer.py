"""The steps of adversarial training on length-bucketed batches, and the average of the weights that it passes through.

Shapes as in `batch_scorer.models.network`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.models.keras_model import ReviewClassifier
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import OOV, PAD, START
from train.data import Ids, bucketed_batches, pad
from train.network import conicity, each, follow, normalised, random_embedding

STATISTICS = ("batch_norm.mean", "batch_norm.variance")


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
        average_decay: of the moving average of all weights, a step; 0 takes the last weights as they are.
        diversity: weight of a review's conicity in the loss (Mohankumar et al. 2020, section 3.2), the mean cosine of
            its hidden states with their mean; 0 leaves it out.
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
    average_decay: float = 0.998
    diversity: float = 0.0
    seed: int = 20


class Trainer:
    """Network, optimizer, averaged weights, and the steps that change them."""

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
            turn: of several trainings from the same weights; order and dropout depend on it, the weights do not.
        """
        tf.keras.utils.set_random_seed(recipe.seed)
        self.recipe = recipe
        self.seed = recipe.seed + turn  # of order and dropout
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
        ids = tf.TensorSpec([None, None], tf.int32)
        self._predict = tf.function(lambda ids: self.averaged(ids)[0], input_signature=[ids])
        self._pool = tf.function(
            lambda ids: self.averaged.attend(self.averaged.embedding(ids), ids != PAD)[0], input_signature=[ids]
        )

    def _train_batch(self, ids: Any, labels: Any) -> Any:
        """One step on ids [B, T] and labels [B]; returns the loss on the clean reviews."""
        r, network = self.recipe, self.network
        variables = network.trainable_variables
        seeds = tf.stack([tf.cast(self.taken, tf.int32), self.seed])
        mask = ids != PAD
        dropped = tf.random.stateless_uniform(tf.shape(ids), seeds) < r.word_dropout
        ids = tf.where(dropped & (ids > START), OOV, ids)

        def embed() -> Any:
            embedded = tf.gather(normalised(network.embedding.embeddings, self.frequency), ids)  # [B, T, E]
            kept = tf.random.stateless_uniform(tf.shape(embedded), seeds + 1) >= r.embedding_dropout
            return embedded * tf.cast(kept, tf.float32) / (1 - r.embedding_dropout)

        def loss_of(embedded: Any) -> tuple[Any, Any, Any]:
            context, _, states = network.attend(embedded, mask, training=True)
            logits = network.decide(context)  # by the running statistics: see `follow`
            return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)), context, states

        with tf.GradientTape() as tape:
            embedded = embed()
            loss, context, states = loss_of(embedded)
            objective = loss + r.diversity * conicity(states, mask) if r.diversity else loss
        slope, *gradients = tape.gradient(objective, [embedded, *variables])
        if r.perturbation:
            # The worst small step of each review's embeddings, and a second pass there (Miyato et al. 2017, eq. 6-8).
            norm = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=[1, 2], keepdims=True) + 1e-24)
            with tf.GradientTape() as tape:
                adversarial, _, _ = loss_of(embed() + tf.stop_gradient(r.perturbation * slope / norm))
            second = tape.gradient(adversarial, variables)
            gradients = [a + b for a, b in zip(gradients, second, strict=True)]
        follow(network.batch_norm, context)
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self.taken.assign_add(1)
        taken = tf.cast(self.taken, tf.float32)
        decay = tf.minimum(r.average_decay, (1 + taken) / (10 + taken))  # or the random start would linger
        for name, variable in network.tensor_variables().items():
            if name not in STATISTICS:
                value = normalised(variable, self.frequency) if name == "embedding" else variable
                self.average[name].assign(decay * self.average[name] + (1 - decay) * value)
        return loss

    def train_epoch(
        self, epoch: int, encoded: Sequence[Ids], labels: npt.NDArray[np.int8], skip: int = 0
    ) -> Iterator[float]:
        """One pass over the training reviews, but for the first `skip` batches; gives the loss of each step."""
        rng = np.random.default_rng((self.seed, epoch))
        lengths = np.array([len(ids) for ids in encoded])
        for batch in itertools.islice(bucketed_batches(lengths, self.recipe.batch_size, rng), skip, None):
            yield float(self._step(pad([encoded[i] for i in batch]), labels[batch].astype(np.float32)))

    def begin(self, encoded: Sequence[Ids]) -> None:
        """Starts the running statistics of batch normalisation at those of the training reviews, not at 0 and 1."""
        self.settle(encoded)
        for name in STATISTICS:
            self.network.tensor_variables()[name].assign(self.average[name])

    def settle(self, encoded: Sequence[Ids], reviews: int = 4_096) -> None:
        """Sets the averaged network, with the statistics of batch normalisation that its own weights give.

        The running ones are of the weights before averaging, and for hundreds of steps of the ones they started from
        (Izmailov et al. 2018, section 3.2).

        Args:
            encoded: the training reviews; `reviews` of them, always the same, are read without dropout.
        """
        self.averaged.assign({name: variable.numpy() for name, variable in self.average.items()})
        drawn = np.random.default_rng(self.recipe.seed).permutation(len(encoded))[:reviews]
        contexts = each(self._pool, [encoded[i] for i in drawn]).astype(np.float64)  # [n, 2H]
        for name, value in zip(STATISTICS, (contexts.mean(axis=0), contexts.var(axis=0)), strict=True):
            self.average[name].assign(value.astype(np.float32))
            self.averaged.tensor_variables()[name].assign(self.average[name])

    def take(self, tensors: Mapping[str, Floats], encoded: Sequence[Ids]) -> None:
        """Sets the averaged network to these tensors, and settles it on the training reviews `encoded`."""
        for name, tensor in tensors.items():
            self.average[name].assign(tensor)
        self.settle(encoded)

    def logits(self, encoded: Sequence[Ids]) -> npt.NDArray[np.float32]:
        """Logits of the averaged network, as last settled: float32[N]."""
        return each(self._predict, encoded)

    def state(self) -> dict[str, Any]:
        """All that the steps change, by name."""
        average = {f"average.{name}": variable for name, variable in self.average.items()}
        return {"network": self.network, "optimizer": self.optimizer, "taken": self.taken, **average}
