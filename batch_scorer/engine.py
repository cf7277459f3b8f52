"""The engine: the masked network, compiled once for one batch size and any length.

Shapes: B reviews, T positions (padded on the left), H units a direction, A attention units.

What makes it fast, and why each step changes no answer:

1. Embedding, input kernel and bias become one table [V, 4H] a direction: a step gathers a row where Keras multiplies.
2. The rows of the three sigmoid gates, and their recurrent columns, are halved: sigmoid(x) = 0.5 + 0.5 tanh(x / 2), so
   one tanh serves all four gates, and halving is exact in binary floating point.
3. The table's row of the padding id is zero, bias included: from a zero state the cell then stays exactly zero,
   (0.5 * 0 + 0.5 * tanh(0) = 0), so the forward direction reads the padding without noticing. The backward direction
   comes to the padding last; its query state is kept from the last real position it read.
4. XLA compiles the loop with its first position as an argument: one compilation serves every length, and a batch
   pays for its own longest review only. Arrays are time-major, so that a step touches one contiguous block.
5. The batch is always full, with empty reviews if need be: every product has the same shape, so a review's result
   does not depend, to the last bit, on which others it is scored with.

The softmax and the sums over positions are done outside, in float64, one position after the other (`pool`): padding
adds exact zeros to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.artifact import Artifact, check_probe
from batch_scorer.encode import Ids
from batch_scorer.keras_engine import KerasEngine
from batch_scorer.model import fold_head
from batch_scorer.protocol import Engine, Scores
from batch_scorer.quiet import hushed
from batch_scorer.tokenizer import PAD, words

BATCH_SIZE = 32  # the state of 32 reviews and the weights fit the nearest caches; 16 and 64 were slower


class FoldedEngine:
    """The engine described above, in TensorFlow."""

    def __init__(self, artifact: Artifact, batch_size: int = BATCH_SIZE) -> None:
        import tensorflow as tf

        architecture = artifact.architecture
        self.batch_size = batch_size
        self.max_length = architecture.max_length
        weight, self.bias = fold_head(artifact.tensors, architecture.batch_norm_epsilon)
        self._run = tf.function(
            _network(tf, artifact, weight.astype(np.float32), batch_size),
            input_signature=[tf.TensorSpec([self.max_length, batch_size], tf.int32), tf.TensorSpec([], tf.int32)],
            jit_compile=True,
        )

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews.

        Args:
            batch: int32[n] each, the start mark and the words, `max_length` ids at most.
        """
        longest = max(len(ids) for ids in batch)
        padded = np.full((self.max_length, self.batch_size), PAD, np.int32)  # [T, B]
        for column, ids in enumerate(batch):
            padded[self.max_length - len(ids) :, column] = ids
        first = self.max_length - longest
        energy, value = (out.numpy()[first:, : len(batch)] for out in self._run(padded, np.int32(first)))
        return pool(energy, value, padded[first:, : len(batch)] != PAD, self.bias)


def pool(
    energy: npt.NDArray[np.floating], value: npt.NDArray[np.floating], mask: npt.NDArray[Any], bias: float
) -> Scores:
    """Softmax over positions, and the exact split of the logit: contribution_t = alpha_t (w . h_t).

    Args:
        energy: [T, B], the scores v . tanh(W1 h_t + W2 q).
        value: [T, B], w . h_t.
        mask: bool[T, B], which positions are real; one at least in each review.
    """
    energies = np.where(mask, energy, -np.inf).astype(np.float64)
    attention = np.exp(energies - energies.max(axis=0))
    # Sums over the first axis run position by position: the zeros of the padding, which come first, change no bit.
    attention /= attention.sum(axis=0)
    contribution = np.where(mask, attention * value, 0.0)
    return Scores(bias + contribution.sum(axis=0), attention, contribution)


