"""All that a student is fine-tuned on, part by part: labelled reviews, soft labels, rewritten reviews, short texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.cells import sigmoid
from batch_scorer.models.subwords import SubwordTokenizer
from train.data import Ids
from train.material.counterfactual import Rewritten
from train.material.crops import crops
from train.material.grammar import Grammar, Sentence
from train.material.parts import Part, Parts
from train.material.word_classes import read_classes
from train.prepare import Encoded, Prepared

# How many sentences of each kind. As many are affirmed as negated, or a network takes the form for the negation.
KINDS = {"plain": 8, "negation": 4, "far": 4, "change": 2, "question": 2, "identity": 6, "neutral": 6, "facts": 8}

KNOWN = 0.7  # of the words of English sentences, to a model of English; those of other languages know a third or less


@dataclass(frozen=True)
class Recipe:
    """How much of each part an epoch has. A part without texts is left out.

    Args:
        labelled: labelled reviews in an epoch, drawn for each; by default all that IMDB has, in all their windows.
        adversarial: share of the labelled reviews, drawn for each epoch, that are learnt adversarially as well, which
            doubles their time; rewritten reviews and passages all are.
        teacher_share: how much of a labelled review's target is the teacher's, the rest being its label.
        unlabelled: texts without labels in an epoch, with the teacher's label.
        unlabelled_words: how many of their last words are read, which saves time.
        rewritten: how often an epoch has each rewritten review.
        passages: how often an epoch has each passage in which a rewritten review differs from its original.
        crops: crops of texts without labels in an epoch, with the teacher's label of the crop.
        sentences: sentences made by grammar in an epoch; new ones are made for each. They are English: a model of
            pieces that does not know these words is not trained on them.
        short_weight: weight of a crop, a passage or a sentence in the loss; that of a review is 1.
    """

    labelled: int = 50_000
    adversarial: float = 1.0
    teacher_share: float = 0.5
    unlabelled: int = 25_000
    unlabelled_words: int = 256
    rewritten: int = 3
    passages: int = 1
    crops: int = 10_000
    sentences: int = 16_000
    short_weight: float = 1.0


@dataclass(frozen=True)
class Soft:
    """A teacher's logits, calibrated.

    Args:
        training: float64[N], of the training reviews, from members that were not trained on them.
        unlabelled: float64[U], of the texts without labels.
        crops: float64[C], of `crops_of` those texts.
    """

    training: npt.NDArray[np.float64]
    unlabelled: npt.NDArray[np.float64]
    crops: npt.NDArray[np.float64]


def crops_of(data: Prepared) -> list[str]:
    """The crops of the texts without labels, always the same ones."""
    return crops(data.unlabelled, seed=0)[0]


def labelled(side: Encoded, batch_size: int, soft: npt.NDArray[np.float64] | None = None, share: float = 0.0) -> Part:
    """Labelled reviews as a part, window by window, each window weighing as much as its share of the review.

    Args:
        soft: float64[N], logits to mix into the labels.
        share: how much of a target these are.
    """
    targets = side.labels.astype(np.float64)
    if soft is not None:
        targets = (1 - share) * targets + share * sigmoid(soft)
    return _part("labelled", side.ids, targets[side.windows.review], batch_size, True, side.windows.share)


def mixture(
    recipe: Recipe, data: Prepared, soft: Soft | None, rewritten: Rewritten | None, batch_size: int, seed: int
) -> Parts:
    """The parts of each epoch.

    Args:
        batch_size: reviews per step.
        seed: of what is drawn for each epoch.
    """
    weight = recipe.short_weight
    reviews = labelled(data.training, batch_size, soft.training if soft else None, recipe.teacher_share)
    fixed: list[Part] = []
    drawn: list[tuple[Part, int]] = []
    if rewritten:
        again = _examples("rewritten", data, rewritten.training.texts, rewritten.training.labels, batch_size, 1.0)
        fixed += [again] * recipe.rewritten
        changed = _examples("passages", data, rewritten.passages.texts, rewritten.passages.labels, batch_size, weight)
        fixed += [changed] * recipe.passages
    if soft:
        texts = [_last(ids, recipe.unlabelled_words) for ids in data.encode(data.unlabelled)]
        drawn.append((_part("unlabelled", texts, sigmoid(soft.unlabelled), 2 * batch_size), recipe.unlabelled))
        cropped = data.encode(crops_of(data))
        drawn.append((_part("crops", cropped, sigmoid(soft.crops), batch_size, weights=weight), recipe.crops))
    grammar = Grammar("train", read_classes()) if recipe.sentences and knows_english(data) else None

    def parts(epoch: int) -> Sequence[Part]:
        rng = np.random.default_rng((seed, 3, epoch))
        out = [
            *reviews.sample(recipe.labelled, rng).divided(recipe.adversarial, rng),
            *fixed,
            *(part.sample(count, rng) for part, count in drawn),
        ]
        if grammar:
            out.append(made(data, grammar.sample(recipe.sentences, KINDS, rng), batch_size, weight))
        return [part for part in out if len(part)]

    return parts


def knows_english(data: Prepared) -> bool:
    """Whether sentences of the grammar, which are English, are worth training on.

    A model whose ids are pieces may be of any language, and can spell English in nearly any: it knows it if most words
    of such sentences are single pieces.
    """
    if not isinstance(data.tokenizer, SubwordTokenizer):
        return True
    sentences = Grammar("train", read_classes()).sample(200, KINDS, np.random.default_rng(0))
    sizes = [len(data.tokenizer.pieces(word)) for s in sentences for word in data.tokenizer.words(s.text)]
    return float(np.mean(np.array(sizes) == 1)) > KNOWN


def made(data: Prepared, sentences: Sequence[Sentence], batch_size: int, weight: float) -> Part:
    """Sentences made by grammar as a part."""
    targets = np.array([sentence.target for sentence in sentences])
    ids = data.encode([sentence.text for sentence in sentences])
    return _part("sentences", ids, targets, batch_size, weights=weight)


def _last(ids: Ids, words: int) -> Ids:
    return ids if len(ids) <= 1 + words else np.concatenate([ids[:1], ids[-words:]])


def _examples(
    name: str, data: Prepared, texts: Sequence[str], labels: npt.NDArray[np.int8], batch_size: int, weight: float
) -> Part:
    return _part(name, data.encode(texts), labels, batch_size, True, weight)


def _part(
    name: str,
    ids: Sequence[Ids],
    targets: npt.NDArray[np.generic],
    batch_size: int,
    adversarial: bool = False,
    weights: npt.NDArray[np.float64] | float = 1.0,
) -> Part:
    return Part(
        name,
        ids,
        targets.astype(np.float32),
        np.broadcast_to(np.float32(weights), len(ids)).copy(),
        batch_size,
        adversarial,
    )
