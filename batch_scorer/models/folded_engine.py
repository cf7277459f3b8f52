"""The engine: the masked network, compiled once for one batch size and any length.

Shapes: B reviews, T positions (padded on the left), V ids, E embedding values, H units a direction, A attention units.

What makes it fast, and why each step changes no answer:

1. Embedding, input kernel and bias become one table [V, 4H] per direction: a step gathers a row where Keras multiplies.
2. The rows of the three sigmoid gates, and their recurrent columns, are halved: sigmoid(x) = 0.5 + 0.5 tanh(x / 2), and
   halving is exact in binary floating point. The gates are split before their tanh: XLA then fuses the sum, the tanh
   and the new cell state into one loop, where it would otherwise write the gates to memory first. The tanh is a
   rational function that takes fewer steps than XLA's (`folded_cells.tanh`).
3. A state is multiplied once, by its recurrent kernel, its half of the attention's W1 and the folded head side by
   side, [H, 4H + A + 1]: one large product instead of three.
4. The table's row of the padding id keeps a zero state exactly zero (`folded_cells`), so the forward direction reads
   the padding without effect. The backward direction reaches the padding last; its query state is kept from the last
   real position that it read.
5. XLA compiles the loops with their first position as an argument: one compilation serves every length, and a batch
   pays only for its own longest review. The directions run in turn: the second adds to what the first left for each
   position, in the same buffer, and only one recurrent kernel at a time has to stay in the cache. Arrays are
   time-major, so that a step touches one contiguous block.
6. The batch is always full, with empty reviews if necessary: every product has the same shape, so a review's result
   does not depend, to the last bit, on which others it is scored with.

In bfloat16, the large products take states and kernels rounded to bfloat16 and add up in float32. Everything else stays
in float32, including the states that are carried along.

The softmax and the sums over positions are computed outside, in float64, position by position (`pool`): padding adds
exact zeros to them.
"""

from __future__ import annotations

import importlib
import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.config import FLOAT32
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.batch_sizes import BATCH_SIZES
from batch_scorer.models.folded_cells import cell_of, tanh
from batch_scorer.models.network import PRE, fold_head
from batch_scorer.models.protocol import Scores, add_up
from batch_scorer.models.tokenizer import PAD, Ids

# A program fills its buffers with zeros, for 500 positions a tenth of the time that 31 of them take. Once a process has
# scored so many batches of short reviews that a second program, a second of work, is likely to pay, it compiles one.
SHORT, SHORT_BATCHES = 64, 500
COLUMNS = 8  # v and the head are padded to this many: XLA computes a product with a single column value by value

_log = logging.getLogger(__name__)


