"""The same network in Keras 3: what training fits and what the engine is tested against.

Shapes as in `model`. Masks are passed by hand, never inferred, so that what padding may touch can be read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from batch_scorer.model import Architecture, Floats
from batch_scorer.tokenizer import PAD

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
        self.forward_lstm = keras.layers.LSTM(a.units, return_sequences=True)
        self.backward_lstm = keras.layers.LSTM(a.units, return_sequences=True, go_backwards=True)
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
        ahead = self.forward_lstm(embedded, mask=mask, training=training)  # [B, T, H]
        # Read from the end, so that the padding comes last; a masked step repeats the state before it, and
        # after the flip position 0 holds the state at the first real token.
        back = ops.flip(self.backward_lstm(embedded, mask=mask, training=training), axis=1)  # [B, T, H]
        query = ops.concatenate([ahead[:, -1], back[:, 0]], axis=-1)  # [B, 2H]
        context, attention = self.attention(ops.concatenate([ahead, back], axis=-1), query, mask)
        return self.head(self.batch_norm(context, training=training))[:, 0], attention

    def tensor_variables(self) -> dict[str, Any]:
        """The Keras variable behind each tensor of the artefact, by the artefact's name."""
        norm = self.batch_norm
        named = {"embedding": self.embedding.embeddings}
        for way, layer in (("forward", self.forward_lstm), ("backward", self.backward_lstm)):
            for part in ("kernel", "recurrent_kernel", "bias"):
                named[f"lstm.{way}.{part}"] = getattr(layer.cell, part)
        for part in ("w1", "w2", "v"):
            named[f"attention.{part}.kernel"] = getattr(self.attention, part).kernel
            named[f"attention.{part}.bias"] = getattr(self.attention, part).bias
        named |= {"batch_norm.gamma": norm.gamma, "batch_norm.beta": norm.beta}
        named |= {"batch_norm.mean": norm.moving_mean, "batch_norm.variance": norm.moving_variance}
        return named | {"head.kernel": self.head.kernel, "head.bias": self.head.bias}

    def assign(self, tensors: Mapping[str, Floats]) -> None:
        """Sets every weight from the tensors of an artefact."""
        for name, variable in self.tensor_variables().items():
            variable.assign(tensors[name])


def from_tensors(architecture: Architecture, tensors: Mapping[str, Floats]) -> ReviewClassifier:
    """The Keras model with the weights of an artefact."""
    classifier = ReviewClassifier(architecture)
    classifier.assign({name: np.asarray(value) for name, value in tensors.items()})
    return classifier
