"""An engine for a model whose tokenizer drops unknown words: the network never sees them, a row still counts them.

Shapes: B reviews, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.splitting import SKIPPED
from batch_scorer.models.tokenizer import OOV, Ids


class SkippingEngine:
    """Takes `SKIPPED` out of each review, has another engine score what is left, and puts zeros in its place.

    A review of nothing else is one of padding only: to a network with a mask, its logit is the bias.
    """

    def __init__(self, engine: Engine, masked: bool) -> None:
        self._engine, self._masked = engine, masked
        self.batch_size, self.bias = engine.batch_size, engine.bias

    def run(self, batch: Sequence[Ids]) -> Scores:
        """Scores 1 to `batch_size` reviews, as in `protocol.Engine`."""
        read = [ids[ids != SKIPPED] for ids in batch]
        empty = np.array([self._masked and not len(ids) for ids in read])
        instead = np.array([OOV], np.int32)
        scores = self._engine.run([instead if blank else ids for ids, blank in zip(read, empty, strict=True)])
        length = len(scores.attention)
        wide = np.zeros((2, length + max(len(a) - len(b) for a, b in zip(batch, read, strict=True)), len(batch)))
        for column, (ids, kept) in enumerate(zip(batch, read, strict=True)):
            if not empty[column]:
                pads = length - len(kept)
                end = wide.shape[1] - len(ids)
                places = np.concatenate([np.arange(end - pads, end), end + np.flatnonzero(ids != SKIPPED)])
                wide[0, places, column] = scores.attention[:, column]
                wide[1, places, column] = scores.contribution[:, column]
        logit = np.where(empty, self.bias, scores.logit)
        return Scores(logit, wide[0], wide[1])
