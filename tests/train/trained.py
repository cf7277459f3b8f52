"""A training that is over, without the time that it takes: real data, a small model of random weights, a real log."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batch_scorer.models.network import Architecture, forward
from tests.conftest import TINY, random_tensors
from train.data import Examples
from train.fit import Fitted
from train.metrics import metrics
from train.overview import Overview, overview
from train.page.write import write_page
from train.prepare import Prepared, Reading, from_texts
from train.publish import publish
from train.run import FINE_TUNING, Run
from train.trainer import Recipe

TEMPERATURE = 1.7


@dataclass(frozen=True)
class Trained:
    """A finished training: its data, its result, and where its model and its work directory are."""

    data: Prepared
    fitted: Fitted
    seen: Overview
    run: Run
    output: Path

    def page(self) -> str:
        """Writes `training.html`, and returns it."""
        said = list[str]()
        settings = {"data": ("reviews.csv",), "recipe": dataclasses.asdict(Recipe())}
        write_page(self.output, self.run, self.data, self.fitted, self.seen, settings, said.append)
        assert [f"what the training has led to, with texts of reviews: {self.run.directory / 'training.html'}"] == said
        return (self.run.directory / "training.html").read_text(encoding="utf-8")


def examples(texts: Sequence[str], labels: Sequence[int], ids: Sequence[str] = ()) -> Examples:
    """Labelled reviews; without ids of their own, they are numbered."""
    return Examples(tuple(ids or map(str, range(len(texts)))), tuple(texts), np.array(labels, np.int8))


def trained(directory: Path, reviews: Examples, held_out: Examples, name: str = "reviews") -> Trained:
    """The training on `reviews` that `held_out` were held out of."""
    reading = Reading(TINY.max_words, TINY.max_length)
    data = from_texts(reviews.with_validation(held_out), 0.1, 200, reading)
    return finished(directory, data, dataclasses.replace(TINY, vocabulary_size=len(data.vocabulary)), name)


def finished(directory: Path, data: Prepared, architecture: Architecture, name: str = "reviews") -> Trained:
    """The training on `data` by a network of random weights, in two epochs."""
    tensors, side = random_tensors(architecture, seed=5), data.validation
    logits = side.pooled(np.array([forward(tensors, architecture, ids).logit for ids in side.ids]))
    fitted = Fitted(tensors, 2, TEMPERATURE, metrics(logits, side.labels, TEMPERATURE), logits)
    output = directory / "model"
    publish(output, name, architecture, data, fitted, Recipe())
    run = Run(directory / "model.work", False, {})
    for epoch in (1, 2):
        run.note(FINE_TUNING, epoch, 10 * epoch - 5, 0.7 / epoch)
        measures = {"training_loss": 0.6 / epoch, "temperature": TEMPERATURE, **fitted.validation}
        run.note(FINE_TUNING, epoch, 10 * epoch, 0.5 / epoch, measures)
    return Trained(data, fitted, overview(data), run, output)