class FoldedEngine:
    """The engine described above, in TensorFlow."""

    def __init__(
        self, artifact: Artifact, batch_size: int | None = None, precision: str = FLOAT32, tf: Any = None
    ) -> None:
        """
        Args:
            batch_size: reviews per batch; None is the fastest.
            precision: of the products, one of `config.PRECISIONS`.
            tf: TensorFlow, or as much of it as `lean_tensorflow` gives; None: imported as it is.
        """
        architecture = artifact.architecture
        self.batch_size = batch_size or BATCH_SIZES[precision]
        self.max_length = architecture.max_length
        weight, self.bias = fold_head(artifact.tensors, architecture.batch_norm_epsilon)
        self._network = _Network(artifact, weight.astype(np.float32), self.batch_size, precision, tf)
        self._programs = {self.max_length: self._network.compiled(self.max_length)}  # by their positions
        self._pads_attended = not architecture.attention_masked
        has_short = self.max_length > SHORT and not architecture.position_bias
        self._short_batches_left = SHORT_BATCHES if has_short else math.inf

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews.

        Args:
            batch: int32[n] each, the start mark and the words, at most `max_length` ids.

        Raises:
            MemoryError: there is not enough.
        """
        longest = self.max_length if self._pads_attended else max(len(ids) for ids in batch)
        length = self._positions(longest)
        padded = np.full((length, self.batch_size), PAD, np.int32)  # [T, B]
        for column, ids in enumerate(batch):
            padded[length - len(ids) :, column] = ids
        first = length - longest
        try:
            energy, value = (out.numpy()[first:, : len(batch)] for out in self._programs[length](padded, first))
        except self._network.exhausted as error:
            raise MemoryError("TensorFlow has too little memory") from error
        return pool(energy, value, padded[first:, : len(batch)] != PAD, self.bias, self._pads_attended)

    def _positions(self, longest: int) -> int:
        """Those of the program for a batch; its steps, and so the bits of the result, are those of any other."""
        if longest > SHORT or self._short_batches_left:
            self._short_batches_left -= longest <= SHORT
            return self.max_length
        if SHORT not in self._programs:
            try:
                program = self._network.compiled(SHORT)
                program(np.full((SHORT, self.batch_size), PAD, np.int32), SHORT - 1)
            except Exception:  # such as too little memory, and nobody needs this program
                _log.warning("no second program for short reviews", exc_info=True)
                self._short_batches_left = math.inf
                return self.max_length
            self._programs[SHORT] = program
        return SHORT


def pool(
    energy: npt.NDArray[np.floating],
    value: npt.NDArray[np.floating],
    mask: npt.NDArray[Any],
    bias: float,
    pads_attended: bool = False,
) -> Scores:
    """Softmax over positions, and the exact split of the logit: contribution_t = alpha_t (w . h_t).

    Args:
        energy: [T, B], the scores v . tanh(W1 h_t + W2 q).
        value: [T, B], w . h_t.
        mask: bool[T, B], which positions are real; at least one in each review.
        pads_attended: whether the others have a share of the attention. They add nothing: their states are zero.
    """
    energies = np.where(mask | pads_attended, energy, -np.inf).astype(np.float64)
    attention = np.exp(energies - energies.max(axis=0))
    attention /= add_up(attention)
    contribution = np.where(mask, attention * value, 0.0)
    return Scores(bias + add_up(contribution), attention, contribution)


class _Network:
    """The tensors in the form that the loops need, and the loops."""

    def __init__(
        self, artifact: Artifact, weight: npt.NDArray[np.float32], batch_size: int, precision: str, tf: Any
    ) -> None:
        tf = tf or importlib.import_module("tensorflow")
        self._tf = tf
        self.exhausted: type[Exception] = tf.errors.ResourceExhaustedError
        t, architecture = artifact.tensors, artifact.architecture
        self.architecture, self.batch_size = architecture, batch_size
        w1, head = np.split(t["attention.w1.kernel"], 2), np.split(weight, 2)  # [H, A] and [H] each
        self.steps = [
            cell_of(architecture)(
                tf,
                architecture,
                t["embedding"],
                architecture.cell_tensors(t, way),
                np.concatenate([w1[place], _widened(head[place])], axis=1),
                tf.as_dtype(precision),
            )
            for place, way in enumerate(("forward", "backward"))
        ]
        bias = t["attention.w1.bias"]
        if architecture.query != "none":
            self.w2 = tf.constant(t["attention.w2.kernel"])  # [2H, A], or [4H, A]
            bias = bias + t["attention.w2.bias"]
        self.attention_bias = tf.constant(bias)  # [A]
        if architecture.position_bias:
            self.position_bias = tf.constant(t["attention.position_bias"])  # [T, A]
        # v's bias shifts every score alike, which softmax ignores.
        self.v = tf.constant(_widened(t["attention.v.kernel"][:, 0]))  # [A, COLUMNS]

    def compiled(self, length: int) -> Any:
        """Ids int32[T, B] and the first position that any review uses -> energy and value [T, B].

        Args:
            length: T. XLA compiles the program when it is first called.
        """
        tf = self._tf
        signature = [tf.TensorSpec([length, self.batch_size], tf.int32), tf.TensorSpec([], tf.int32)]
        run = tf.function(self._run, input_signature=signature, jit_compile=True, autograph=False)
        run = run.get_concrete_function()  # which does not look at its arguments for a millisecond a batch
        return lambda ids, first: run(tf.constant(ids), tf.constant(first, tf.int32))

    def _asked(self, state: Any, memory: Any) -> Any:
        """What the query holds of one direction: [B, H], or both [B, 2H]."""
        both = {"c": memory, "hc": self._tf.concat([state, memory], axis=1)} if "c" in self.architecture.query else {}
        return both.get(self.architecture.query, state)

    def _run(self, ids: Any, first: Any) -> tuple[Any, Any]:
        tf, gates, length, (step_ahead, step_back) = self._tf, self.steps[0].width, ids.shape[0], self.steps
        batch, hidden, units = self.batch_size, self.v.shape[0], self.architecture.units

        def array(*shape: int) -> Any:
            return tf.TensorArray(tf.float32, length, element_shape=shape)

        def ahead(at: Any, _: Any, product: Any, memory: Any, keys: Any, values: Any) -> Any:
            # Positions are gathered, not indexed: TensorFlow's bridge to XLA treats the bounds of a slice, and so
            # `first`, as constants, and would compile again for each length.
            state, product, memory = step_ahead(tf.gather(ids, at), product, memory)
            keys = keys.write(at, product[:, gates : gates + hidden])
            return at + 1, state, product, memory, keys, values.write(at, product[:, gates + hidden])

        def back(at: Any, query: Any, product: Any, memory: Any, keys: Any, values: Any) -> Any:
            words = tf.gather(ids, at)
            state, product, memory = step_back(words, product, memory)
            query = tf.where((words != PAD)[:, None], self._asked(state, memory), query)
            keys = keys.write(at, keys.read(at) + product[:, gates : gates + hidden])
            return at - 1, query, product, memory, keys, values.write(at, values.read(at) + product[:, gates + hidden])

        def attend(at: Any, energy: Any) -> Any:
            energies = tf.matmul(self._hidden(ids, at, keys, asked), self.v)  # [B, COLUMNS]
            return at + 1, energy.write(at, energies[:, 0])

        state, product = tf.zeros([batch, units]), tf.zeros([batch, self.steps[0].kernel.shape[1]])
        empty = array(batch, hidden), array(batch)
        _, state_ahead, _, memory_ahead, keys, values = tf.while_loop(
            lambda at, *_: at < length, ahead, (first, state, product, state, *empty)
        )
        query = self._asked(state, state)
        _, query_back, _, _, keys, values = tf.while_loop(
            lambda at, *_: at >= first, back, (tf.constant(length - 1), query, product, state, keys, values)
        )
        keys = keys.stack()  # [T, B, A], W1 h_t
        asked = self.attention_bias  # [A]
        if self.architecture.query != "none":
            query = tf.concat([self._asked(state_ahead, memory_ahead), query_back], axis=1)
            asked = tf.matmul(query, self.w2) + asked  # [B, A]
        _, energy = tf.while_loop(lambda at, *_: at < length, attend, (first, array(batch)))
        return energy.stack(), values.stack()

    def _hidden(self, ids: Any, at: Any, keys: Any, asked: Any) -> Any:
        """What v is multiplied by at a position: [B, A]."""
        tf, key = self._tf, self._tf.gather(keys, at)
        if not self.architecture.attention_masked:
            key = tf.where((tf.gather(ids, at) != PAD)[:, None], key, 0.0)
        hidden = key + asked
        if self.architecture.position_bias:
            # Here reviews are padded on the left; their words have the positions that they have in Keras.
            words = tf.reduce_sum(tf.cast(ids != PAD, tf.int32), axis=0)  # [B]
            place = at if self.architecture.padding == PRE else (at + words) % ids.shape[0]
            hidden += tf.gather(self.position_bias, place)
        return tanh(tf, hidden) if self.architecture.attention_activation == "tanh" else hidden


def _widened(column: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n] -> [n, COLUMNS], zero except in the first column."""
    return np.pad(column[:, None], ((0, 0), (0, COLUMNS - 1)))
