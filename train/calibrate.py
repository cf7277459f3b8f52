"""A temperature that depends on how much there is to read: fitted to short texts and whole reviews that are held out.

A network trained on whole reviews may be too sure of a sentence, and of a text full of words that it does not know.
The short texts are passages that people rewrote to turn the sentiment: like a text that is short as a whole, they say
what is meant. Where there are too few of them they are crops of reviews, many of which say nothing, so that the model
becomes less sure than it may be. Words are replaced by the unknown one at random, so that the shares of unknown words
of other domains are covered too. Shapes: N texts, W bins by words, S bins by the share of unknown words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from batch_scorer.models.calibration import Calibration
from batch_scorer.models.tokenizer import OOV, START
from train.data import Ids
from train.metrics import fit_temperature
from train.prepare import Encoded

Doubles = npt.NDArray[np.float64]

WORDS = (1, 8, 16, 32, 64, 128, 256)
OOV_RATES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
FEWEST_PASSAGES = 200  # for a few temperatures
CROPPED_TO = (4, 8, 12, 20, 32, 48)  # words; a longer crop gives away less than a review of its length
DROPPED = (0.0, 0.1, 0.2, 0.35)  # shares of words replaced; with those that are unknown already, all bins are covered
LIMITS = 0.05, 20.0  # of any temperature: a network that has learnt nothing would have none
RIDGE = 1e-4  # keeps a step of the temperature at zero where the data say nothing


def calibrate(
    validation: Encoded,
    logits_of: Callable[[Sequence[Ids]], npt.NDArray[np.floating]],
    seed: int,
    passages: Encoded | None = None,
) -> Calibration:
    """The calibration of a model.

    Args:
        validation: the reviews that the model was not trained on.
        logits_of: int32[n] of N texts -> float[N], the model's logits.
        seed: of crops and replaced words.
        passages: short texts that it was not trained on either. Fewer than `FEWEST_PASSAGES` count as none.
    """
    texts, labels = samples(validation, np.random.default_rng(seed), passages)
    n_used = np.array([len(ids) - 1 for ids in texts])
    unknown = np.array([np.count_nonzero(ids == OOV) for ids in texts])
    return fit(logits_of(texts), labels, n_used, unknown / n_used)


def samples(
    validation: Encoded, rng: np.random.Generator, passages: Encoded | None = None
) -> tuple[list[Ids], npt.NDArray[np.int8]]:
    """Windows of the reviews, and passages or crops of the windows: texts and labels.

    Each has one of the shares of its words replaced, drawn at random.
    """
    texts: list[Ids] = []
    labels = []

    def add(words: Ids, label: int) -> None:
        known = words.copy()
        known[rng.random(len(words)) < rng.choice(DROPPED)] = OOV
        texts.append(np.concatenate([[START], known]).astype(np.int32))
        labels.append(label)

    shorter = passages if passages is not None and len(passages) >= FEWEST_PASSAGES else None
    for words, label in _windows(validation):
        for length in CROPPED_TO if shorter is None else ():
            if length <= len(words):
                first = int(rng.integers(0, len(words) - length + 1))
                add(words[first : first + length], label)
        add(words, label)
    for words, label in _windows(shorter) if shorter is not None else ():
        add(words, label)
    return texts, np.array(labels, np.int8)


def _windows(side: Encoded) -> Iterator[tuple[Ids, int]]:
    """The words of each window, of those that have any, and the label of the review."""
    for window, row in zip(side.ids, side.windows.review.tolist(), strict=True):
        words = window[window != START]
        if len(words):
            yield words, int(side.labels[row])


def fit(
    logits: npt.NDArray[np.floating], labels: npt.NDArray[np.int8], n_used: npt.NDArray[np.int64], oov_rate: Doubles
) -> Calibration:
    """The temperatures that minimise the negative log-likelihood, on the grid of `WORDS` and `OOV_RATES`.

    ``log T = base + shorter + unknown``, where `shorter` never falls as texts get shorter, and `unknown` never falls as
    more of their words are unknown: each is a sum of steps that are at least zero. So a bin with few texts leans on the
    others of its row and its column.

    Args:
        logits: float[N].
        labels: int8[N], 1 for positive.
        n_used: int64[N], words read.
        oov_rate: float64[N], the share of them that are unknown.
    """
    from scipy.optimize import minimize

    z, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    row = np.searchsorted(WORDS, n_used, side="right") - 1
    column = np.searchsorted(OOV_RATES, oov_rate.astype(np.float32).astype(np.float64), side="right") - 1
    # Step i of `shorter` counts for all rows up to i, step j of `unknown` for all columns from j + 1.
    shorter = np.arange(len(WORDS))[:, None] <= np.arange(len(WORDS) - 1)[None, :]  # [W, W - 1]
    unknown = np.arange(len(OOV_RATES))[:, None] > np.arange(len(OOV_RATES) - 1)[None, :]  # [S, S - 1]
    design = np.concatenate([np.ones((len(z), 1)), shorter[row], unknown[column]], axis=1).astype(np.float64)

    def loss(steps: Doubles) -> tuple[float, Doubles]:
        scaled = z * np.exp(-(design @ steps))
        slope = (0.5 + 0.5 * np.tanh(0.5 * scaled) - y) * -scaled  # by log T
        value = np.mean(np.logaddexp(0, scaled) - y * scaled) + RIDGE * np.sum(steps[1:] ** 2)
        gradient = slope @ design / len(z)
        gradient[1:] += 2 * RIDGE * steps[1:]
        return float(value), gradient

    low, high = (float(np.log(limit)) for limit in LIMITS)
    start = np.zeros(design.shape[1])
    start[0] = np.clip(np.log(fit_temperature(z, labels)), low, high)
    bounds = [(low, high)] + [(0.0, high)] * (len(start) - 1)
    steps = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    grid = np.exp(steps[0] + (shorter @ steps[1 : len(WORDS)])[:, None] + (unknown @ steps[len(WORDS) :])[None, :])
    grid = np.clip(grid, *LIMITS)
    return Calibration(WORDS, OOV_RATES, tuple(tuple(float(f"{t:.4g}") for t in line) for line in grid))
