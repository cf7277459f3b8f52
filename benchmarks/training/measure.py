"""Different ways to train on the same reviews, each as a side that runs an epoch, and the time that its epochs take.

The sides take turns in each round, in rotating order, so that a slow minute of the machine affects all of them; ratios
are taken within a round. Shapes: N reviews.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import keras
import numpy as np
import numpy.typing as npt

from batch_scorer.models.keras_model import ReviewClassifier, notebook_network
from batch_scorer.models.network import Architecture
from train import notebook, pretrain
from train.data import Ids, bucketed_batches, pad
from train.fit import labelled_alone
from train.prepare import Encoded, Prepared
from train.trainer import Recipe, Trainer

EPOCH_REVIEWS = 25_000  # reviews per epoch that times are extrapolated to
Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """A way to train.

    Args:
        padding: share of ids that are padding, in an epoch of all reviews.
        padding_timed: the same for the timed reviews only; larger pools make buckets with less padding.
        run: does one pass over the timed reviews, given its number from 0.
    """

    name: str
    batch_size: int
    padding: float
    padding_timed: float
    run: Callable[[int], None]


@dataclass(frozen=True)
class Timing:
    """The times of a side: medians over the rounds, with minimum and maximum.

    Args:
        seconds: of an epoch of `EPOCH_REVIEWS` reviews, extrapolated.
        ratio: its time relative to the first side's in the same round.
    """

    name: str
    batch_size: int
    padding: float
    padding_timed: float
    seconds: float
    seconds_low: float
    seconds_high: float
    ratio: float
    ratio_low: float
    ratio_high: float


def sample(side: Encoded, chosen: npt.NDArray[np.intp]) -> Encoded:
    """The reviews with the indices `chosen`."""
    ids = [side.ids[i] for i in chosen]
    return Encoded.one_each(ids, side.labels[chosen], side.n_tokens[chosen])


def notebook_side(data: Prepared, timed: Encoded, architecture: Architecture, recipe: notebook.Recipe) -> Side:
    """The notebook's network, trained by `keras.Model.fit` on reviews that are all padded to `max_length`."""
    keras.utils.set_random_seed(recipe.seed)
    network = notebook_network(architecture, recipe.dropout)
    optimizer = keras.optimizers.Adam(recipe.learning_rate, clipnorm=recipe.clip_norm)
    network.compile(optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    ids, labels = pad(timed.ids, architecture.max_length), timed.labels.astype(np.float32)

    def run(number: int) -> None:
        network.fit(ids, labels, batch_size=recipe.batch_size, epochs=1, verbose=0)

    padding, padding_timed = (
        float(1 - lengths_of(side.ids).mean() / architecture.max_length) for side in (data.training, timed)
    )
    return Side("notebook", recipe.batch_size, padding, padding_timed, run)


class KerasTrainer(Trainer):
    """The same steps with the loops of Keras' LSTM."""

    network_type = ReviewClassifier


def trainer_side(
    name: str,
    data: Prepared,
    timed: Encoded,
    architecture: Architecture,
    recipe: Recipe,
    passes: int,
    trainer_type: type[Trainer] = Trainer,
) -> Side:
    """The steps of `--preset default`, which are also those of the full preset's fine-tuning.

    Args:
        passes: how many times it will run, so that the learning rate does not reach its end earlier.
    """
    parts = labelled_alone(timed, recipe)
    steps = sum(part.steps for part in parts(0))
    trainer = trainer_type(replace(recipe, epochs=passes), architecture, data.counts, steps)
    return Side(
        name,
        recipe.batch_size,
        *_padding(data, timed, recipe.batch_size),
        lambda number: _exhaust(trainer.train_epoch(number, parts(number))),
    )


def pretraining_side(
    data: Prepared, timed: Encoded, architecture: Architecture, recipe: pretrain.Recipe, passes: int
) -> Side:
    """The steps of the full preset's pre-training: both directions as language models, on the same texts."""
    steps = math.ceil(len(timed) / recipe.batch_size)
    models = pretrain.LanguageModels(replace(recipe, epochs=passes), architecture, data.counts, steps)
    return Side(
        "pre-training",
        recipe.batch_size,
        *_padding(data, timed, recipe.batch_size),
        lambda number: _exhaust(models.train_epoch(number, timed.ids, 0)),
    )


def lengths_of(encoded: Sequence[Ids]) -> Lengths:
    """Number of ids in each review: int64[N]."""
    return np.array([len(ids) for ids in encoded], np.int64)


def padding_share(lengths: Lengths, batches: Iterable[npt.NDArray[np.int64]]) -> float:
    """Share of ids that are padding if each of the `batches` is padded to its longest review."""
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in batches)
    return 1 - int(lengths.sum()) / padded


def time_rounds(
    sides: Sequence[Side], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Runs all `sides` in turn, once to warm up and then `rounds` times; returns the seconds of each side's passes.

    The warm-up builds the graphs and allocates memory for the longest batches; it does not count.
    """
    for side in sides:
        side.run(0)
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(1, rounds + 1):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            start = clock()
            side.run(number)
            seconds[side.name].append(clock() - start)
    return seconds


def timings(sides: Sequence[Side], seconds: dict[str, list[float]], reviews: int) -> list[Timing]:
    """The times of each side, with its ratio to the first.

    Args:
        seconds: of each pass of each side.
        reviews: in a timed pass.
    """
    lines = []
    for side in sides:
        epochs = [taken * EPOCH_REVIEWS / reviews for taken in seconds[side.name]]
        ratios = [own / first for own, first in zip(seconds[side.name], seconds[sides[0].name], strict=True)]
        spread = (median(epochs), min(epochs), max(epochs), median(ratios), min(ratios), max(ratios))
        lines.append(Timing(side.name, side.batch_size, side.padding, side.padding_timed, *spread))
    return lines


def _exhaust(losses: Iterable[float]) -> None:
    """Takes every step of an epoch."""
    deque(losses, maxlen=0)


def _padding(data: Prepared, timed: Encoded, batch_size: int) -> tuple[float, float]:
    """Padding of length-bucketed batches, for all training reviews and for the timed ones."""
    padding, padding_timed = (
        padding_share(lengths, bucketed_batches(lengths, batch_size, np.random.default_rng(0)))
        for lengths in (lengths_of(data.training.ids), lengths_of(timed.ids))
    )
    return padding, padding_timed
