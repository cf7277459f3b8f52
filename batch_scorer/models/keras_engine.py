"""Plain Keras behind the engine's interface: for networks that the compiled engine does not know.

Far slower, and like the notebook, always padded to `max_length`. Without a mask, padding is read and attended to like
words; what it adds to a logit is at its own positions, and so ends up in `rest_contribution`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import PRE, fold_head
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import PAD, Ids

BATCH_SIZE = 64


class KerasEngine:
    """Scores with the network of `keras_model`, whose head is folded so that the logit is a sum over positions.

    The batch is always full, with rows of padding if necessary: a review's result does not depend on its neighbours.
    """

    def __init__(self, artifact: Artifact, batch_size: int = BATCH_SIZE) -> None:
        import tensorflow as tf

        from batch_scorer.models import keras_model, keras_variants

        architecture = artifact.architecture
        reader = keras_variants.reader if architecture.needs_format_2 else keras_model.reader
        self.batch_size = batch_size
        self.max_length, self._pads_before = architecture.max_length, architecture.padding == PRE
        weight, self.bias = fold_head(artifact.tensors, architecture.batch_norm_epsilon)
        read, folded = reader(architecture, artifact.tensors), tf.constant(weight, tf.float32)

        def network(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            attention, states = read(ids)  # [B, T], [B, T, 2H]
            return tf.transpose(attention), tf.transpose(tf.linalg.matvec(states, folded))  # [T, B] each

        signature = [tf.TensorSpec([batch_size, self.max_length], tf.int32)]
        self._exhausted: type[Exception] = tf.errors.ResourceExhaustedError
        self._run = tf.function(network, input_signature=signature, autograph=False)

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews.

        Args:
            batch: int32[n] each, as the tokenizer gives them, at most `max_length` ids.

        Returns:
            Scores of all `max_length` positions, those of the padding first.

        Raises:
            MemoryError: there is not enough.
        """
        padded = np.full((self.batch_size, self.max_length), PAD, np.int32)  # [B, T]
        for row, ids in zip(padded, batch, strict=False):
            row[slice(self.max_length - len(ids), None) if self._pads_before else slice(len(ids))] = ids
        try:
            attention, value = (out.numpy()[:, : len(batch)].astype(np.float64) for out in self._run(padded))
        except self._exhausted as error:
            raise MemoryError("TensorFlow has too little memory") from error
        if not self._pads_before:  # in what it returns, the last id of each review comes last
            for column, ids in enumerate(batch):
                for values in (attention, value):
                    values[:, column] = np.roll(values[:, column], self.max_length - len(ids))
        contribution = attention * value
        return Scores(self.bias + contribution.sum(axis=0), attention, contribution)
