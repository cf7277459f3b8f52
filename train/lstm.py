"""Both directions of the LSTM for training: the same numbers as Keras' layers, in two thirds of the time.

Keras differentiates its loop step by step and so takes three products of each step's size: one for the state before,
two for the kernels. Here the backward loop only takes the first; the kernels' gradients are one product each over all
steps, after it. The two directions are loops of their own, which TensorFlow runs beside each other.
Shapes as in `batch_scorer.models.network`; loops run over the first axis, T.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from batch_scorer.models.keras_model import ReviewClassifier

BLOCKED = -1e4  # as an input gate before its sigmoid: nothing enters the cell


class TrainedClassifier(ReviewClassifier):
    """`ReviewClassifier` with faster loops, for texts that are padded on the left."""

    def directions(self, embedded: Any, mask: Any, training: bool = False) -> tuple[Any, Any]:
        """`embedded` [B, T, E] under `mask` [B, T] -> the states of either direction, [B, T, H] each.

        Where `mask` is false, only the first position of `back` is as in Keras: the state at the first real token.
        """
        steps, real = tf.transpose(embedded, [1, 0, 2]), tf.transpose(mask)  # [T, B, E], [T, B]
        ahead = _read(self.forward_lstm.cell, steps, real)
        back = tf.reverse(_read(self.backward_lstm.cell, tf.reverse(steps, [0]), tf.reverse(real, [0])), [0])
        first = tf.stack([tf.argmax(real, 0), tf.range(tf.shape(real)[1], dtype=tf.int64)], axis=1)  # [B, 2]
        back = tf.concat([tf.gather_nd(back, first)[None], back[1:]], axis=0)
        return tf.transpose(ahead, [1, 0, 2]), tf.transpose(back, [1, 0, 2])


def _read(cell: Any, steps: Any, real: Any) -> Any:
    """Steps [T, B, E] in the order in which a direction reads them, `real` [T, B] -> its states [T, B, H].

    The cell stays empty over padding in front, and what padding behind does to it concerns nobody.
    """
    kernel, recurrent, bias = (tf.convert_to_tensor(v.value) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))
    shape = tf.shape(steps)
    gates = tf.matmul(tf.reshape(steps, [-1, kernel.shape[0]]), kernel) + bias
    gates = tf.reshape(gates, [shape[0], shape[1], kernel.shape[1]])
    blocked = tf.concat([tf.fill([cell.units], BLOCKED), tf.zeros([3 * cell.units])], axis=0)  # [4H]
    return states(tf.where(real[:, :, None], gates, blocked), recurrent)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def states(gates: Any, recurrent: Any) -> tuple[Any, Any]:
    """The states of an LSTM (Hochreiter and Schmidhuber 1997, with forget gates): [T, B, H].

    Args:
        gates: [T, B, 4H], what the inputs add to the gates input, forget, cell and output.
        recurrent: [H, 4H].
    """
    length, batch, units = tf.shape(gates)[0], tf.shape(gates)[1], recurrent.shape[0]
    inputs = tf.TensorArray(tf.float32, length).unstack(gates)
    nothing = tf.zeros([batch, units])

    def ahead(t: Any, state: Any, cell: Any, *kept: Any) -> Any:
        entry_and_forget, new, out = tf.split(
            inputs.read(t) + tf.matmul(state, recurrent), [2 * units, units, units], 1
        )
        entry_and_forget, new, out = tf.sigmoid(entry_and_forget), tf.tanh(new), tf.sigmoid(out)
        entry, forget = tf.split(entry_and_forget, 2, 1)
        cell = forget * cell + entry * new
        bent = tf.tanh(cell)
        state = out * bent
        values = state, cell, tf.concat([entry_and_forget, new, out, bent], 1)
        return t + 1, state, cell, *(array.write(t, value) for array, value in zip(kept, values, strict=True))

    arrays = (_array(length, width) for width in (units, units, 5 * units))
    start = tf.constant(0), nothing, nothing, *arrays
    *_, kept_states, cells, kept_gates = tf.while_loop(lambda t, *_: t < length, ahead, start)
    stacked = kept_states.stack()

    def gradient(slopes: Any) -> tuple[Any, Any]:
        """From the gradient by the states, [T, B, H], to those by `gates` and `recurrent`."""
        given = tf.TensorArray(tf.float32, length).unstack(slopes)

        def back(t: Any, by_state: Any, by_cell: Any, out_of: Any) -> Any:
            entry, forget, new, out, bent = tf.split(kept_gates.read(t), 5, 1)
            before = cells.read(tf.maximum(t - 1, 0)) * tf.cast(t > 0, tf.float32)
            by_state += given.read(t)
            by_cell += by_state * out * (1 - bent * bent)
            slope = tf.concat(
                [
                    by_cell * new * entry * (1 - entry),
                    by_cell * before * forget * (1 - forget),
                    by_cell * entry * (1 - new * new),
                    by_state * bent * out * (1 - out),
                ],
                axis=1,
            )
            return t - 1, tf.matmul(slope, recurrent, transpose_b=True), by_cell * forget, out_of.write(t, slope)

        start = length - 1, nothing, nothing, _array(length, 4 * units)
        by_gates = tf.while_loop(lambda t, *_: t >= 0, back, start)[-1].stack()
        earlier, later = tf.reshape(stacked[:-1], [-1, units]), tf.reshape(by_gates[1:], [-1, 4 * units])
        return by_gates, tf.matmul(earlier, later, transpose_a=True)

    return stacked, gradient


def _array(length: Any, width: int) -> Any:
    """An array of `length` tensors [B, width], which may be read more than once."""
    return tf.TensorArray(tf.float32, length, element_shape=[None, width], clear_after_read=False)
