"""Deletion figures between their bounds, which models with other bounds can be compared by.

How far a probability can fall when words are deleted differs between models, and with it every figure that is a mean
of such falls. Edin et al. 2025 (arXiv 2408.08137) put the figure of each text between the lowest and the highest that
any order of its words has. Whole reviews have too many orders; for passages of `WORDS` words, the bounds are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import Ids
from train.evaluate.attribution import Decision, Doubles, Progress, attributions, decide
from train.evaluate.scoring import logits
from train.metrics import bootstrapped

WORDS = 8
PASSAGES = 300


def measure(artifact: Artifact, engine: Engine, reviews: Sequence[Ids], seed: int, on_step: Progress) -> dict[str, Any]:
    """NAOPC, Edin et al. 2025, section 4, of every ranking of `attribution.attributions`, on passages of reviews.

    Args:
        reviews: int32[1 + n] each; those of fewer than `WORDS` words are left out.

    Returns:
        `passages`, `words`, and `rankings`: the mean of each, 1 for the best order of words and 0 for the worst.
    """
    rng = np.random.default_rng(seed)
    long_enough = [ids for ids in reviews if len(ids) > WORDS][:PASSAGES]
    passages = []
    for ids in long_enough:
        first = 1 + int(rng.integers(0, len(ids) - WORDS))
        passages.append(np.concatenate([ids[:1], ids[first : first + WORDS]]))
    if not passages:
        return {"passages": 0, "words": WORDS, "rankings": {}}
    decisions = decide(artifact, engine, passages)
    values, _ = attributions(artifact, engine, decisions, seed, on_step)
    falls = _falls(artifact, engine, decisions)
    low, high = bounds(falls)
    apart = high - low > 1e-9  # otherwise all orders are alike
    rankings = {}
    for name, by_word in values.items():
        areas = np.array([area(fall, -word) for fall, word in zip(falls, by_word, strict=True)])
        rankings[name] = bootstrapped((areas - low)[apart] / (high - low)[apart], seed)
    return {"passages": int(apart.sum()), "words": WORDS, "rankings": rankings}


def _falls(artifact: Artifact, engine: Engine, decisions: Sequence[Decision]) -> Doubles:
    """How far the probability of the decision falls when a set of words is deleted: float64[N, 2 ** WORDS].

    A set is the number whose bits are its words.
    """
    members = _members()
    shortened = [
        np.concatenate([decision.ids[:1], decision.ids[1:][~members[deleted]]])
        for decision in decisions
        for deleted in range(len(members))
    ]
    positive = probability(logits(engine, shortened), artifact.temperature).astype(np.float64)
    sign = np.array([decision.sign for decision in decisions])[:, None]
    p = np.where(sign > 0, positive.reshape(len(decisions), -1), 1 - positive.reshape(len(decisions), -1))
    return np.asarray(p[:, :1] - p)


def _members() -> npt.NDArray[np.bool_]:
    """Which words are in each set: bool[2 ** WORDS, WORDS]."""
    return np.asarray((np.arange(2**WORDS)[:, None] >> np.arange(WORDS)) & 1 == 1)


def area(fall: Doubles, keys: Doubles) -> float:
    """Area over the perturbation curve: the mean fall as words are deleted one after the other, lowest key first.

    Args:
        fall: float64[2 ** WORDS], of each set.
        keys: float64[WORDS].
    """
    return float(fall[np.cumsum(1 << np.argsort(keys, kind="stable"))].mean())


def bounds(falls: Doubles) -> tuple[Doubles, Doubles]:
    """The lowest and the highest `area` of any order of words: float64[N] each.

    What an order has added up when a set is deleted, at best, is the fall of the set and the best without one of its
    members; so the sets are taken by size.

    Args:
        falls: float64[N, 2 ** WORDS].
    """
    low, high, members = falls.copy(), falls.copy(), _members()
    sizes = members.sum(axis=1)
    for chosen in sorted(range(1, len(members)), key=lambda number: sizes[number]):
        before = [chosen & ~(1 << word) for word in np.flatnonzero(members[chosen]).tolist()]
        low[:, chosen] += low[:, before].min(axis=1)
        high[:, chosen] += high[:, before].max(axis=1)
    return low[:, -1] / WORDS, high[:, -1] / WORDS
