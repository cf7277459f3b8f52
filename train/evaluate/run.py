"""The evaluation: a model and labelled reviews in, every figure about both out, through the product's own engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from batch_scorer.errors import InputError
from batch_scorer.models.artifact import Artifact, load
from batch_scorer.models.engine import load_engine
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Engine
from batch_scorer.models.tokenizer import OOV, Ids, words
from train.data import Columns, read_examples
from train.evaluate import faithfulness, probes, quality
from train.evaluate.attribution import Progress
from train.evaluate.scoring import logits


def evaluate(
    model_dir: str,
    sources: Sequence[str],
    columns: Columns,
    *,
    faithfulness_reviews: int,
    seed: int,
    on_step: Progress,
) -> dict[str, Any]:
    """Judges the model in `model_dir` by the labelled reviews of `sources`.

    Args:
        faithfulness_reviews: how many of the reviews, drawn at random, the explanations are judged by at most. With 0,
            and for a network without a mask, in which no word can be deleted without moving the others, they are not.
        seed: of that draw, of the simulated labels behind `ece_by_chance`, and of random rankings.

    Returns:
        `model`, `data`, `quality`, `faithfulness` (None if not judged) and `probes`, as JSON.

    Raises:
        ArtifactError: the model is damaged.
        InputError: the reviews cannot be read, or hold one label only.
        EngineError: a review cannot be scored.
    """
    artifact = load(model_dir)
    examples = read_examples(sources, columns)
    found = [words(text) for text in examples.texts]
    n_tokens = np.array([len(review) for review in found])
    kept = n_tokens > 0  # the job rejects the others: there is nothing to score
    if len(set(examples.labels[kept].tolist())) != 2:
        raise InputError("the reviews with words hold one label only", where=", ".join(sources))
    scored, found, n_tokens = examples.subset(kept), [review for review in found if review], n_tokens[kept]
    engine, tokenizer = load_engine(artifact), artifact.tokenizer
    ids = [tokenizer.ids(review) for review in found]
    answers = quality.Answers(
        scored.ids,
        scored.labels,
        logits(engine, ids, lambda done, total: on_step("reviews", done, total)),
        n_tokens,
        np.array([np.count_nonzero(x == OOV) for x in ids]) / np.minimum(n_tokens, tokenizer.max_words),
        artifact.temperature,
        artifact.threshold,
    )
    worst = quality.most_confident_mistakes(answers)
    leading = leading_words(
        engine,
        [found[i][-tokenizer.max_words :] for i in worst],
        [ids[i] for i in worst],
        answers.decision[worst].tolist(),
    )
    judged = None
    if faithfulness_reviews and artifact.architecture.masked:
        drawn = np.random.default_rng(seed).permutation(len(ids))[:faithfulness_reviews]
        judged = faithfulness.measure(artifact, engine, [ids[i] for i in drawn], seed=seed, on_step=on_step)
    return {
        "model": {"id": artifact.model_id, "name": artifact.manifest["name"]},
        "data": {
            "files": [Path(source).name for source in sources],
            "reviews": len(scored),
            "without_words": len(examples) - len(scored),
            "sha256": examples.fingerprint(),
        },
        "quality": quality.measure(
            answers, max_words=tokenizer.max_words, words=dict(zip(worst, leading, strict=True)), seed=seed
        ),
        "faithfulness": judged,
        "probes": probes.measure(lambda texts: probabilities(artifact, engine, texts), threshold=artifact.threshold),
    }


def probabilities(artifact: Artifact, engine: Engine, texts: Sequence[str]) -> list[float]:
    """Calibrated P(positive) of each text."""
    ids = [artifact.tokenizer.ids(words(text)) for text in texts]
    found = probability(logits(engine, ids), artifact.temperature)
    return [float(p) for p in found]


def leading_words(
    engine: Engine, used: Sequence[Sequence[str]], ids: Sequence[Ids], positive: Sequence[bool], count: int = 5
) -> list[list[str]]:
    """Of each review the words that add most to its decision, each word once, the strongest first.

    Args:
        used: N times, the words of a review that are scored.
        ids: N times, the same encoded.
        positive: N times, whether it was called positive.
        count: how many words of a review at most.
    """
    out = []
    for review, encoded, decision in zip(used, ids, positive, strict=True):
        # The words come last; before them stand the start mark and, without a mask, padding.
        contribution = engine.run([encoded]).contribution[-len(review) :, 0] * (1 if decision else -1)
        best = [i for i in np.argsort(-contribution, kind="stable") if contribution[i] > 0]
        out.append(list(dict.fromkeys(review[i] for i in best))[:count])
    return out
