"""The same network in Keras 3: what training fits, what the engine is tested against, and the notebook's variant of it.

Shapes as in `network`. Masks are passed explicitly, never inferred, so that what padding can affect is visible here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import PAD

Tensor = Any  # a tensor of whichever backend Keras runs on


class BahdanauAttention(keras.layers.Layer):  # type: ignore[misc]
    """Additive attention with projections (Bahdanau et al. 2015, A.1.2).

    score_t = v . tanh(W1 h_t + W2 q);  alpha = softmax over real tokens;  context = sum_t alpha_t h_t.
    (`keras.layers.AdditiveAttention` has no projections W1 and W2.)
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.w1 = keras.layers.Dense(units, name="w1")
        self.w2 = keras.layers.Dense(units, name="w2")
        self.v = keras.layers.Dense(1, name="v")

    def build(self, states_shape: tuple[int | None, ...], query_shape: tuple[int | None, ...], *_: Any) -> None:
        self.w1.build(states_shape)
        self.w2.build(query_shape)
        self.v.build((*states_shape[:-1], self.w1.units))
        self.built = True

    def call(self, states: Tensor, query: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pools `states` [B, T, 2H] by `query` [B, 2H], over the positions where `mask` [B, T] is true.

        Returns:
            context [B, 2H] and attention [B, T].
        """
        scores = self.v(ops.tanh(self.w1(states) + self.w2(query)[:, None, :]))[:, :, 0]  # [B, T]
        if mask is not None:
            scores = ops.where(mask, scores, -1e9)
        attention = ops.softmax(scores, axis=1)
        return ops.sum(attention[:, :, None] * states, axis=1), attention


class ReviewClassifier(keras.Model):  # type: ignore[misc]
    """ids int32[B, T], padded on the left -> logit [B] and attention [B, T]."""

    def __init__(self, architecture: Architecture, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        a = architecture
        self.architecture = a
        self.embedding = keras.layers.Embedding(a.vocabulary_size, a.embedding_dim)
        lstm = {"return_sequences": True, "recurrent_activation": a.recurrent_activation}
        self.forward_lstm = keras.layers.LSTM(a.units, **lstm)
        self.backward_lstm = keras.layers.LSTM(a.units, go_backwards=True, **lstm)
        self.attention = BahdanauAttention(a.attention_units)
        self.batch_norm = keras.layers.BatchNormalization(epsilon=a.batch_norm_epsilon)
        self.head = keras.layers.Dense(1)
        self.embedding.build((None, None))
        self.forward_lstm.build((None, None, a.embedding_dim))
        self.backward_lstm.build((None, None, a.embedding_dim))
        self.attention.build((None, None, 2 * a.units), (None, 2 * a.units))
        self.batch_norm.build((None, 2 * a.units))
        self.head.build((None, 2 * a.units))
        self.built = True

    def call(self, ids: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        return self.read(self.embedding(ids), ops.not_equal(ids, PAD), training=training)

    def read(self, embedded: Tensor, mask: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """Everything after the embedding: `embedded` [B, T, E] under `mask` [B, T] -> logit [B], attention [B, T]."""
        context, attention, _ = self.attend(embedded, mask, training=training)
        return self.decide(context, training=training), attention

    def decide(self, context: Tensor, training: bool = False) -> Tensor:
        """`context` [B, 2H] -> logit [B]."""
        return self.head(self.batch_norm(context, training=training))[:, 0]

    def attend(self, embedded: Tensor, mask: Tensor, training: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """`embedded` [B, T, E] under `mask` [B, T] -> context [B, 2H], attention [B, T] and states [B, T, 2H]."""
        ahead, back = self.directions(embedded, mask, training=training)
        query = ops.concatenate([ahead[:, -1], back[:, 0]], axis=-1)  # [B, 2H]
        states = ops.concatenate([ahead, back], axis=-1)  # [B, T, 2H]
        context, attention = self.attention(states, query, mask)
        return context, attention, states

    def directions(self, embedded: Tensor, mask: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
        """`embedded` [B, T, E] under `mask` [B, T] -> the states of either direction, [B, T, H] each."""
        ahead = self.forward_lstm(embedded, mask=mask, training=training)
        # Read from the end, so that the padding comes last. A masked step repeats the state before it, so after the
        # flip, position 0 holds the state at the first real token.
        return ahead, ops.flip(self.backward_lstm(embedded, mask=mask, training=training), axis=1)

    def tensor_variables(self) -> dict[str, Any]:
        """The Keras variable behind each tensor of the artefact, by the artefact's name."""
        return _named(self.embedding, self.forward_lstm, self.backward_lstm, self.attention, self.batch_norm, self.head)

    def assign(self, tensors: Mapping[str, Floats]) -> None:
        """Sets every weight from the tensors of an artefact."""
        _assign(self.tensor_variables(), tensors)


def notebook_network(architecture: Architecture, dropout: float = 0.0) -> keras.Model:
    """The notebook's network, layer for layer: ids int32[B, T] -> P(positive) [B, 1], T being `max_length`.

    There is no mask: both directions read the padding, and the softmax runs over all T positions.

    Args:
        dropout: share of the embedding values that each direction drops, in training.
    """
    a = architecture
    ids = keras.Input((a.max_length,), dtype="int32", name="ids")
    embedded = keras.layers.Embedding(a.vocabulary_size, a.embedding_dim, name="embedding")(ids)  # [B, T, E]
    lstm = keras.layers.LSTM(
        a.units,
        dropout=dropout,
        recurrent_activation=a.recurrent_activation,
        recurrent_initializer="glorot_uniform",
        return_sequences=True,
        return_state=True,
    )
    states, ahead, _, back, _ = keras.layers.Bidirectional(lstm, name="bidirectional")(embedded)  # [B, T, 2H], [B, H]
    query = keras.layers.Concatenate(name="query")([ahead, back])  # [B, 2H]
    context, _ = BahdanauAttention(a.attention_units, name="attention")(states, query)  # [B, 2H]
    normed = keras.layers.BatchNormalization(epsilon=a.batch_norm_epsilon, name="batch_norm")(context)
    return keras.Model(ids, keras.layers.Dense(1, activation="sigmoid", name="head")(normed), name="notebook")


def notebook_variables(network: keras.Model) -> dict[str, Any]:
    """The variables of `notebook_network`, by the artefact's names."""
    both = network.get_layer("bidirectional")
    ends = (network.get_layer(name) for name in ("attention", "batch_norm", "head"))
    return _named(network.get_layer("embedding"), both.forward_layer, both.backward_layer, *ends)


def _named(embedding: Any, ahead: Any, back: Any, attention: Any, norm: Any, head: Any) -> dict[str, Any]:
    named = {"embedding": embedding.embeddings}
    for way, layer in (("forward", ahead), ("backward", back)):
        for part in ("kernel", "recurrent_kernel", "bias"):
            named[f"lstm.{way}.{part}"] = getattr(layer.cell, part)
    for part in ("w1", "w2", "v"):
        named[f"attention.{part}.kernel"] = getattr(attention, part).kernel
        named[f"attention.{part}.bias"] = getattr(attention, part).bias
    named |= {"batch_norm.gamma": norm.gamma, "batch_norm.beta": norm.beta}
    named |= {"batch_norm.mean": norm.moving_mean, "batch_norm.variance": norm.moving_variance}
    return named | {"head.kernel": head.kernel, "head.bias": head.bias}


def _assign(variables: Mapping[str, Any], tensors: Mapping[str, Floats]) -> None:
    for name, variable in variables.items():
        variable.assign(np.asarray(tensors[name]))


def from_tensors(architecture: Architecture, tensors: Mapping[str, Floats]) -> keras.Model:
    """The Keras model with the weights of an artefact: a `ReviewClassifier`, or without a mask, `notebook_network`."""
    if architecture.masked:
        classifier = ReviewClassifier(architecture)
        classifier.assign(tensors)
        return classifier
    network = notebook_network(architecture)
    _assign(notebook_variables(network), tensors)
    return network


def reader(architecture: Architecture, tensors: Mapping[str, Floats]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """What an explanation needs from either network: ids int32[B, T] -> attention [B, T] and states [B, T, 2H]."""
    network = from_tensors(architecture, tensors)
    if architecture.masked:

        def read(ids: Tensor) -> tuple[Tensor, Tensor]:
            _, attention, states = network.attend(network.embedding(ids), ops.not_equal(ids, PAD))
            return attention, states

        return read
    layers = (network.get_layer(name) for name in ("attention", "bidirectional"))
    (_, attention), (states, *_) = (layer.output for layer in layers)
    return keras.Model(network.input, [attention, states])  # type: ignore[no-any-return]
