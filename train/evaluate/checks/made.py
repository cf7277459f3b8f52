"""Checks on sentences made by grammar, from frames and words that training does not use, and on swaps of people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from train.evaluate.checks.labelled import share
from train.evaluate.model import Model
from train.material.grammar import NAMES, Grammar, Sentence
from train.material.word_classes import WordClass, read_classes

KINDS = ("plain", "negation", "far", "change", "question", "identity", "facts")
PEOPLE = {"neutral": 1, "identity": 1}  # kinds of sentences that speak of people


def grammar(model: Model, count: int, seed: int) -> dict[str, Any]:
    """How often each kind of sentence is right, and of negations, those of praise and of blame apart.

    Args:
        count: sentences of each kind, drawn at random.
    """
    made, rng = Grammar("check", read_classes()), np.random.default_rng(seed)
    out: dict[str, Any] = {}
    for kind in KINDS:
        sentences = list({s.text: s for s in (made.draw(kind, rng) for _ in range(count))}.values())
        right = model.positive([s.text for s in sentences]) == np.array([s.positive for s in sentences])
        out[kind] = share(right)
        if kind in ("negation", "far"):
            positive = np.array([s.positive for s in sentences])
            out[kind] |= {"of_praise": share(right[~positive]), "of_blame": share(right[positive])}
    return out


def swaps(model: Model, count: int, seed: int) -> dict[str, Any]:
    """Sentences that differ in the people they speak of only: the share of sets in which any label differs.

    Args:
        count: sets for each class.

    Returns:
        For each class: `sets`; `tied`: flips among the words that share an id and the largest difference of their
        logits, which is exactly 0; `all`: flips among all members, those of several words included.
    """
    made, rng = Grammar("check", read_classes()), np.random.default_rng(seed)
    out: dict[str, Any] = {}
    for word_class in read_classes():
        slot = "name" if word_class.name == NAMES else "member"
        if word_class.name not in ("origins", "religions", "orientations", NAMES):
            continue
        sentences: list[Sentence] = []
        while len(sentences) < count:
            sentence = made.sample(1, PEOPLE, rng)[0]
            if f"{{{slot}}}" in sentence.frame:
                sentences.append(sentence)
        out[word_class.name] = _swapped(model, made, sentences, word_class, rng)
    return out


def _swapped(
    model: Model, made: Grammar, sentences: Sequence[Sentence], word_class: WordClass, rng: np.random.Generator
) -> dict[str, Any]:
    tied = set(word_class.tied)
    flips, flips_of_tied, spread = 0, 0, 0.0
    own = [*word_class.swapped, *word_class.phrases]
    for sentence in sentences:
        # A sample of the tied ones: a test holds all of them.
        chosen = [*rng.choice(list(word_class.tied), 12, replace=False).tolist(), *own]
        texts = made.with_people(sentence, word_class.name, chosen)
        logits, positive = model.logits(texts), model.positive(texts)
        inside = np.array([word in tied for word in chosen])
        spread = max(spread, float(np.ptp(logits[inside])))
        flips_of_tied += len(set(positive[inside].tolist())) > 1
        flips += len(set(positive.tolist())) > 1
    return {
        "sets": len(sentences),
        "tied": {"flipped": flips_of_tied, "largest_difference": spread},
        "all": {"flipped": flips, "share": flips / len(sentences)},
        "not_tied": own,
    }
