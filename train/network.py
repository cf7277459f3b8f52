"""What both stages of training do with the network: its random start, and its embedding's normalisation."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from batch_scorer.model import Architecture


def random_embedding(architecture: Architecture, scale: float, seed: int) -> Any:
    """Normal noise of standard deviation `scale`: [V, E]."""
    shape = (architecture.vocabulary_size, architecture.embedding_dim)
    return scale * tf.random.stateless_normal(shape, (seed, 0))


def normalised(embedding: Any, frequency: Any) -> Any:
    """Zero mean and unit variance over the words as they occur (Miyato et al. 2017, eq. 3): [V, E].

    Args:
        embedding: [V, E].
        frequency: [V, 1], the share of each id among all words.
    """
    mean = tf.reduce_sum(frequency * embedding, axis=0)
    variance = tf.reduce_sum(frequency * tf.square(embedding - mean), axis=0)
    return (embedding - mean) * tf.math.rsqrt(variance + 1e-6)
