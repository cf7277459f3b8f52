"""A network without a mask in plain Keras, whatever its variant: what reads padding like words runs here.

Shapes as in `network`; T is `max_length`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from batch_scorer.models.cells import GRU_RESET_AFTER, LSTM
from batch_scorer.models.network import Architecture, Floats

Tensor = Any


def reader(architecture: Architecture, tensors: Mapping[str, Floats]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Ids int32[B, T] -> attention [B, T] and states [B, T, 2H]."""
    a, t = architecture, tensors
    ahead, back = (_direction(a, a.cell_tensors(t, way), way == "backward") for way in ("forward", "backward"))
    embedding, kernel, bias, v = (
        ops.convert_to_tensor(t[name])
        for name in ("embedding", "attention.w1.kernel", "attention.w1.bias", "attention.v.kernel")
    )

    def read(ids: Tensor) -> tuple[Tensor, Tensor]:
        x = ops.take(embedding, ids, axis=0)  # [B, T, E]
        states_ahead, *last_ahead = ahead(x)  # [B, T, H], and [B, H] each: state, and cell state of an LSTM
        states_back, *last_back = back(x)
        states = ops.concatenate([states_ahead, ops.flip(states_back, axis=1)], axis=-1)  # [B, T, 2H]
        hidden = ops.matmul(states, kernel) + bias  # [B, T, A]
        if a.query != "none":
            asked = {"h": slice(0, 1), "c": slice(1, 2), "hc": slice(0, 2)}[a.query]
            query = ops.concatenate([*last_ahead[asked], *last_back[asked]], axis=-1)
            hidden += (ops.matmul(query, t["attention.w2.kernel"]) + t["attention.w2.bias"])[:, None]
        if a.position_bias:
            hidden += t["attention.position_bias"]
        if a.attention_activation == "tanh":
            hidden = ops.tanh(hidden)
        return ops.softmax(ops.matmul(hidden, v)[:, :, 0], axis=1), states

    return read


def _direction(architecture: Architecture, t: Mapping[str, Floats], is_backward: bool) -> keras.Layer:
    a, gate = architecture, architecture.recurrent_activation
    how: dict[str, Any] = {
        "return_sequences": True,
        "return_state": True,
        "go_backwards": is_backward,
        "recurrent_activation": _keras_2 if gate == "hard_sigmoid_keras_2" else gate,
    }
    if a.cell == LSTM:
        layer = keras.layers.LSTM(a.units, **how)
    else:
        layer = keras.layers.GRU(a.units, reset_after=a.cell == GRU_RESET_AFTER, **how)
    layer.build((None, None, a.embedding_dim))
    layer.cell.kernel.assign(t["kernel"])
    layer.cell.recurrent_kernel.assign(t["recurrent_kernel"])
    layer.cell.bias.assign(np.stack([t["bias"], t["recurrent_bias"]]) if "recurrent_bias" in t else t["bias"])
    return layer


def _keras_2(x: Tensor) -> Tensor:
    """The hard sigmoid of Keras 2: the next version has another slope."""
    return ops.clip(x / 5.0 + 0.5, 0.0, 1.0)
