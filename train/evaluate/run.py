"""Runs the evaluation: a model and labelled reviews in, all figures out, scored by the engine that jobs use."""

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
from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import START, Ids, Tokenizer
from train.data import Columns, Say, read_examples, say_nothing
from train.evaluate import bounded, faithfulness, probes, quality
from train.evaluate.attribution import Progress
from train.evaluate.scoring import score_reviews
from train.sources import ReadOptions


def evaluate(
    model_dir: str,
    sources: Sequence[str],
    columns: Columns,
    reads: ReadOptions | None = None,
    *,
    faithfulness_reviews: int,
    seed: int,
    on_step: Progress,
    say: Say = say_nothing,
) -> dict[str, Any]:
    """Evaluates the model in `model_dir` on the labelled reviews in `sources`.

    Args:
        faithfulness_reviews: maximum number of reviews, drawn at random, that explanations are measured on. With 0 they
            are not measured, nor for a network without a mask, where deleting a word moves all others.
        seed: of that draw, of the simulated labels behind `ece_by_chance`, and of random rankings.
        say: is told what is left out, and how the labels divide.
        on_step: called with the name of the work, how much of it is done, and how much there is.

    Returns:
        `model`, `data`, `quality`, `faithfulness` (None if not measured) and `probes`, as JSON.

    Raises:
        ArtifactError: the model is damaged.
        InputError: the reviews cannot be read, or all have the same label.
        EngineError: a review cannot be scored.
    """
    artifact = load(model_dir)
    examples = read_examples(sources, columns, reads, say)
    tokens = [artifact.tokenizer.words(text) for text in examples.texts]
    n_tokens = np.array([len(review) for review in tokens])
    scorable = n_tokens > 0  # a job rejects the others, which have nothing to score
    if len(set(examples.labels[scorable].tolist())) != 2:
        raise InputError(
            "all labelled reviews that have words have the same label",
            where=", ".join(sources),
            expected="positive and negative ones",
            fix="evaluate on more reviews",
        )
    scored, tokens, n_tokens = examples.subset(scorable), [review for review in tokens if review], n_tokens[scorable]
    engine, tokenizer = load_engine(artifact), artifact.tokenizer
    found = score_reviews(artifact, engine, tokens, lambda done, total: on_step("reviews", done, total))
    answers = quality.Answers(
        scored.ids,
        scored.labels,
        found.logits,
        n_tokens,
        found.unknown,
        found.temperature,
        artifact.threshold,
    )
    # Where a review is read in windows, its words are explained as far as they are in the last ones that fit into one.
    ids = [tokenizer.ids(review) for review in tokens]
    worst = quality.most_confident_mistakes(answers)
    used = [words_read(tokenizer, tokens[i], ids[i]) for i in worst]
    sizes = [ids_of_words(tokenizer, words) for words in used]
    leading = leading_words(engine, used, [ids[i] for i in worst], answers.decision[worst].tolist(), sizes=sizes)
    explanations = None
    # Deleting words is measured in ids, behind the start mark of this project's own network.
    is_own = artifact.architecture.masked and "imported" not in artifact.manifest["training"]
    if faithfulness_reviews and is_own:
        drawn = np.random.default_rng(seed).permutation(len(ids))[:faithfulness_reviews]
        chosen = [ids[i] for i in drawn]
        explanations = faithfulness.measure(artifact, engine, chosen, seed=seed, on_step=on_step)
        explanations["between_bounds"] = bounded.measure(artifact, engine, chosen, seed, on_step)
    return {
        "model": {"id": artifact.model_id, "name": artifact.manifest["name"]},
        "data": {
            "files": [Path(source).name for source in sources],
            "reviews": len(scored),
            "without_words": len(examples) - len(scored) + examples.left_out.get("no_words", 0),
            "labels": examples.labelling,
            "sha256": examples.fingerprint(),
        },
        "quality": quality.measure(
            answers,
            max_words=tokenizer.max_words,
            max_windows=tokenizer.max_windows,
            words=dict(zip(worst, leading, strict=True)),
            seed=seed,
        ),
        "faithfulness": explanations,
        "probes": probes.measure(lambda texts: probabilities(artifact, engine, texts), threshold=artifact.threshold),
    }


def probabilities(artifact: Artifact, engine: Engine, texts: Sequence[str]) -> list[float]:
    """Calibrated P(positive) of each text."""
    found = score_reviews(artifact, engine, [artifact.tokenizer.words(text) for text in texts])
    return [float(p) for p in probability(found.logits, found.temperature)]


def ids_of_words(tokenizer: Tokenizer, words: Sequence[str]) -> Ids:
    """How many ids each of the words has: int32[n]."""
    if isinstance(tokenizer.pattern, Splitting):
        return np.ones(len(words), np.int32)
    return np.array([len(tokenizer.ids([word])) - 1 for word in words], np.int32)


def words_read(tokenizer: Tokenizer, tokens: Sequence[str], ids: Ids) -> Sequence[str]:
    """The words of a review that its ids stand for: the last ones, or by some models of Keras the first."""
    if not isinstance(tokenizer.pattern, Splitting):
        return tokenizer.last_words(tokens)
    n = len(ids) - int((ids[:1] == START).sum())
    return tokens[:n] if tokenizer.pattern.reads_first else tokens[len(tokens) - n :]


def leading_words(
    engine: Engine,
    used: Sequence[Sequence[str]],
    ids: Sequence[Ids],
    positive: Sequence[bool],
    count: int = 5,
    sizes: Sequence[Ids] | None = None,
) -> list[list[str]]:
    """For each of N reviews, the words that contribute most to its decision: each word once, the strongest first.

    Args:
        used: the words of each review that are scored.
        ids: the same words, encoded.
        positive: whether each review was classified positive.
        count: maximum number of words per review.
        sizes: how many ids each of its words has; None: one each.
    """
    out = []
    for i, (review, encoded, decision) in enumerate(zip(used, ids, positive, strict=True)):
        size = np.ones(len(review), np.int32) if sizes is None else sizes[i]
        # The words come last, after the start mark and, without a mask, padding.
        of_ids = engine.run([encoded]).contribution[-int(size.sum()) :, 0] * (1 if decision else -1)
        contribution = np.add.reduceat(of_ids, np.cumsum(size) - size)
        best = [i for i in np.argsort(-contribution, kind="stable") if contribution[i] > 0]
        out.append(list(dict.fromkeys(review[i] for i in best))[:count])
    return out
