"""The recurrent cells of the compiled engine: one step of a direction, in TensorFlow. `folded_engine` says why.

Shapes: B reviews, V ids, E embedding values, H units, A attention units. A state is multiplied once, by `kernel`: its
recurrent columns first (`width` of them), then its half of the attention's W1, then the folded head.

The row of the padding id in `table` is such that a zero state stays exactly zero. For an LSTM, zero does that, bias
included: whatever the gates, 0.5 * 0 + 0.5 * tanh(0) = 0. A GRU would move towards the tanh of its recurrent bias, so
its update gate is held at exactly 1 there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.cells import GRU_RESET_AFTER, LSTM
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import PAD

Floats = npt.NDArray[np.float32]
SHUT = {"sigmoid": 32.0, "relu": 1.0}  # what makes a gate exactly 1; of `sigmoid`, already halved

# tanh(x) = x P(x^2) / Q(x^2) for |x| <= LIMIT, and as at LIMIT beyond; coefficients of 1, x^2, x^4...
LIMIT = 8.1
P = (1.0, 0.13438329100608826, 0.0035641586873680353, 2.1765934434370138e-05, 1.503451940720879e-08)
Q = (1.0, 0.4677165448665619, 0.026136446744203568, 0.00033988821087405086, 8.446347692370182e-07)


def tanh(tf: Any, x: Any) -> Any:
    """tanh, to 3.1e-7, nearly as exact as XLA's own (2.6e-7), in less time: shorter sums, no case for small values.

    The rational function with the least relative error among those of its degrees; `benchmarks/scoring/tanh.py` finds
    it. Zero stays exactly zero, and NaN stays NaN; no value is beyond -1 or 1, and large ones need not get there.

    Example:
        >>> import tensorflow as tf
        >>> [round(float(value), 6) for value in tanh(tf, tf.constant([-20.0, 0.0, 0.5]))]
        [-1.0, 0.0, 0.462117]
    """
    x = tf.clip_by_value(x, -LIMIT, LIMIT)
    square = x * x
    above, below = (functools.reduce(lambda s, a: s * square + a, terms[-2::-1], terms[-1]) for terms in (P, Q))
    return above * x / below


def gate(tf: Any, name: str) -> Callable[[Any], Any]:
    """The gate of this name, one of `cells.GATES`; of `sigmoid`, what follows the tanh of a halved value."""
    gates: dict[str, Callable[[Any], Any]] = {
        "sigmoid": lambda x: 0.5 + 0.5 * x,
        "relu": tf.nn.relu,
        "hard_sigmoid": lambda x: tf.clip_by_value(x / 6.0 + 0.5, 0.0, 1.0),
        "hard_sigmoid_keras_2": lambda x: tf.clip_by_value(x / 5.0 + 0.5, 0.0, 1.0),
    }
    return gates[name]


def cell_of(architecture: Architecture) -> type[LstmStep | GruStep]:
    """The class of step for a network."""
    return LstmStep if architecture.cell == LSTM else GruStep


class LstmStep:
    """A direction of an LSTM."""

    def __init__(
        self,
        tf: Any,
        architecture: Architecture,
        embedding: Floats,
        t: Mapping[str, Floats],
        more: Floats,
        product: Any,
    ) -> None:
        """
        Args:
            embedding: [V, E].
            t: the tensors of the direction.
            more: [H, A + COLUMNS], what a state is multiplied by besides.
            product: the type of the large products.
        """
        self._tf, self._product = tf, product
        self.units, self.width = architecture.units, 4 * architecture.units
        name = architecture.recurrent_activation
        self._halves, self._open = name == "sigmoid", gate(tf, name)
        half = 0.5 if self._halves else 1.0
        scale = np.repeat(np.array([half, half, 1.0, half], np.float32), self.units)  # input, forget, cell, output
        table = (embedding @ t["kernel"] + t["bias"]) * scale
        table[PAD] = 0.0
        self.table = tf.constant(table)  # [V, 4H]
        kernel = np.concatenate([t["recurrent_kernel"] * scale, more], axis=1)  # [H, 4H + A + COLUMNS]
        self.kernel = tf.cast(tf.constant(kernel), product)

    def __call__(self, words: Any, product: Any, memory: Any) -> tuple[Any, Any, Any]:
        """Ids [B], the last state's product [B, width + A + COLUMNS], cell [B, H] -> state, its product, cell."""
        tf, opened = self._tf, self._open
        gates = tf.gather(self.table, words) + product[:, : self.width]
        i, f, g, o = tf.split(gates, 4, axis=1)
        if self._halves:
            i, f, g, o = (tanh(tf, gate) for gate in (i, f, g, o))
        else:
            g = tanh(tf, g)
        memory = opened(f) * memory + opened(i) * g
        state = opened(o) * tanh(tf, memory)
        # tf.matmul would round what it adds up to bfloat16 too.
        return state, multiplied(tf, tf.cast(state, self._product), self.kernel), memory


