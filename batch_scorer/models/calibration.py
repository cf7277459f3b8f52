"""How sure a score may be: a temperature for each review, and how often the model was right when it was this sure.

Short reviews and those full of unknown words may be scored with too much confidence by a temperature that was fitted to
whole reviews, so it may depend on both (temperature scaling: Guo et al. 2017, section 4.2).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
CONFIDENCE_EDGES = tuple(round(0.5 + 0.01 * i, 2) for i in range(50))


@dataclass(frozen=True)
class Calibration:
    """A temperature by the words that were read and the share of them that are unknown, on a grid of W by S bins.

    Args:
        words: the least number of words of each bin, ascending; the first bin also takes what is below its edge.
        oov_rate: the least share of unknown words of each bin, likewise.
        grid: W rows of S temperatures.

    Raises:
        ValueError: the edges do not ascend, or the grid has another shape, or a value that is not a positive number.

    Example:
        >>> calibration = Calibration((1, 50), (0.0, 0.2), ((2.0, 3.0), (1.0, 1.5)))
        >>> calibration.temperature(np.array([10, 50, 400]), np.array([0.1, 0.1, 0.9])).tolist()
        [2.0, 1.0, 1.5]
    """

    words: tuple[int, ...]
    oov_rate: tuple[float, ...]
    grid: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        for name, edges in (("words", self.words), ("oov_rate", self.oov_rate)):
            if not edges or any(not a < b for a, b in itertools.pairwise(edges)):
                raise ValueError(f"{name}: expected ascending edges, got {list(edges)!r:.200}")
        shape, expected = [len(row) for row in self.grid], [len(self.oov_rate)] * len(self.words)
        if shape != expected:
            raise ValueError(f"temperature: expected rows of {expected!r:.80} values, got rows of {shape!r:.80}")
        if not all(1e-6 <= t <= 1e6 for row in self.grid for t in row):
            raise ValueError("temperature: expected values from 1e-06 to 1e+06")

    def temperature(self, n_used: npt.ArrayLike, oov_rate: npt.ArrayLike) -> Doubles:
        """What to divide the logits of N reviews by.

        Everything is taken as the row of the review holds it, so that whoever has the row finds the same.

        Args:
            n_used: [N], words read of each.
            oov_rate: [N], the share of them that are unknown, rounded to float32 here.

        Returns:
            float64[N], rounded to float32.
        """
        row = _bin(self.words, np.asarray(n_used, np.float64))
        column = _bin(self.oov_rate, np.asarray(oov_rate, np.float32).astype(np.float64))
        return np.asarray(np.array(self.grid, np.float32)[row, column].astype(np.float64))

    def median(self, n_used: npt.ArrayLike, oov_rate: npt.ArrayLike) -> float:
        """The median temperature of N reviews: what the manifest holds as `temperature`."""
        return float(np.median(self.temperature(n_used, oov_rate)))

    def to_json(self) -> dict[str, Any]:
        """As in the artefact's manifest."""
        return {
            "words": list(self.words),
            "oov_rate": list(self.oov_rate),
            "temperature": [list(row) for row in self.grid],
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`."""
        return Calibration(tuple(data["words"]), tuple(data["oov_rate"]), tuple(map(tuple, data["temperature"])))


@dataclass(frozen=True)
class ConfidenceCurve:
    """How often a model was right, by the probability that it gave to its own label.

    Args:
        confidence: the least confidence of each bin, ascending; the first bin also takes what is below its edge.
        reviews: reviews in each bin.
        correct: those of them that were labelled rightly.

    Raises:
        ValueError: the edges do not ascend, or the counts do not fit them or each other.
    """

    confidence: tuple[float, ...]
    reviews: tuple[int, ...]
    correct: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.confidence or any(not a < b for a, b in itertools.pairwise(self.confidence)):
            raise ValueError(f"confidence: expected ascending edges, got {list(self.confidence)!r:.200}")
        if not len(self.confidence) == len(self.reviews) == len(self.correct):
            raise ValueError(f"reviews, correct: expected {len(self.confidence)} counts each")
        if not all(0 <= right <= all_ for right, all_ in zip(self.correct, self.reviews, strict=True)):
            raise ValueError("correct: expected at most as many as reviews in each bin")

    @staticmethod
    def measure(
        probability: npt.ArrayLike,
        labels: npt.ArrayLike,
        threshold: float = 0.5,
        edges: Sequence[float] = CONFIDENCE_EDGES,
    ) -> ConfidenceCurve:
        """The curve of N labelled reviews.

        Args:
            probability: [N], of being positive, calibrated.
            labels: [N], 1 for positive.
            threshold: the least probability of a positive label.
        """
        p = np.asarray(probability, np.float64)
        positive = p >= threshold
        right = positive == (np.asarray(labels) == 1)
        bins = _bin(edges, np.where(positive, p, 1 - p))
        reviews = np.bincount(bins, minlength=len(edges))
        correct = np.bincount(bins[right], minlength=len(edges))
        return ConfidenceCurve(tuple(edges), tuple(reviews.tolist()), tuple(correct.tolist()))

    @property
    def accuracy(self) -> Doubles:
        """float64[bins], NaN where a bin has no reviews."""
        reviews = np.array(self.reviews, np.float64)
        accuracy = np.full(len(reviews), np.nan)
        np.divide(self.correct, reviews, out=accuracy, where=reviews > 0)
        return accuracy

    def to_json(self) -> dict[str, Any]:
        """As in the artefact's manifest."""
        return {"from": list(self.confidence), "reviews": list(self.reviews), "correct": list(self.correct)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> ConfidenceCurve:
        """The inverse of `to_json`."""
        return ConfidenceCurve(tuple(data["from"]), tuple(data["reviews"]), tuple(data["correct"]))


def _bin(edges: Sequence[float], values: Doubles) -> npt.NDArray[np.intp]:
    return np.clip(np.searchsorted(np.array(edges, np.float64), values, side="right") - 1, 0, None)
