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
from train.evaluate.scoring import explained, score_reviews

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """A loaded model and its engine."""

    artifact: Artifact
    engine: Engine

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Logits before calibration: float64[N]."""
        return self.logits_of_words(self._words(texts))

    def logits_of_words(self, texts: Sequence[Sequence[str]]) -> Doubles:
        """The same of texts given by their words, as `Tokenizer.words` gives them."""
        return score_reviews(self.artifact, self.engine, texts).logits

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
        return explained(self.engine, Windows.of(self.artifact.tokenizer, self._words(texts)))

    def _words(self, texts: Sequence[str]) -> list[list[str]]:
        return [self.artifact.tokenizer.words(text) for text in texts]