class GruStep:
    """A direction of a GRU; its memory is its last state."""

    def __init__(
        self,
        tf: Any,
        architecture: Architecture,
        embedding: Floats,
        t: Mapping[str, Floats],
        more: Floats,
        product: Any,
    ) -> None:
        """The arguments are those of `LstmStep`."""
        self._tf, self._product = tf, product
        self.units, self._after = architecture.units, architecture.cell == GRU_RESET_AFTER
        self.width = (3 if self._after else 2) * self.units
        name = architecture.recurrent_activation
        self._halves, self._open = name == "sigmoid", gate(tf, name)
        half = 0.5 if self._halves else 1.0
        scale = np.repeat(np.array([half, half, 1.0], np.float32), self.units)  # update, reset, candidate
        bias, recurrent = t["bias"].copy(), t["recurrent_kernel"] * scale
        if self._after:
            bias[: 2 * self.units] += t["recurrent_bias"][: 2 * self.units]
            self._bias = tf.constant(t["recurrent_bias"][2 * self.units :])  # [H], of the candidate
        else:
            self._candidate = tf.cast(tf.constant(recurrent[:, 2 * self.units :]), product)  # [H, H]
        table = (embedding @ t["kernel"] + bias) * scale
        table[PAD] = 0.0
        table[PAD, : self.units] = SHUT.get(name, 64.0)
        self.table = tf.constant(table)  # [V, 3H]
        kernel = np.concatenate([recurrent[:, : self.width], more], axis=1)
        self.kernel = tf.cast(tf.constant(kernel), product)  # [H, width + A + COLUMNS]

    def __call__(self, words: Any, product: Any, memory: Any) -> tuple[Any, Any, Any]:
        """As in `LstmStep`; the memory that goes in and out is the state."""
        tf, units = self._tf, self.units
        x_update, x_reset, x_candidate = tf.split(tf.gather(self.table, words), 3, axis=1)
        update, reset = x_update + product[:, :units], x_reset + product[:, units : 2 * units]
        if self._halves:
            update, reset = tf.tanh(update), tanh(tf, reset)  # of a shut gate, XLA's is exactly 1
        update, reset = self._open(update), self._open(reset)
        if self._after:
            candidate = tanh(tf, x_candidate + reset * (product[:, 2 * units : 3 * units] + self._bias))
        else:
            asked = multiplied(tf, tf.cast(reset * memory, self._product), self._candidate)
            candidate = tanh(tf, x_candidate + asked)
        state = update * memory + (1.0 - update) * candidate
        return state, multiplied(tf, tf.cast(state, self._product), self.kernel), state


def multiplied(tf: Any, rows: Any, kernel: Any) -> Any:
    """A large product, added up in float32: `tf.matmul` would round what it adds up to bfloat16 too."""
    return tf.raw_ops.BatchMatMulV3(x=rows, y=kernel, Tout=tf.float32)
