"""The recurrent cells written out in NumPy, float64, one review at a time; and the functions of their gates.

Shapes: T positions, E embedding values, H units. Kernels are in Keras' gate order: input, forget, cell, output for the
LSTM; update, reset, candidate for the GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Gate = Callable[[Floats], Doubles]

LSTM, GRU, GRU_RESET_AFTER = CELLS = ("lstm", "gru", "gru_reset_after")


def sigmoid(x: Floats) -> Doubles:
    """1 / (1 + e^-x), without overflow for any finite x."""
    return 0.5 + 0.5 * np.tanh(0.5 * np.asarray(x, np.float64))


def relu(x: Floats) -> Doubles:
    """max(x, 0)."""
    return np.maximum(np.asarray(x, np.float64), 0.0)


def hard_sigmoid(x: Floats) -> Doubles:
    """X / 6 + 1/2, between 0 and 1: the rule of Keras 3."""
    return np.clip(np.asarray(x, np.float64) / 6 + 0.5, 0.0, 1.0)


def hard_sigmoid_keras_2(x: Floats) -> Doubles:
    """X / 5 + 1/2, between 0 and 1: the rule of Keras 1 and 2."""
    return np.clip(np.asarray(x, np.float64) / 5 + 0.5, 0.0, 1.0)


GATES: dict[str, Gate] = {
    "sigmoid": sigmoid,
    "relu": relu,
    "hard_sigmoid": hard_sigmoid,
    "hard_sigmoid_keras_2": hard_sigmoid_keras_2,
}


def read(x: Doubles, tensors: Mapping[str, Doubles], cell: str, gate: Gate) -> tuple[Doubles, Doubles]:
    """One direction over a review.

    Args:
        x: float64[T, E].
        tensors: `kernel` [E, G], `recurrent_kernel` [H, G] and `bias` [G], of G = 4H values (LSTM) or 3H (GRU);
            `recurrent_bias` [G] too, if the GRU resets after its product.
        cell: one of `CELLS`.

    Returns:
        states: float64[T, H].
        memory: float64[H], the last cell state of an LSTM; of a GRU, its last state.
    """
    inputs = x @ tensors["kernel"] + tensors["bias"]  # [T, G]
    if cell == LSTM:
        return _lstm(inputs, tensors["recurrent_kernel"], gate)
    return _gru(inputs, tensors["recurrent_kernel"], tensors.get("recurrent_bias"), gate)


def _lstm(inputs: Doubles, recurrent: Doubles, gate: Gate) -> tuple[Doubles, Doubles]:
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
    h = c = np.zeros(recurrent.shape[0])
    out = []
    for z in inputs:
        i, f, g, o = np.split(z + h @ recurrent, 4)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        out.append(h)
    return np.array(out).reshape(-1, len(h)), c


def _gru(inputs: Doubles, recurrent: Doubles, bias: Doubles | None, gate: Gate) -> tuple[Doubles, Doubles]:
    """Cho et al. 2014; with a recurrent `bias`, cuDNN's form, whose reset gate comes after the recurrent product."""
    h, units = np.zeros(recurrent.shape[0]), recurrent.shape[0]
    out = []
    for row in inputs:
        x_update, x_reset, x_candidate = np.split(row, 3)
        if bias is not None:
            update, reset, candidate = np.split(h @ recurrent + bias, 3)
            z, r = gate(x_update + update), gate(x_reset + reset)
            proposed = np.tanh(x_candidate + r * candidate)
        else:
            update, reset = np.split(h @ recurrent[:, : 2 * units], 2)
            z, r = gate(x_update + update), gate(x_reset + reset)
            proposed = np.tanh(x_candidate + (r * h) @ recurrent[:, 2 * units :])
        h = z * h + (1 - z) * proposed
        out.append(h)
    return np.array(out).reshape(-1, units), h
