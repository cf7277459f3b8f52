"""Five rankings of words by how much they support the decision: this project's contributions and the alternatives.

n is the number of words of a review that are scored. The start mark before them is neither ranked nor deleted.
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
Progress = Callable[[str, int, int], None]  # name of the work, reviews done, reviews in total

PATH_STEPS = 32


@dataclass(frozen=True)
class Decision:
    """A review and the model's decision on it.

    Args:
        ids: int32[1 + n], the start mark and the words.
        logit: before calibration.
        sign: 1 if the model decides positive, otherwise -1.
        attention, contribution: float64[1 + n], as in `batch_scorer.models.protocol.Scores`.
    """

    ids: Ids
    logit: float
    sign: int
    attention: Doubles
    contribution: Doubles


def decide(artifact: Artifact, engine: Engine, reviews: Sequence[Ids]) -> list[Decision]:
    """Scores reviews with a network that has a mask; returns the decisions in the order of the reviews."""
    decisions: dict[int, Decision] = {}
    for batch in scored(engine, reviews):
        scores = batch.scores
        positive = probability(scores.logit, artifact.temperature) >= artifact.threshold
        for column, row in enumerate(batch.rows.tolist()):
            ids = reviews[row]
            last = slice(-len(ids), None)
            decisions[row] = Decision(
                ids,
                float(scores.logit[column]),
                1 if positive[column] else -1,
                scores.attention[last, column],
                scores.contribution[last, column],
            )
    return [decisions[row] for row in range(len(reviews))]


def attributions(
    artifact: Artifact, engine: Engine, decisions: Sequence[Decision], seed: int, on_step: Progress
) -> tuple[dict[str, list[Doubles]], Doubles]:
    """How much each word supports the decision, according to each of the rankings.

    contribution           its share of the logit, toward the decision: `batch_scorer.models.network.forward`, step 5
    integrated_gradients   `integrated_gradients` of the logit, toward the decision
    leave_one_out          how much of the logit is lost when the word is deleted (Li et al. 2016, section 3)
    attention              its attention weight
    random                 a random number

    Returns:
        For each ranking, float64[n] per review, larger for words that support the decision more; and float64[N], by how
        much the integrated gradients of each review fail to sum to the change of the logit, which shows whether the
        steps of their path are fine enough.
    """
    rng = np.random.default_rng(seed)
    path = path_gradients(artifact)
    values: dict[str, list[Doubles]] = {
        name: [] for name in ("contribution", "integrated_gradients", "leave_one_out", "attention", "random")
    }
    gaps = []
    for done, decision in enumerate(decisions, 1):
        by_gradient, gap = integrated_gradients(path, decision.ids)
        gaps.append(gap)
        values["contribution"].append(decision.sign * decision.contribution[1:])
        values["integrated_gradients"].append(decision.sign * by_gradient[1:])
        values["leave_one_out"].append(decision.sign * leave_one_out(engine, decision))
        values["attention"].append(decision.attention[1:])
        values["random"].append(rng.random(len(decision.ids) - 1))
        on_step("attributions", done, len(decisions))
    return values, np.array(gaps)


def leave_one_out(engine: Engine, decision: Decision) -> Doubles:
    """For each word, the logit minus the logit of the review without the word: float64[n]."""
    without = [np.delete(decision.ids, position) for position in range(1, len(decision.ids))]
    return decision.logit - logits(engine, without)


def path_gradients(artifact: Artifact) -> Callable[[Ids], tuple[Doubles, Doubles, Doubles]]:
    """Returns a function of ids [T] for a network with a mask. Its results, in float64:

    - the embeddings of the words, [T, E]; the start mark's row is zero, since it is not varied;
    - the gradient of the logit with respect to them, averaged over the straight path from zero embeddings, [T, E];
    - the logits at both ends of the path, [2].
    """
    import tensorflow as tf

    from batch_scorer.models.keras_model import ReviewClassifier

    network = ReviewClassifier(artifact.architecture)
    network.assign(artifact.tensors)
    # The middle of each step, and both ends of the path, whose gradients are not used.
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

    def path(ids: Ids) -> tuple[Doubles, Doubles, Doubles]:
        moved, slope, ends = (out.numpy().astype(np.float64) for out in run(ids))
        return moved, slope, ends

    return path


def integrated_gradients(path: Callable[[Ids], tuple[Doubles, Doubles, Doubles]], ids: Ids) -> tuple[Doubles, float]:
    """Integrated gradients of the logit from zero embeddings (Sundararajan et al. 2017, eq. 1).

    Zero is the mean embedding over all occurrences of words, since training normalises embeddings to that. By the
    completeness axiom (section 3), the attributions sum to the difference between the logits at both ends of the path.

    Args:
        path: from `path_gradients`.
        ids: int32[T].

    Returns:
        float64[T], 0 for the start mark; and the distance of their sum from that difference, in logits.
    """
    moved, slope, ends = path(ids)
    values = (moved * slope).sum(axis=1)
    return values, abs(float(values.sum() - (ends[1] - ends[0])))
