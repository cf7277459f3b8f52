"""The contenders on TensorFlow: `model.predict` as in the notebook, Keras on batches of similar length, and our engine.

Shapes as in `answers`; Keras pads on the left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring.answers import Answers, Array, Batching, Scorer, in_batches


def keras_predict(artifact: Artifact) -> Scorer:
    """The notebook's way: reviews in their original order, all padded to `max_length`, through `model.predict`."""
    from batch_scorer.models.keras_model import from_tensors
    from train.data import pad

    architecture = artifact.architecture
    network = from_tensors(architecture, artifact.tensors)

    def score(ids: Sequence[Ids], batching: Batching) -> Answers:
        padded = pad(ids, architecture.max_length)
        logit, attention = network.predict(padded, batch_size=batching.size, verbose=0)  # [N], [N, T]
        return Answers(logit, [row[-len(x) :] for row, x in zip(attention, ids, strict=True)])

    return score


def keras_sorted(artifact: Artifact) -> Scorer:
    """The same network on batches of similar length, each padded only to its longest review.

    Compiled to a graph once, for any shape. (XLA would compile again for each shape.)
    """
    import tensorflow as tf

    from batch_scorer.models.keras_model import from_tensors
    from train.data import pad

    network = from_tensors(artifact.architecture, artifact.tensors)

    def read(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return network(ids)  # type: ignore[no-any-return]

    compiled = tf.function(read, input_signature=[tf.TensorSpec([None, None], tf.int32)])

    def run(batch: Sequence[Ids]) -> tuple[Array, Sequence[Array]]:
        logit, attention = (out.numpy() for out in compiled(pad(batch)))  # [B], [B, T]
        return logit, [row[-len(x) :] for row, x in zip(attention, batch, strict=True)]

    return lambda ids, batching: in_batches(run, ids, batching)


def engine(artifact: Artifact, precision: str) -> Scorer:
    """The engine that jobs use, called as in jobs; it sorts reviews and chooses its own batch size."""
    from batch_scorer.models.engine import load_engine
    from batch_scorer.scoring.score import ScoredBatch, score_ids

    loaded = load_engine(artifact, precision)

    def score(ids: Sequence[Ids], batching: Batching) -> Answers:
        logit = np.full(len(ids), np.nan)
        attention: list[Array] = [logit] * len(ids)
        for outcome in score_ids(loaded, ids):
            if isinstance(outcome, ScoredBatch):  # a failed review keeps its NaN, which the check of logits rejects
                logit[outcome.rows] = outcome.scores.logit
                for column, row in enumerate(outcome.rows):
                    attention[row] = outcome.scores.attention[-len(ids[row]) :, column]
        return Answers(logit, attention)

    return score
