"""The ways to get a classifier for a new kind of text: each takes labels and gives its log odds for other texts.

Shapes: N texts to predict.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from batch_scorer.models.artifact import SHIPPED, Artifact, load
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import MAX_IDS, MAX_WORDS
from train import fit, trainer
from train.adapt.blend import folds_of
from train.adapt.fitting import Folds, adapt
from train.adapt.table import linear_model
from train.adapt.tuner import Recipe
from train.adapt.vocabulary import grown
from train.data import Examples
from train.metrics import Doubles, fit_temperature
from train.nbsvm import Settings, counter_of, weights_of
from train.network import predictor
from train.prepare import encoded, from_texts
from train.reading import Reading
from train.run import Run

Way = Callable[[Examples, Sequence[str], int], Doubles]  # labels, texts to predict, seed -> log odds, float64[N]

FOLDS = 5
VALIDATION_SHARE = 0.2  # of a training from nothing: a tenth of 50 labels would be too few to choose an epoch by


def shipped(examples: Examples, texts: Sequence[str], seed: int) -> Doubles:
    """The shipped model as it is, which looks at no label."""
    model = load(SHIPPED)
    side = encoded(_unlabelled(texts), model.tokenizer)
    temperatures = model.temperatures(side.n_ids, side.oov_rate)
    return side.pooled(predictor(model.architecture, model.tensors)(side.ids)) / temperatures


def adapted(examples: Examples, texts: Sequence[str], seed: int) -> Doubles:
    """The shipped model, adapted as `python -m train --start-from shipped` does."""
    start: Artifact = load(SHIPPED)
    recipe = Recipe(curve=0, seed=seed)
    tokenizer = grown(start.tokenizer, examples.texts, recipe.new_words, recipe.least_count)
    with tempfile.TemporaryDirectory() as work:
        run = Run(Path(work) / "work", False, {})
        fitted = adapt(recipe, start, tokenizer, examples, Folds.make(recipe, examples), [], run).fitted
    architecture = dataclasses.replace(start.architecture, vocabulary_size=len(tokenizer.vocabulary))
    side = encoded(_unlabelled(texts), tokenizer)
    return side.pooled(predictor(architecture, fitted.tensors)(side.ids)) / fitted.temperatures(side)


def from_nothing(examples: Examples, texts: Sequence[str], seed: int) -> Doubles:
    """A network of the same kind, trained on the labels alone as `python -m train` does."""
    recipe = trainer.Recipe(validation_share=VALIDATION_SHARE, seed=seed)
    data = from_texts(examples, VALIDATION_SHARE, recipe.vocabulary_size, Reading(MAX_WORDS, MAX_IDS))
    architecture = Architecture(len(data.vocabulary))
    with tempfile.TemporaryDirectory() as work:
        fitted = fit.fit(recipe, architecture, data, Run(Path(work) / "work", False, {}))
    side = encoded(_unlabelled(texts), data.tokenizer)
    return side.pooled(predictor(architecture, fitted.tensors)(side.ids)) / fitted.temperature


def nbsvm(examples: Examples, texts: Sequence[str], seed: int) -> Doubles:
    """NBSVM with its settings for IMDB reviews, and a temperature from cross-validation."""
    settings = Settings()
    labels = examples.labels.astype(np.int64)
    counter = counter_of(settings.longest)
    counts = counter.fit_transform(examples.texts)
    held_out = np.empty(len(labels))
    count = min(FOLDS, int(np.bincount(labels).min()))
    fold = folds_of(examples.texts, examples.labels, count)
    for mine in (fold == k for k in range(count)):
        weights, bias = weights_of(counts[~mine], labels[~mine], settings)
        held_out[mine] = counts[mine] @ weights + bias
    weights, bias = weights_of(counts, labels, settings)
    return np.asarray((counter.transform(texts) @ weights + bias) / fit_temperature(held_out, labels), np.float64)


def tf_idf(examples: Examples, texts: Sequence[str], seed: int) -> Doubles:
    """TF-IDF of words and pairs of words with a logistic regression, its regularisation from cross-validation."""
    return np.asarray(linear_model(examples.texts, examples.labels).decision_function(texts), np.float64)


WAYS: dict[str, Way] = {
    "shipped": shipped,
    "adapted": adapted,
    "from nothing": from_nothing,
    "NBSVM": nbsvm,
    "TF-IDF": tf_idf,
}


def _unlabelled(texts: Sequence[str]) -> Examples:
    return Examples(tuple(map(str, range(len(texts)))), tuple(texts), np.zeros(len(texts), np.int8))
