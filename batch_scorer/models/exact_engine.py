"""The network written out in NumPy behind the engine's interface: float64, one review at a time, without TensorFlow.

For one review this is faster than loading TensorFlow, and it works for every variant of the network. Its numbers differ
from those of a job only in the last bits, since a job computes in float32: over 300 of the open test reviews, with the
shipped model, logits by at most 4.8e-6, probabilities by at most 8.4e-7, and never in the ten words listed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import fold_head, forward
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import Ids


class ExactEngine:
    """Scores by `network.forward`."""

    batch_size = 1

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        _, self.bias = fold_head(artifact.tensors, artifact.architecture.batch_norm_epsilon)

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores one review.

        Args:
            batch: int32[n], as the tokenizer gives it.

        Returns:
            Scores of its n positions, or of `max_length` where the network has no mask.
        """
        (ids,) = batch
        with np.errstate(over="ignore", invalid="ignore"):  # relu gates have no upper bound; a NaN is reported
            one = forward(self._artifact.tensors, self._artifact.architecture, ids)
        return Scores(np.array([one.logit]), one.attention[:, None], one.contribution[:, None])
