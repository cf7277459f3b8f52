"""Texts with the probabilities that a model gave them where it was made: they tell which reading of it is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from batch_scorer.config import InputConfig
from batch_scorer.errors import InputError
from batch_scorer.models.cells import sigmoid
from batch_scorer.models.network import forward
from batch_scorer.scoring.inputs import LABEL, open_inputs
from train.importing.network import Network
from train.importing.readings import Reading

TOLERANCE = 1e-4  # of a probability that was written with four digits or more
CLEARLY = 10.0  # times the error of the best: what is not off by more is not told apart
TEXTS = 100  # that are compared at most
_SHOWN = 8  # readings, in a message

_T = TypeVar("_T")


@dataclass(frozen=True)
class Expected:
    """N texts and their probabilities."""

    where: str
    texts: Sequence[str]
    probabilities: Sequence[float]


def read_expected(path: str, text_column: str = "text", column: str = "probability") -> Expected:
    """Reads texts and probabilities from any file that `score` reads, with columns `text` and `probability`.

    Raises:
        InputError: the file or a column is missing, or a probability is none.
    """
    texts, values = list[str](), list[float]()
    for chunk in open_inputs(InputConfig((path,), text_column=text_column), column):
        for text, value in zip(chunk.texts, chunk.reviews[LABEL].to_pylist(), strict=True):
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = math.nan
            if not 0 <= number <= 1:
                raise InputError(
                    "a probability is none",
                    where=f"{path}, column {column}",
                    expected="a number from 0 to 1, as model.predict gives it",
                    got=f"{value!r:.60}",
                    fix="write what model.predict returns for each text",
                )
            texts.append(text)
            values.append(number)
            if len(texts) == TEXTS:
                return Expected(path, texts, values)
    if not texts:
        raise InputError("there are no texts to compare", where=path, expected="texts with their probabilities",
                         got="none", fix="give a few texts of different lengths")  # fmt: skip
    return Expected(path, texts, values)


@dataclass(frozen=True)
class Fit(Generic[_T]):
    """A reading and how far its probabilities are from the expected ones, at most."""

    reading: Reading[_T]
    error: float


def probability_of(network: Network, text: str) -> float:
    """P(positive) of a text, in float64."""
    ids = network.tokenizer.ids(network.tokenizer.words(text))
    with np.errstate(over="ignore", invalid="ignore"):  # relu gates have no upper bound
        return float(sigmoid(np.array(forward(network.tensors, network.architecture, ids).logit)))


def fit(readings: Sequence[Reading[Network]], expected: Expected) -> Fit[Network]:
    """The reading whose probabilities are the expected ones.

    Raises:
        InputError: none is, or several are and the texts do not tell them apart.
    """
    fits = [Fit(reading, _error(reading.model, expected)) for reading in readings]
    fits.sort(key=lambda x: x.error)
    best = fits[0]
    if not best.error <= TOLERANCE:
        raise InputError(
            "no reading of the model gives the expected probabilities",
            where=expected.where,
            expected=f"probabilities within {TOLERANCE:g}",
            got=_listed([x.reading for x in fits], [f"{x.error:.2g} off" for x in fits]),
            fix="check --word-index, --max-length, --padding and --truncating, and that the texts are unchanged",
        )
    close = [x for x in fits if x.error <= max(CLEARLY * best.error, 1e-7) and x.error <= TOLERANCE]
    usual = [x for x in close if not x.reading.is_further]
    if len(close) > 1 and len(usual) != 1:
        raise InputError(
            "the expected probabilities do not tell the readings apart",
            where=expected.where,
            expected="one reading that fits",
            got=_listed([x.reading for x in close]),
            fix="give more texts, of different lengths, some of them longer than the model reads",
        )
    return usual[0] if usual else best


def _error(network: Network, expected: Expected) -> float:
    """The largest difference, or the first that is too large."""
    worst = 0.0
    for text, probability in zip(expected.texts, expected.probabilities, strict=True):
        off = abs(probability_of(network, text) - probability)
        if not off <= TOLERANCE:  # NaN is not
            return off if off > 0 else math.inf
        worst = max(worst, off)
    return worst


def _listed(readings: Sequence[Reading[Network]], notes: Sequence[str] = ()) -> str:
    """Readings by number, each with what is not the same in all of them."""
    same = set(readings[0].choices).intersection(*(reading.choices for reading in readings[1:]))
    lines = []
    for number, reading in enumerate(readings[:_SHOWN], 1):
        own = [choice for choice in reading.choices if choice not in same]
        told = "; ".join(f"{choice.about}: {choice.taken}" for choice in own) or "as it is written"
        lines.append(f"({number}) {told}" + (f", {notes[number - 1]}" if notes else ""))
    more = f" and {len(readings) - _SHOWN:,} more" if len(readings) > _SHOWN else ""
    return ", or ".join(lines) + more


def refused(readings: Sequence[Reading[Network]]) -> InputError:
    """What to say of a model that can be read in several ways, without expected probabilities."""
    usual = [reading for reading in readings if not reading.is_further]
    return InputError(
        "the model can be read in several ways",
        where="the weights and the configuration",
        expected="one way",
        got=_listed(usual),
        fix="give --expected FILE with columns text and probability, of a few texts as model.predict scored them",
    )