def _network(tf: Any, artifact: Artifact, weight: npt.NDArray[np.float32], batch: int) -> Any:
    """Ids int32[T, B] and the first position that any review uses -> energy [T, B] and value [T, B]."""
    t, architecture = artifact.tensors, artifact.architecture
    units, length = architecture.units, architecture.max_length
    halved = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), units)  # input, forget, cell, output
    tables, recurrent = [], []
    for way in ("forward", "backward"):
        table = (t["embedding"] @ t[f"lstm.{way}.kernel"] + t[f"lstm.{way}.bias"]) * halved
        table[PAD] = 0.0
        tables.append(tf.constant(table))  # [V, 4H]
        recurrent.append(tf.constant(t[f"lstm.{way}.recurrent_kernel"] * halved))  # [H, 4H]
    w1_ahead, w1_back = (tf.constant(half) for half in np.split(t["attention.w1.kernel"], 2))  # [H, A] each
    w2 = tf.constant(t["attention.w2.kernel"])  # [2H, A]
    attention_bias = tf.constant(t["attention.w1.bias"] + t["attention.w2.bias"])  # [A]
    v = tf.constant(t["attention.v.kernel"][:, 0])  # [A]; v's bias shifts every score alike, which softmax ignores
    weight_ahead, weight_back = (tf.constant(half) for half in np.split(weight, 2))  # [H] each

    def cell(z: Any, c: Any) -> tuple[Any, Any]:
        i, f, g, o = tf.split(tf.tanh(z), 4, axis=1)
        c = (0.5 + 0.5 * f) * c + (0.5 + 0.5 * i) * g
        return (0.5 + 0.5 * o) * tf.tanh(c), c

    def run(ids: Any, first: Any) -> tuple[Any, Any]:
        zero = tf.zeros([batch, units])
        empty = [tf.TensorArray(tf.float32, length, element_shape=[batch, units]) for _ in range(2)]

        def step(ahead: Any, h: Any, c: Any, h_back: Any, c_back: Any, query: Any, out: Any, out_back: Any) -> Any:
            # Positions are gathered, not indexed: TensorFlow's bridge to XLA takes the bounds of a slice, and so
            # `first`, for constants, and would compile anew for each length.
            back = length - 1 - (ahead - first)
            words_back = tf.gather(ids, back)
            h, c = cell(tf.gather(tables[0], tf.gather(ids, ahead)) + tf.matmul(h, recurrent[0]), c)
            h_back, c_back = cell(tf.gather(tables[1], words_back) + tf.matmul(h_back, recurrent[1]), c_back)
            query = tf.where((words_back != PAD)[:, None], h_back, query)
            return ahead + 1, h, c, h_back, c_back, query, out.write(ahead, h), out_back.write(back, h_back)

        state = (first, zero, zero, zero, zero, zero, *empty)
        _, h, _, _, _, query, ahead, back = tf.while_loop(lambda at, *_: at < length, step, state)
        states, states_back = ahead.stack(), back.stack()  # [T, B, H] each
        asked = tf.matmul(tf.concat([h, query], axis=1), w2) + attention_bias  # [B, A]

        def attend(at: Any, energy: Any, value: Any) -> Any:
            x, y = tf.gather(states, at), tf.gather(states_back, at)
            hidden = tf.tanh(tf.matmul(x, w1_ahead) + tf.matmul(y, w1_back) + asked)
            adds = tf.linalg.matvec(x, weight_ahead) + tf.linalg.matvec(y, weight_back)
            return at + 1, energy.write(at, tf.linalg.matvec(hidden, v)), value.write(at, adds)

        none = [tf.TensorArray(tf.float32, length, element_shape=[batch]) for _ in range(2)]
        _, energy, value = tf.while_loop(lambda at, *_: at < length, attend, (first, *none))
        return energy.stack(), value.stack()

    return run


def load_engine(artifact: Artifact) -> Engine:
    """The engine for a model, on one thread, tried on the model's probe text.

    Plain Keras (`keras_engine`) for the notebook's variant, to which points 2 to 4 above do not apply.

    Raises:
        ArtifactError: the engine scores the probe text otherwise than training did.
    """
    with hushed():
        return _load(artifact)


def _load(artifact: Artifact) -> Engine:
    import tensorflow as tf

    try:
        # One process a core scales; threads within a step this small only wait for each other.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # TensorFlow is in use in this process already, with its own threads; results are the same
    a = artifact.architecture
    usual = a.masked and a.recurrent_activation == "sigmoid"
    engine: Engine = FoldedEngine(artifact) if usual else KerasEngine(artifact)
    # Compiles the loop too: the first real batch then costs what every other does.
    probe = artifact.tokenizer.ids(words(artifact.manifest["probe"]["text"]))
    check_probe(artifact, float(engine.run([probe]).logit[0]), "the engine")
    return engine
