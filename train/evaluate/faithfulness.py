"""Measures what explanations are worth: words are deleted in the order of each ranking, and the rest is scored again.

Shares refer to the words that are scored; of n words, a share k is the first ceil(k n).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import PAD, Ids
from train.evaluate.attribution import Decision, Doubles, Progress, attributions, decide
from train.evaluate.scoring import logits

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # DeYoung et al. 2020, section 5
# The shares of deleted words at which the decision is checked.
FLIP_SHARES = (0.01, 0.02, 0.03, 0.04, 0.05, 0.075, *(twentieth / 20 for twentieth in range(2, 21)))
RESAMPLES = 2_000


def measure(artifact: Artifact, engine: Engine, reviews: Sequence[Ids], seed: int, on_step: Progress) -> dict[str, Any]:
    """Measures every ranking of `attribution.attributions` on the same reviews.

    - Comprehensiveness of a share: p(review) - p(review without its top words), where p is the calibrated probability
      of the label given to the complete review. Sufficiency: p(review) - p(the top words alone). Both are averaged over
      `SHARES` (DeYoung et al. 2020, section 5, there for rationales). A good ranking has a high comprehensiveness and
      a low sufficiency.
    - Words to flip: the smallest of `FLIP_SHARES` whose deletion changes the label, or 1 if none does; the median over
      reviews (Nguyen 2018, "switching point").
    - For comparison with published figures only: see `published_measures`.

    Intervals are 95 % percentile bootstrap intervals over reviews (Efron and Tibshirani 1993, section 13.3).

    Args:
        reviews: int32[1 + n] each; the network must have a mask.
        seed: of random rankings and of the bootstrap.
    """
    decisions = decide(artifact, engine, reviews)
    values, gaps = attributions(artifact, engine, decisions, seed, on_step)
    resampled = np.random.default_rng(seed).integers(0, len(reviews), (RESAMPLES, len(reviews)))
    result: dict[str, Any] = {"reviews": len(reviews), "shares": list(SHARES), "rankings": {}}
    comprehensiveness = {}
    for done, (name, by_word) in enumerate(values.items(), 1):
        left_out, alone, flips = _rescored(artifact, engine, decisions, by_word)
        comprehensiveness[name] = left_out.mean(axis=1)
        result["rankings"][name] = {
            "comprehensiveness": _mean(left_out.mean(axis=1), resampled),
            "sufficiency": _mean(alone.mean(axis=1), resampled),
            "comprehensiveness_at": [_mean(column, resampled) for column in left_out.T],
            "sufficiency_at": [_mean(column, resampled) for column in alone.T],
            "words_to_flip": {**_median(np.minimum(flips, 1.0), resampled), "never": float(np.isinf(flips).mean())},
        }
        on_step("rankings", done, len(values))
    ours, attention = (comprehensiveness[name] for name in ("contribution", "attention"))
    ratios = ours[resampled].mean(axis=1) / attention[resampled].mean(axis=1)
    result["contribution_over_attention"] = _interval(float(ours.mean() / attention.mean()), ratios)
    result["integrated_gradients_gap"] = {"median": float(np.median(gaps))}
    return result | {"for_print": published_measures(artifact, engine, decisions, values, resampled)}


def _rescored(
    artifact: Artifact, engine: Engine, decisions: Sequence[Decision], by_word: Sequence[Doubles]
) -> tuple[Doubles, Doubles, Doubles]:
    """Comprehensiveness and sufficiency at each of `SHARES`, [N, 5] each; and the share to flip, [N], inf for never."""
    shortened = []
    for decision, values in zip(decisions, by_word, strict=True):
        best = 1 + np.argsort(-values, kind="stable")  # positions in the ids, top word first
        shortened += [np.delete(decision.ids, best[: _count(share, len(best))]) for share in FLIP_SHARES]
        shortened += [np.delete(decision.ids, best[_count(share, len(best)) :]) for share in SHARES]
    sign = np.array([decision.sign for decision in decisions])[:, None]
    whole = np.array([[decision.logit] for decision in decisions])
    rest = logits(engine, shortened).reshape(len(decisions), -1)
    positive, positive_whole = (probability(z, artifact.temperature).astype(np.float64) for z in (rest, whole))
    p, p_whole = (np.where(sign > 0, value, 1 - value) for value in (positive, positive_whole))
    deleted = len(FLIP_SHARES)
    left_out = p_whole - p[:, [FLIP_SHARES.index(share) for share in SHARES]]
    flipped = (positive[:, :deleted] >= artifact.threshold) != (sign > 0)
    flips = np.where(flipped, np.array(FLIP_SHARES), np.inf).min(axis=1)
    return left_out, p_whole - p[:, deleted:], flips


def _count(share: float, words: int) -> int:
    return math.ceil(round(share * words, 9))  # 0.05 * 20 is slightly above 1


def published_measures(
    artifact: Artifact,
    engine: Engine,
    decisions: Sequence[Decision],
    values: dict[str, list[Doubles]],
    resampled: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """Two measures that papers on attention report, only for comparison with those.

    - The share of hidden states that must be removed, in the order of a ranking and with the remaining attention scaled
      to sum to 1, until the decision changes; 1 if it never does (Serrano and Smith 2019, section 3). Since the logit
      is the sum of the contributions, this favours their ranking by construction.
    - Conicity: the mean cosine between the hidden states of a review and their mean (Mohankumar et al. 2020, section
      2.3). Near 1, all states point in the same direction and say little about their own words.
    """
    boundary = artifact.temperature * math.log(artifact.threshold / (1 - artifact.threshold))
    to_flip = {}
    for name in ("contribution", "attention", "random"):
        shares = [
            _states_to_flip(decision, by_word, engine.bias - boundary)
            for decision, by_word in zip(decisions, values[name], strict=True)
        ]
        to_flip[name] = _median(np.array(shares), resampled)
    return {"hidden_states_to_flip": to_flip, "conicity": _mean(_conicity(artifact, decisions), resampled)}


def _states_to_flip(decision: Decision, by_word: Doubles, bias: float) -> float:
    best = 1 + np.argsort(-by_word, kind="stable")
    attention = decision.attention.sum() - np.cumsum(decision.attention[best])
    contribution = decision.contribution.sum() - np.cumsum(decision.contribution[best])
    # The start mark's state always remains, but its attention may be close to 0.
    remaining = bias + contribution / np.maximum(attention, 1e-12)
    flipped = np.flatnonzero((remaining >= 0) != (decision.sign > 0))
    return float((flipped[0] + 1) / len(best)) if len(flipped) else 1.0


def _conicity(artifact: Artifact, decisions: Sequence[Decision]) -> Doubles:
    """Conicity of the states of each review, without the start mark's: float64[N]."""
    import tensorflow as tf

    from batch_scorer.models.keras_model import reader
    from train.network import conicity

    read = reader(artifact.architecture, artifact.tensors)

    def measure(ids: Any) -> Any:
        return conicity(read(ids)[1][:, 1:], ids[:, 1:] != PAD)

    measured = tf.function(measure, input_signature=[tf.TensorSpec([1, None], tf.int32)])
    return np.array([measured(decision.ids[None]).numpy() for decision in decisions], np.float64)


def _mean(values: Doubles, resampled: npt.NDArray[np.int64]) -> dict[str, float]:
    return _interval(float(values.mean()), values[resampled].mean(axis=1))


def _median(values: Doubles, resampled: npt.NDArray[np.int64]) -> dict[str, float]:
    spread = _interval(float(np.median(values)), np.median(values[resampled], axis=1))
    return {"median": spread["value"], "low": spread["low"], "high": spread["high"]}


def _interval(value: float, resampled: Doubles) -> dict[str, float]:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}
