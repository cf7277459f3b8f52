"""What a set of reviews looks like in numbers: lengths, unknown words and scores, as histograms that can be added up.

The model artefact has the profile of the training data; each run puts its own beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.scripts import LATIN, OTHER, SCRIPTS

LENGTH_EDGES = (1, 10, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 2000)  # words; the last bin is open
SHARE_EDGES = tuple(round(0.05 * i, 2) for i in range(20))  # twenty bins from 0 to 1

# Above these, a run is reported to differ from the training data, unless that is much the same. IMDB's test reviews
# have 6 % unknown words, German reviews over 70 %.
OOV_SHARE = 0.20
FOREIGN_SHARE = 0.05
LEAST_INCREASE = 0.05  # of either share, for a warning

# How one distribution compares with another: the grades of `grade_of`, and the stability indices above which they are.
STABLE, MODERATE, MAJOR, TOO_FEW = "stable", "moderate", "major", "too few"
MODERATE_SHIFT, LENGTH_SHIFT = 0.1, 0.25
_FOREIGN = "foreign"
_PHRASES = {_FOREIGN: "a script other than Latin", OTHER: "another script"}
CHANCE = 0.001  # how often two samples of the same reviews may be reported to differ


@dataclass(frozen=True)
class Profile:
    """Histograms over scored reviews; `a + b` is the profile of both sets together.

    Args:
        reviews: how many.
        truncated: how many had more words than the model reads.
        words: how many words they have in total.
        used_words: how many of the words were read; where ids are of pieces of words, of the pieces.
        oov_words: how many of these are not in the vocabulary.
        foreign_words: how many of all words are in a script other than Latin.
        length: reviews by number of words, in bins that start at `LENGTH_EDGES`.
        oov_rate, probability: reviews by share, in twenty bins from 0 to 1.
        scripts: how many of the words are in each script other than Latin that any is in. Together these are the
            `foreign_words`; only in models of format 1 and in older ones there may be foreign words and no scripts.
    """

    reviews: int
    truncated: int
    words: int
    used_words: int
    oov_words: int
    foreign_words: int
    length: tuple[int, ...]
    oov_rate: tuple[int, ...]
    probability: tuple[int, ...]
    scripts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Profile) -> Profile:
        def add(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(x + y for x, y in zip(a, b, strict=True))

        return Profile(
            self.reviews + other.reviews,
            self.truncated + other.truncated,
            self.words + other.words,
            self.used_words + other.used_words,
            self.oov_words + other.oov_words,
            self.foreign_words + other.foreign_words,
            add(self.length, other.length),
            add(self.oov_rate, other.oov_rate),
            add(self.probability, other.probability),
            dict(sorted((Counter(self.scripts) + Counter(other.scripts)).items())),
        )

    def to_json(self) -> dict[str, Any]:
        """As in manifests: each histogram beside the lower edges of its bins."""
        return {
            "reviews": self.reviews,
            "truncated": self.truncated,
            "words": self.words,
            "used_words": self.used_words,
            "oov_words": self.oov_words,
            "foreign_words": self.foreign_words,
            **({"scripts": dict(self.scripts)} if self.scripts else {}),
            "length": {"from": list(LENGTH_EDGES), "reviews": list(self.length)},
            "oov_rate": {"from": list(SHARE_EDGES), "reviews": list(self.oov_rate)},
            "probability": {"from": list(SHARE_EDGES), "reviews": list(self.probability)},
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Profile:
        """The inverse of `to_json`."""
        return Profile(
            data["reviews"],
            data["truncated"],
            data["words"],
            data["used_words"],
            data["oov_words"],
            data.get("foreign_words", 0),  # older models, which did not count them, are of English text
            tuple(data["length"]["reviews"]),
            tuple(data["oov_rate"]["reviews"]),
            tuple(data["probability"]["reviews"]),
            data.get("scripts", {}),
        )

    def script_shares(self) -> dict[str, float]:
        """The share of the words in each script that any is in, Latin among them."""
        named = {LATIN: self.words - self.foreign_words, **self.scripts}
        return {name: count / max(self.words, 1) for name, count in named.items() if count}


EMPTY = Profile(0, 0, 0, 0, 0, 0, (0,) * len(LENGTH_EDGES), (0,) * len(SHARE_EDGES), (0,) * len(SHARE_EDGES))


def measure(
    n_tokens: npt.NDArray[np.integer],
    n_tokens_used: npt.NDArray[np.integer],
    oov_ids: npt.NDArray[np.integer],
    probability: npt.NDArray[np.floating],
    *,
    scripts: npt.NDArray[np.integer] | None = None,
    n_ids: npt.NDArray[np.integer] | None = None,
) -> Profile:
    """The profile of N scored reviews, each of which has at least one word.

    Args:
        n_tokens, n_tokens_used, oov_ids, probability: [N].
        scripts: [N, S], words in each of `scripts.SCRIPTS`; None: all are Latin.
        n_ids: [N], ids of the words used; None: each word has one.
    """
    n_ids = n_tokens_used if n_ids is None else n_ids
    totals = np.zeros(len(SCRIPTS), np.int64) if scripts is None else scripts.sum(axis=0, dtype=np.int64)
    return Profile(
        reviews=len(n_tokens),
        truncated=int((n_tokens > n_tokens_used).sum()),
        words=int(n_tokens.sum()),
        used_words=int(n_ids.sum()),
        oov_words=int(oov_ids.sum()),
        foreign_words=int(totals.sum()),
        length=_count(n_tokens, LENGTH_EDGES),
        oov_rate=_count(oov_ids / np.maximum(n_ids, 1), SHARE_EDGES),
        probability=_count(probability, SHARE_EDGES),
        scripts={name: int(count) for name, count in zip(SCRIPTS, totals, strict=True) if count},
    )


def warnings(run: Profile, training: Profile) -> list[str]:
    """Why the scores of a run may be meaningless: its texts differ from those that the model was trained on.

    A model scores any text with confidence. Three signs say when not to trust it: the share of unknown words, the
    script, and the lengths. Each is compared with the training data, which may be in any language.
    """
    reasons: list[str] = []
    if not run.reviews or not training.reviews:  # of a model brought from elsewhere, its texts are unknown
        return reasons
    unknown, usual = (p.oov_words / max(p.used_words, 1) for p in (run, training))
    if _is_more(unknown, usual, OOV_SHARE):
        reasons.append(f"{unknown:.0%} of the words are unknown to the model ({usual:.0%} in training)")
    reasons += _scripts(run, training)
    if grade_of(run.length, training.length) == MAJOR:
        mean, usual = (p.words / max(p.reviews, 1) for p in (run, training))
        reasons.append(
            f"the reviews are longer or shorter than in training: {mean:,.0f} words on average, not {usual:,.0f} "
            f"(stability index {stability_index(run.length, training.length):.2f})"
        )
    return reasons


def _scripts(run: Profile, training: Profile) -> list[str]:
    """The scripts of which there is more than in training, largest share first.

    Where the training data have no scripts, foreign words are compared as a whole.
    """
    if training.scripts:
        usual, shares = training.script_shares(), run.script_shares()
    else:
        usual, shares = (
            {_FOREIGN: p.foreign_words / max(p.words, 1), LATIN: 1 - p.foreign_words / max(p.words, 1)}
            for p in (training, run)
        )
    more = [name for name in shares if _is_more(shares[name], usual.get(name, 0.0), FOREIGN_SHARE)]
    return [
        f"{shares[name]:.0%} of the words are in {_PHRASES.get(name, f'{name} script')} "
        f"({usual.get(name, 0.0):.0%} in training)"
        for name in sorted(more, key=lambda name: (-shares[name], name))
    ]


def _is_more(share: float, usual: float, least: float) -> bool:
    """Whether a share is over `least`, and over what is usual: twice as much, or leaving half as much of the rest."""
    return share > max(least, min(2 * usual, (1 + usual) / 2), usual + LEAST_INCREASE)


def grade_of(counts: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """How far one histogram is from another: one of the grades.

    The stability index says how large the shift is (Siddiqi 2006: over 0.1 moderate, over 0.25 major). It is large by
    chance, too, where there are few reviews. So a shift has to show in the test of Kolmogorov and Smirnov (Smirnov
    1948) as well, which needs no full bins: five reviews are enough if all of them are far shorter.

    Example:
        >>> grade_of((5, 0, 0), (0, 400, 400)), grade_of((3, 1, 0), (100, 50, 50)), grade_of((300, 300), (90, 90))
        ('major', 'too few', 'stable')
    """
    p, q = (np.array(histogram, np.float64) for histogram in (counts, expected))
    n, m = p.sum(), q.sum()
    if not n or not m:
        return TOO_FEW
    index, distance = stability_index(counts, expected), float(np.abs(p.cumsum() / n - q.cumsum() / m).max())
    if index <= MODERATE_SHIFT:
        return STABLE
    if distance <= math.sqrt(-math.log(CHANCE / 2) / 2 * (1 / n + 1 / m)):
        return TOO_FEW
    return MAJOR if index > LENGTH_SHIFT else MODERATE


def stability_index(counts: tuple[int, ...], expected: tuple[int, ...]) -> float:
    """The population stability index of two histograms over the same bins: ``sum (p - q) ln(p / q)``, 0 if equal.

    Half a review is added to each bin, so that empty bins do not make it infinite.
    """
    p, q = (np.array(histogram, np.float64) + 0.5 for histogram in (counts, expected))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def _count(values: npt.NDArray[Any], lower_edges: tuple[float, ...]) -> tuple[int, ...]:
    bins = np.clip(np.searchsorted(lower_edges, values, side="right") - 1, 0, len(lower_edges) - 1)
    return tuple(int(n) for n in np.bincount(bins, minlength=len(lower_edges)))
