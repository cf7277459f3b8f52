"""The loops of training against Keras' own, values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from batch_scorer.models.keras_model import ReviewClassifier
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import PAD
from train.lstm import TrainedClassifier

ARCHITECTURE = Architecture(vocabulary_size=20, embedding_dim=6, units=5, attention_units=4)


def learning(network: Any) -> Callable[[Any], list[Any]]:
    """Ids -> a loss that depends on every output, what it is made of, and its gradients by embeddings and weights."""

    @tf.function
    def run(ids: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            embedded = tf.gather(network.embedding.embeddings, ids)
            tape.watch(embedded)
            context, attention, states = network.attend(embedded, ids != PAD)
            real = tf.cast(ids != PAD, tf.float32)[:, :, None]
            loss = tf.reduce_sum(network.decide(context) ** 2) + tf.reduce_sum((real * states) ** 3)
        sources = [embedded, *network.trainable_variables]
        return [loss, attention, real * states, *tape.gradient(loss, sources)]

    return lambda ids: [tf.convert_to_tensor(value).numpy() for value in run(tf.constant(ids))]


@pytest.fixture(scope="module")
def networks() -> list[tuple[Any, Callable[[Any], list[Any]]]]:
    """Keras' network and ours, each with what compiles once, for ids of any padding."""
    return [
        (network, learning(network)) for network in (ReviewClassifier(ARCHITECTURE), TrainedClassifier(ARCHITECTURE))
    ]


@pytest.mark.parametrize("padding", [(0, 0, 0), (0, 3, 8), (6, 6, 7)])
def test_loops_of_training_give_the_values_and_gradients_of_keras(
    padding: tuple[int, ...], networks: list[tuple[Any, Callable[[Any], list[Any]]]]
) -> None:
    rng = np.random.default_rng(20)
    ids = rng.integers(1, 20, (len(padding), 9)).astype(np.int32)
    for row, width in zip(ids, padding, strict=True):
        row[:width] = PAD
    (keras, learnt), (ours, learnt_by_ours) = networks
    shapes = {name: variable.shape for name, variable in keras.tensor_variables().items()}
    tensors = {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    tensors["batch_norm.variance"] += 1.5
    keras.assign(tensors)
    ours.assign(tensors)
    expected = learnt(ids)
    # All but one say something: softmax ignores the bias of the attention's last layer.
    assert sum(np.abs(value).max() > 1e-4 for value in expected) == len(expected) - 1
    for of_keras, of_ours in zip(expected, learnt_by_ours(ids), strict=True):
        np.testing.assert_allclose(of_ours, of_keras, rtol=1e-4, atol=1e-6)
