"""What a set of reviews looks like in numbers: lengths, unknown words, scores, as histograms that add up.

The training data's profile stands in the model artefact; each run sets its own beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

LENGTH_EDGES = (1, 10, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 2000)  # words; the last bin is open
SHARE_EDGES = tuple(round(0.05 * i, 2) for i in range(20))  # twenty bins of 0 to 1

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Profile:
    """Histograms over scored reviews; `a + b` is the profile of both sets together.

    Args:
        reviews: how many.
        truncated: how many had more words than the model reads.
        words: how many words, in all.
        oov_words: how many of the words that were read are not in the vocabulary.
        used_words: how many words were read.
        length: reviews by number of words, in bins that start at `LENGTH_EDGES`.
        oov_rate, probability: reviews by share, in twenty bins of 0 to 1.
    """

    reviews: int
    truncated: int
    words: int
    used_words: int
    oov_words: int
    length: tuple[int, ...]
    oov_rate: tuple[int, ...]
    probability: tuple[int, ...]

    def __add__(self, other: Profile) -> Profile:
        def add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(x + y for x, y in zip(a, b, strict=True))

        return Profile(
            self.reviews + other.reviews,
            self.truncated + other.truncated,
            self.words + other.words,
            self.used_words + other.used_words,
            self.oov_words + other.oov_words,
            add(self.length, other.length),
            add(self.oov_rate, other.oov_rate),
            add(self.probability, other.probability),
        )

    def to_json(self) -> dict[str, Any]:
        """As it stands in manifests: each histogram beside the lower edges of its bins."""
        return {
            "reviews": self.reviews,
            "truncated": self.truncated,
            "words": self.words,
            "used_words": self.used_words,
            "oov_words": self.oov_words,
            "length": {"from": list(LENGTH_EDGES), "reviews": list(self.length)},
            "oov_rate": {"from": list(SHARE_EDGES), "reviews": list(self.oov_rate)},
            "probability": {"from": list(SHARE_EDGES), "reviews": list(self.probability)},
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Profile:
        """The inverse of `to_json`."""
        scalars = (data[name] for name in ("reviews", "truncated", "words", "used_words", "oov_words"))
        return Profile(*scalars, *(tuple(data[name]["reviews"]) for name in ("length", "oov_rate", "probability")))


EMPTY = Profile(0, 0, 0, 0, 0, (0,) * len(LENGTH_EDGES), (0,) * len(SHARE_EDGES), (0,) * len(SHARE_EDGES))


def measure(
    n_tokens: npt.NDArray[np.integer],
    n_tokens_used: npt.NDArray[np.integer],
    oov_words: npt.NDArray[np.integer],
    probability: npt.NDArray[np.floating],
) -> Profile:
    """The profile of N scored reviews; each argument is [N], and every review has a word at least."""
    return Profile(
        reviews=len(n_tokens),
        truncated=int((n_tokens > n_tokens_used).sum()),
        words=int(n_tokens.sum()),
        used_words=int(n_tokens_used.sum()),
        oov_words=int(oov_words.sum()),
        length=_count(n_tokens, LENGTH_EDGES),
        oov_rate=_count(oov_words / np.maximum(n_tokens_used, 1), SHARE_EDGES),
        probability=_count(probability, SHARE_EDGES),
    )


def _count(values: npt.NDArray[Any], lower_edges: tuple[float, ...]) -> tuple[int, ...]:
    bins = np.clip(np.searchsorted(lower_edges, values, side="right") - 1, 0, len(lower_edges) - 1)
    return tuple(int(n) for n in np.bincount(bins, minlength=len(lower_edges)))
