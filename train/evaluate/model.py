"""A model's answers to texts, as a job gives them: read in windows, pooled, each with its own temperature.

Shapes: N texts, n words that are read of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Engine
from batch_scorer.models.windows import Windows
from train.evaluate.scoring import score_reviews, scored

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """A loaded model and its engine."""

    artifact: Artifact
    engine: Engine

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Logits before calibration: float64[N]."""
        return score_reviews(self.artifact, self.engine, self._words(texts)).logits

    def calibrated(self, texts: Sequence[str]) -> Doubles:
        """Logits divided by the temperature of each text: float64[N]."""
        found = score_reviews(self.artifact, self.engine, self._words(texts))
        return found.logits / found.temperature

    def positive(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Whether each text is classified positive: bool[N]."""
        decided: npt.NDArray[np.bool_] = probability(self.calibrated(texts), 1.0) >= self.artifact.threshold
        return decided

    def explained(self, texts: Sequence[str]) -> tuple[Doubles, list[tuple[Doubles, Doubles]]]:
        """Logits before calibration: float64[N]; and of each text, contribution and attention of each word read.

        The latter are float64[n] each.
        """
        windows = Windows.of(self.artifact.tokenizer, self._words(texts))
        logits, parts = np.empty(len(windows)), dict[int, tuple[Doubles, Doubles]]()
        for batch in scored(self.engine, windows.ids):
            logits[batch.rows] = batch.scores.logit
            scores = windows.by_word(batch.rows, batch.scores)
            for column, row in enumerate(batch.rows.tolist()):
                parts[row] = (scores.contribution[:, column], scores.attention[:, column])  # padding first
        out: list[tuple[list[Doubles], list[Doubles]]] = [([], []) for _ in texts]
        for window, (row, n, share) in enumerate(zip(windows.review, windows.n_words, windows.share, strict=True)):
            for values, joined in zip(parts[window], out[row], strict=True):
                joined.append(share * values[len(values) - n :])
        words = [(np.concatenate(contribution), np.concatenate(attention)) for contribution, attention in out]
        return windows.pool(logits), words

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        return [self.artifact.tokenizer.words(text) for text in texts]
