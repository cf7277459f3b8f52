"""Jobs of small models score without TensorFlow in tests, and so without the seconds that it takes to load.

What TensorFlow's engine computes is tested in tests/models, and with real models elsewhere. Here any engine will do
that is real, gives the same bits in every process and depends on no neighbour. `tests.engines` has jobs use it,
`tests/chaos/inside` those in other processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from batch_scorer.config import FLOAT32
from batch_scorer.models.artifact import PROBE_TOLERANCE, Artifact, check_probe
from batch_scorer.models.batch_sizes import BATCH_SIZES
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.tokenizer import Ids

SMALL = 1_000  # ids in the vocabulary: no real model has so few
REMEMBERED = 10_000  # reviews

Load = Callable[[Artifact, str], Engine]


class PlainEngine:
    """`ExactEngine`, for as many reviews at a time as a job has: what they share is the batch, and its padding.

    What it has found for a review it gives again: it does not depend on the others, and tests often repeat theirs.
    """

    batch_size = BATCH_SIZES[FLOAT32]

    def __init__(self, artifact: Artifact) -> None:
        self._exact, self._found = ExactEngine(artifact), dict[bytes, Scores]()
        self.bias = self._exact.bias

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews, as in `protocol.Engine`."""
        ones = [self._found.get(ids.tobytes()) or self._run(ids) for ids in batch]
        shape = max(len(one.attention) for one in ones), len(batch)  # [T, B]
        attention, contribution = np.zeros(shape), np.zeros(shape)
        for column, one in enumerate(ones):
            attention[-len(one.attention) :, column] = one.attention[:, 0]
            contribution[-len(one.attention) :, column] = one.contribution[:, 0]
        return Scores(np.concatenate([one.logit for one in ones]), attention, contribution)

    def _run(self, ids: Ids) -> Scores:
        if len(self._found) >= REMEMBERED:
            self._found.clear()
        one = self._found[ids.tobytes()] = self._exact.run([ids])
        return one


def replace(load: Load) -> Load:
    """What to replace `batch_scorer.models.engine._load` by, which is `load`: it still loads what is not small.

    With `CHAOS_PLAIN=any` in the environment, a model of any size counts as small.
    """

    def load_plain(artifact: Artifact, precision: str) -> Engine:
        small = artifact.architecture.vocabulary_size <= SMALL or os.environ.get("CHAOS_PLAIN") == "any"
        if not small or precision != FLOAT32:
            return load(artifact, precision)
        plain, tokenizer = PlainEngine(artifact), artifact.tokenizer
        probe = tokenizer.ids(tokenizer.words(artifact.manifest["probe"]["text"]))
        check_probe(artifact, float(plain.run([probe]).logit[0]), "the engine", PROBE_TOLERANCE)
        return plain

    return load_plain
