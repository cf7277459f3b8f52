"""Five ways to say how much each word of a review speaks for the decision: ours, and what others would use.

n is the number of words of a review that are scored; the start mark before them can be neither ranked nor deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import Ids
from train.evaluate.scoring import logits, scored

Doubles = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]  # what is done, reviews done, reviews in all

PATH_STEPS = 32


@dataclass(frozen=True)
class Decision:
    """A review and what the model says of it.

    Args:
        ids: int32[1 + n], the start mark and the words.
        logit: raw.
        sign: 1 where the model says positive, else -1.
        attention, contribution: float64[1 + n], as in `batch_scorer.models.protocol.Scores`.
    """

    ids: Ids
    logit: float
    sign: int
    attention: Doubles
    contribution: Doubles


def decide(artifact: Artifact, engine: Engine, reviews: Sequence[Ids]) -> list[Decision]:
    """Scores reviews of a network with a mask, in the order given."""
    found: dict[int, Decision] = {}
    for batch in scored(engine, reviews):
        scores = batch.scores
        positive = probability(scores.logit, artifact.temperature) >= artifact.threshold
        for column, row in enumerate(batch.rows.tolist()):
            ids = reviews[row]
            last = slice(-len(ids), None)
            found[row] = Decision(
                ids,
                float(scores.logit[column]),
                1 if positive[column] else -1,
                scores.attention[last, column],
                scores.contribution[last, column],
            )
    return [found[row] for row in range(len(reviews))]


def attributions(
    artifact: Artifact, engine: Engine, decisions: Sequence[Decision], seed: int, on_step: Progress
) -> tuple[dict[str, list[Doubles]], Doubles]:
    """How much each word speaks for the decision, by each of the rankings.

    contribution           its share of the logit, toward the decision: `batch_scorer.models.network.forward`, step 5
    integrated_gradients   `integrated_gradients` of the logit, toward the decision
    leave_one_out          how far the logit falls back when the word is deleted (Li et al. 2016, section 3)
    attention              its attention weight
    random                 a number drawn at random

    Returns:
        For each ranking float64[n] a review, larger for words that speak more for the decision; and float64[N], how far
        the integrated gradients of a review are from summing to the logit's change, which says whether the steps of
        their path are fine enough.
    """
    rng = np.random.default_rng(seed)
    path = path_gradients(artifact)
    found: dict[str, list[Doubles]] = {
        name: [] for name in ("contribution", "integrated_gradients", "leave_one_out", "attention", "random")
    }
    gaps = []
    for done, decision in enumerate(decisions, 1):
        by_gradient, gap = integrated_gradients(path, decision.ids)
        gaps.append(gap)
        found["contribution"].append(decision.sign * decision.contribution[1:])
        found["integrated_gradients"].append(decision.sign * by_gradient[1:])
        found["leave_one_out"].append(decision.sign * leave_one_out(engine, decision))
        found["attention"].append(decision.attention[1:])
        found["random"].append(rng.random(len(decision.ids) - 1))
        on_step("attributions", done, len(decisions))
    return found, np.array(gaps)


def leave_one_out(engine: Engine, decision: Decision) -> Doubles:
    """The logit less that of the review without the word, for each word: float64[n]."""
    without = [np.delete(decision.ids, place) for place in range(1, len(decision.ids))]
    return decision.logit - logits(engine, without)


def path_gradients(artifact: Artifact) -> Callable[[Ids], tuple[Doubles, Doubles, Doubles]]:
    """A function of ids [T] that returns, in float64, for a network with a mask:

    - the words' embeddings, [T, E]; the start mark's row is zero, since it is not varied;
    - the logit's gradient by them, averaged over the straight path from zero embeddings, [T, E];
    - the logits at both ends of the path, [2].
    """
    import tensorflow as tf

    from batch_scorer.models.keras_model import ReviewClassifier

    network = ReviewClassifier(artifact.architecture)
    network.assign(artifact.tensors)
    # The middle of each of the steps, and both ends, whose gradients do not count.
    at = np.concatenate([(np.arange(PATH_STEPS) + 0.5) / PATH_STEPS, [0, 1]]).astype(np.float32)[:, None, None]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])  # type: ignore[untyped-decorator]
    def run(ids: Any) -> tuple[Any, Any, Any]:
        embedded = network.embedding(ids)  # [T, E]
        start = tf.concat([embedded[:1], tf.zeros_like(embedded[1:])], axis=0)
        moved = embedded - start
        points = start + at * moved  # [S + 2, T, E]
        mask = tf.ones(tf.shape(points)[:2], tf.bool)
        with tf.GradientTape() as tape:
            tape.watch(points)
            logit, _ = network.read(points, mask)
        slope = tape.gradient(logit, points)
        return moved, tf.reduce_mean(slope[:-2], axis=0), logit[-2:]

    def found(ids: Ids) -> tuple[Doubles, Doubles, Doubles]:
        moved, slope, ends = (out.numpy().astype(np.float64) for out in run(ids))
        return moved, slope, ends

    return found


def integrated_gradients(path: Callable[[Ids], tuple[Doubles, Doubles, Doubles]], ids: Ids) -> tuple[Doubles, float]:
    """Integrated gradients of the logit from zero embeddings (Sundararajan et al. 2017, eq. 1).

    Zero is the mean embedding of the words as they occur, since training normalises them so. By the completeness axiom
    (section 3) the attributions sum to the difference of the logits at both ends of the path.

    Args:
        path: from `path_gradients`.
        ids: int32[T].

    Returns:
        float64[T], 0 for the start mark; and by how many logits the sum misses the difference.
    """
    moved, slope, ends = path(ids)
    values = (moved * slope).sum(axis=1)
    return values, abs(float(values.sum() - (ends[1] - ends[0])))
