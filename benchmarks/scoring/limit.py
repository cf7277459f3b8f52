"""The limit of float32: how many reviews per second the processor's matrix products alone would allow.

Shapes: H units per direction, A attention units, T ids of a review.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from batch_scorer.models.network import Architecture
from benchmarks.scoring.answers import Batching

ROWS = (Batching(32), Batching(64), Batching(128))  # batch sizes at which the rate of products is measured
TOTAL_ROWS = 640_000  # in one measurement, at any batch size: about half a second at 150 GFLOP/s
Turn = Callable[[Batching], object]


def operations(architecture: Architecture, mean_length: float) -> float:
    """The minimum of floating-point operations in matrix products that one review needs.

    A multiplication and an addition count as two. At each of the T positions

    * recurrence: the state [H] times the recurrent kernel [H, 4H], in two directions: ``2 directions * 2 * H * 4H``;
    * attention keys: the states [2H] times W1 [2H, A]: ``2 * 2H * A``;
    * attention score: hidden [A] times v [A, 1]: ``2 * A``;
    * the position's part of the logit: the states [2H] times the folded head [2H]: ``2 * 2H``;

    and once per review the query [2H] times W2 [2H, A]: ``2 * 2H * A``.

    The product of the embedding with the input kernel does not count, since it depends on the word alone and can be
    looked up in a table. (A runtime whose LSTM takes vectors does compute it: ``2 * 2 * E * 4H`` more per position.)
    Sigmoids, tanh, softmax and memory traffic do not count either: they take time, but they are not products. For the
    shipped model (H = A = 128) the sum is 262 144 + 65 536 + 256 + 512 = 328 448 per position.

    Args:
        mean_length: mean of T over the reviews, the start mark included.
    """
    h, a = architecture.units, architecture.attention_units
    recurrence = 2 * 2 * h * 4 * h
    attention = 2 * 2 * h * a + 2 * a + 2 * 2 * h
    return mean_length * (recurrence + attention) + 2 * 2 * h * a


def product_operations(architecture: Architecture, total_rows: int) -> float:
    """Floating-point operations in one turn of `numpy_products` or `tensorflow_products`.

    Each row goes through two kernels of ``H * 4H``, with a multiplication and an addition per weight.

    Args:
        total_rows: a multiple of each size in `ROWS`.
    """
    return 2.0 * 2 * architecture.units * 4 * architecture.units * total_rows


def _kernels(architecture: Architecture) -> tuple[np.ndarray, np.ndarray]:
    """Kernels [H, 4H] and [4H, H] whose product is the identity, so that values in a chain neither grow nor vanish."""
    square = np.random.default_rng(0).normal(size=(4 * architecture.units, architecture.units))
    up = np.linalg.qr(square)[0].T.astype(np.float32)
    return np.ascontiguousarray(up), np.ascontiguousarray(up.T)


def numpy_products(architecture: Architecture, total_rows: int) -> Turn:
    """Turns that multiply [B, H] by [H, 4H] and the result by [4H, H], repeatedly, in NumPy's BLAS.

    As in a recurrence, each product needs the previous one, and all operands stay in the caches.
    """
    up, down = _kernels(architecture)

    def turn(batching: Batching) -> None:
        rows = batching.size
        state = np.random.default_rng(0).normal(size=(rows, architecture.units)).astype(np.float32)
        wide = np.empty((rows, 4 * architecture.units), np.float32)
        for _ in range(total_rows // rows):
            np.matmul(state, up, out=wide)
            np.matmul(wide, down, out=state)

    return turn


def tensorflow_products(architecture: Architecture, total_rows: int) -> Turn:
    """The same in TensorFlow."""
    import tensorflow as tf

    up, down = (tf.constant(kernel) for kernel in _kernels(architecture))

    def repeat(state: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        def step(at: tf.Tensor, state: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return at + 1, tf.matmul(tf.matmul(state, up), down)

        return tf.while_loop(lambda at, _: at < times, step, (tf.constant(0), state))[1]

    chain = tf.function(repeat)

    def turn(batching: Batching) -> None:
        rows = batching.size
        state = np.random.default_rng(0).normal(size=(rows, architecture.units)).astype(np.float32)
        chain(tf.constant(state), tf.constant(total_rows // rows)).numpy()

    return turn
