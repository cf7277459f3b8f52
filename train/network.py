"""What trainings share: random embeddings and their normalisation, running statistics, conicity, batching."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import OOV, START
from train.data import Ids, pad
from train.lstm import TrainedClassifier


def random_embedding(architecture: Architecture, scale: float, seed: int) -> Any:
    """Normal noise of standard deviation `scale`: [V, E]."""
    shape = (architecture.vocabulary_size, architecture.embedding_dim)
    return scale * tf.random.stateless_normal(shape, (seed, 0))


def normalised(embedding: Any, frequency: Any) -> Any:
    """Embeddings of zero mean and unit variance over all occurrences of words (Miyato et al. 2017, eq. 3): [V, E].

    Args:
        embedding: [V, E].
        frequency: [V, 1], the share of each id in all words.
    """
    mean = tf.reduce_sum(frequency * embedding, axis=0)
    variance = tf.reduce_sum(frequency * tf.square(embedding - mean), axis=0)
    return (embedding - mean) * tf.math.rsqrt(variance + 1e-6)


def without_words(ids: Any, seeds: Any, share: float) -> Any:
    """Ids in which a share of the words, drawn at random, is replaced by the unknown one: int32[B, T]."""
    dropped = tf.random.stateless_uniform(tf.shape(ids), seeds) < share
    return tf.where(dropped & (ids > START), OOV, ids)


def without_values(embedded: Any, seeds: Any, share: float) -> Any:
    """Embeddings of which a share of the values, drawn at random, is 0 and the rest larger: [B, T, E]."""
    keep = tf.random.stateless_uniform(tf.shape(embedded), seeds) >= share
    return embedded * tf.cast(keep, tf.float32) / (1 - share)


def worst_step(slope: Any, size: float) -> Any:
    """The step of a text's embeddings, of this L2 norm, that raises the loss most (Miyato et al. 2017, eq. 6 and 7).

    Args:
        slope: gradient of the loss by the embeddings, [B, T, E].
    """
    norm = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=[1, 2], keepdims=True) + 1e-24)
    return tf.stop_gradient(size * slope / norm)


def update_statistics(batch_norm: Any, context: Any, share: float = 0.01) -> None:
    """Moves the running statistics of a batch normalisation slightly toward those of the contexts [B, 2H] of a batch.

    The running statistics normalise during training too, unlike in Ioffe and Szegedy 2015, who use the batch's own.
    The reviews of a batch have similar lengths, and the contexts of longer reviews vary less. Statistics per batch
    would therefore scale each length differently, while scoring has one scale for all lengths.
    """
    away = context - batch_norm.moving_mean
    batch_norm.moving_mean.assign_add(share * tf.reduce_mean(away, axis=0))
    variance = batch_norm.moving_variance
    variance.assign((1 - share) * variance + share * tf.reduce_mean(tf.square(away), axis=0))


def conicity(states: Any, mask: Any) -> Any:
    """How similar the directions of a review's hidden states are: the mean cosine between a state and their mean.

    Mohankumar et al. 2020, section 2.3. Padding does not count.

    Args:
        states: [B, T, 2H].
        mask: bool[B, T].

    Returns:
        The mean over the B reviews, a scalar.
    """
    real = tf.cast(mask, states.dtype)[:, :, None]  # [B, T, 1]
    mean = tf.reduce_sum(real * states, axis=1, keepdims=True) / tf.reduce_sum(real, axis=1, keepdims=True)
    cosines = tf.reduce_sum(tf.math.l2_normalize(states, -1) * tf.math.l2_normalize(mean, -1), axis=-1)  # [B, T]
    return tf.reduce_mean(tf.reduce_sum(real[:, :, 0] * cosines, axis=1) / tf.reduce_sum(real[:, :, 0], axis=1))


def map_batches(
    function: Callable[[Ids], Any], encoded: Sequence[Ids], batch_size: int = 128
) -> npt.NDArray[np.float32]:
    """Applies a function of ids [B, T] to N reviews, in batches of similar length: float32[N, ...], in their order.

    Without any reviews, that is float32[0].
    """
    if not len(encoded):
        return np.zeros(0, np.float32)
    order = np.argsort([len(ids) for ids in encoded], kind="stable")
    batches = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
    by_length = np.concatenate([function(pad([encoded[i] for i in batch])).numpy() for batch in batches])
    out = np.empty_like(by_length)
    out[order] = by_length
    return out


def predictor(
    architecture: Architecture, tensors: Mapping[str, Floats]
) -> Callable[[Sequence[Ids]], npt.NDArray[np.float32]]:
    """A function from ids, int32[n] of N texts each, to logits, float32[N], by a network with these weights."""
    network = TrainedClassifier(architecture)
    network.assign(tensors)
    ids = tf.TensorSpec([None, None], tf.int32)
    run = tf.function(lambda ids: network(ids)[0], input_signature=[ids])
    return lambda encoded: map_batches(run, encoded)
