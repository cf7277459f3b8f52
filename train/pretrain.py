"""Pre-trains the embedding and both LSTM directions as language models, on texts without labels.

The forward direction learns to predict the next word, the backward direction the previous one (Dai and Le 2015; both
directions as in Peters et al. 2018). The output layer is the embedding itself (Press and Wolf 2017). Shapes as in
`batch_scorer.models.network`, with P positions and S sampled words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.errors import OptionError
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import PAD
from train.borrow import TENSORS
from train.data import Ids, bucketed_batches, pad
from train.lstm import TrainedClassifier
from train.network import normalised, random_embedding
from train.run import PRETRAINING, Run


@dataclass(frozen=True)
class Recipe:
    """Settings of pre-training.

    Args:
        epochs: passes over the texts; the learning rate falls along a cosine over all of them.
        positions: words predicted per step and direction, drawn at random from those of the batch.
        negatives: wrong words sampled per step, shared by all its positions.
        sampling_power: words are sampled in proportion to their count raised to this power.
    """

    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 2e-3
    clip_norm: float = 1.0
    embedding_scale: float = 0.1
    positions: int = 6_000
    negatives: int = 1_000
    sampling_power: float = 0.75
    seed: int = 20


class LanguageModels:
    """Both directions, sharing the embedding as input and as output."""

    def __init__(self, recipe: Recipe, architecture: Architecture, counts: npt.NDArray[np.int64], steps: int) -> None:
        """
        Args:
            counts: int64[V], how often each id occurs.
            steps: batches in an epoch.

        Raises:
            OptionError: embeddings and states differ in size, so that they cannot be multiplied.
        """
        if architecture.embedding_dim != architecture.units:
            raise OptionError(
                "pre-training ties the embedding to the states, which differ in size",
                expected="embedding_dim equal to units",
                got=f"embedding_dim {architecture.embedding_dim}, units {architecture.units}",
            )
        tf.keras.utils.set_random_seed(recipe.seed)
        self.recipe = recipe
        self.network = TrainedClassifier(architecture)
        self.network.embedding.embeddings.assign(random_embedding(architecture, recipe.embedding_scale, recipe.seed))
        self.bias = tf.Variable(np.log(np.maximum(counts, 1) / counts.sum()).astype(np.float32))  # [V], unigram
        self.frequency = tf.constant((counts / counts.sum())[:, None], tf.float32)  # [V, 1]
        named = self.network.tensor_variables()
        self.tensors = {name: named[name] for name in TENSORS}
        self.variables = [*self.tensors.values(), self.bias]
        schedule = tf.keras.optimizers.schedules.CosineDecay(recipe.learning_rate, recipe.epochs * steps)
        self.optimizer = tf.keras.optimizers.Adam(schedule, global_clipnorm=recipe.clip_norm)
        self.optimizer.build(self.variables)
        self.taken = tf.Variable(0, dtype=tf.int64)
        weights = counts.astype(np.float64) ** recipe.sampling_power * (np.arange(len(counts)) > PAD)
        self._weights = weights / weights.sum()
        # Among S draws with replacement, a word is expected S p times; the loss corrects its logit by the log of that.
        self._log_expected = tf.constant(np.log(np.maximum(recipe.negatives * self._weights, 1e-12)), tf.float32)
        ids = tf.TensorSpec([None, None], tf.int32)
        self._step = tf.function(self._train_batch, input_signature=[ids, tf.TensorSpec([None], tf.int32)])
        self._evaluate = tf.function(self._whole_loss, input_signature=[ids])

    def _read(self, ids: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Reads ids [B, T]: the embedding [V, E], then per direction the states [P, H] and the words [P] to predict."""
        table = normalised(self.network.embedding.embeddings, self.frequency)
        mask = ids != PAD
        forward, backward = self.network.directions(tf.gather(table, ids), mask)  # [B, T, H] each
        both = mask[:, :-1] & mask[:, 1:]
        return (
            table,
            tf.boolean_mask(forward[:, :-1], both),
            tf.boolean_mask(ids[:, 1:], both),
            tf.boolean_mask(backward[:, 1:], both),
            tf.boolean_mask(ids[:, :-1], both),
        )

    def _train_batch(self, ids: Any, sampled: Any) -> Any:
        """One step on ids [B, T] with the sampled words [S]; returns the mean loss of both directions, in nats."""
        with tf.GradientTape() as tape:
            table, forward, following, backward, preceding = self._read(ids)
            loss = 0.5 * (
                self._sampled_loss(table, forward, following, sampled, 0)
                + self._sampled_loss(table, backward, preceding, sampled, 1)
            )
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        self.taken.assign_add(1)
        return loss

    def _sampled_loss(self, table: Any, states: Any, words: Any, sampled: Any, direction: int) -> Any:
        """Loss of a softmax over the true word and the sampled ones, each logit corrected for its chance of selection.

        Bengio and Senecal 2003; Jean et al. 2015, section 3.2.

        Args:
            direction: 0 for forward, 1 for backward; each draws different positions.
        """
        seeds = tf.stack([tf.cast(self.taken, tf.int32), self.recipe.seed + direction])
        count = tf.shape(words)[0]
        share = self.recipe.positions / tf.cast(count, tf.float64)
        drawn = tf.random.stateless_uniform([count], seeds) < tf.cast(share, tf.float32)
        states, words = tf.boolean_mask(states, drawn), tf.boolean_mask(words, drawn)  # [P, H], [P]
        true = tf.reduce_sum(states * tf.gather(table, words), axis=1) + tf.gather(self.bias, words)
        true -= tf.gather(self._log_expected, words)
        wrong = tf.matmul(states, tf.gather(table, sampled), transpose_b=True) + tf.gather(self.bias, sampled)
        wrong -= tf.gather(self._log_expected, sampled)  # [P, S]
        wrong = tf.where(words[:, None] == sampled[None, :], -1e9, wrong)  # the true word, sampled by chance
        logits = tf.concat([true[:, None], wrong], axis=1)  # [P, 1 + S]
        return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - true)

    def _whole_loss(self, ids: Any) -> tuple[Any, Any]:
        """The exact loss over all V words in nats, summed over positions, and the number of positions."""
        table, forward, following, backward, preceding = self._read(ids)
        states, words = tf.concat([forward, backward], 0), tf.concat([following, preceding], 0)
        logits = tf.matmul(states, table, transpose_b=True) + self.bias
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(words, logits)
        return tf.reduce_sum(losses), tf.size(words)

    def perplexity(self, encoded: Sequence[Ids], batch_size: int = 16) -> float:
        """Perplexity: e to the power of the mean loss over all words of the texts, both directions together."""
        total, words = 0.0, 0
        for start in range(0, len(encoded), batch_size):
            loss, count = self._evaluate(pad(encoded[start : start + batch_size]))
            total, words = total + float(loss), words + int(count)
        return math.exp(total / words)

    def train_epoch(self, epoch: int, encoded: Sequence[Ids], skip: int) -> Iterator[float]:
        """One pass over the texts, without its first `skip` batches; yields the loss of each step."""
        rng = np.random.default_rng((self.recipe.seed, 1, epoch))
        lengths = np.array([len(ids) for ids in encoded])
        for number, batch in enumerate(bucketed_batches(lengths, self.recipe.batch_size, rng)):
            if number >= skip:
                draw = np.random.default_rng((self.recipe.seed, 2, epoch, number))
                sampled = draw.choice(len(self._weights), self.recipe.negatives, p=self._weights).astype(np.int32)
                yield float(self._step(pad([encoded[i] for i in batch]), sampled))


def pretrain(
    recipe: Recipe,
    architecture: Architecture,
    counts: npt.NDArray[np.int64],
    texts: Sequence[Ids],
    held_out: Sequence[Ids],
    run: Run,
) -> dict[str, Floats]:
    """Pre-trains on `texts`, as the stage `pretraining` of a run.

    Args:
        held_out: texts whose perplexity is measured after each epoch, for information only.

    Returns:
        The tensors `TENSORS`, the embedding before its normalisation.
    """
    steps = math.ceil(len(texts) / recipe.batch_size)
    models = LanguageModels(recipe, architecture, counts, steps)
    run.stage(
        PRETRAINING,
        recipe.epochs,
        steps,
        {**models.tensors, "output.bias": models.bias, "optimizer": models.optimizer, "taken": models.taken},
        lambda epoch, skip: models.train_epoch(epoch, texts, skip),
        lambda epoch: {"perplexity": models.perplexity(held_out)},
    )
    return {name: variable.numpy() for name, variable in models.tensors.items()}
