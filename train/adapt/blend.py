"""How much of the new weights to take, and how sure the result may be: chosen on labels that were not trained on.

Shapes: N texts, S shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from train.metrics import Doubles, log_losses

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
SHIFT_SPREAD, SCALE_SPREAD = 2.0, 1.0  # what is to be expected of a new kind of text: see `Correction.fit`
SCALE_LIMITS = 0.05, 20.0


@dataclass(frozen=True)
class Correction:
    """What is added to a logit, and what its temperature is multiplied by.

    ``p = sigmoid((logit + shift) / (scale * temperature))``

    Args:
        shift: says how much more often one label occurs than where the model comes from; it goes into the bias.
        scale: how much less sure the model may be.
    """

    shift: float = 0.0
    scale: float = 1.0

    def apply(self, logits: Doubles, temperatures: Doubles) -> Doubles:
        """Corrected logits, divided by their temperatures: float64[N]."""
        return (logits + self.shift) / (self.scale * temperatures)

    @staticmethod
    def fit(logits: Doubles, temperatures: Doubles, labels: npt.NDArray[np.integer]) -> Correction:
        """The most probable correction, given labels and a prior by which there is nothing to correct.

        Before any label is seen, `shift` is normal with a standard deviation of `SHIFT_SPREAD`, and ``log scale`` with
        one of `SCALE_SPREAD`: a few labels change little, a few hundred say it all. With the temperature alone this is
        temperature scaling (Guo et al. 2017, section 4.2); with the shift, Platt scaling (Platt 1999).

        Args:
            logits, temperatures: float64[N].
            labels: int[N], 0 or 1.
        """
        from scipy.optimize import minimize

        z, t, y = logits, temperatures, labels.astype(np.float64)

        def loss(at: Doubles) -> tuple[float, Doubles]:
            shift, scale = float(at[0]), math.exp(float(at[1]))
            corrected = (z + shift) / (scale * t)
            slope = 0.5 + 0.5 * np.tanh(0.5 * corrected) - y
            prior = (at / (SHIFT_SPREAD, SCALE_SPREAD)) ** 2
            gradient = np.array([np.sum(slope / (scale * t)), -np.sum(slope * corrected)])
            gradient += at / np.square((SHIFT_SPREAD, SCALE_SPREAD))
            return float(np.sum(np.logaddexp(0, corrected) - y * corrected) + prior.sum() / 2), gradient

        bounds = [(None, None), tuple(map(math.log, SCALE_LIMITS))]
        shift, log_scale = minimize(loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds).x
        return Correction(float(shift), math.exp(float(log_scale)))


@dataclass(frozen=True)
class HeldOut:
    """N texts, each scored by a network that was not fitted to it, with several shares of the new weights.

    Args:
        logits: float64[S, N], one line a share, in the order of `SHARES`.
        temperatures: float64[N], of the model that the networks started from.
        labels: int8[N].
        fold: int64[N], by which network.
    """

    logits: Doubles
    temperatures: Doubles
    labels: npt.NDArray[np.int8]
    fold: npt.NDArray[np.int64]

    def choose(self, rows: npt.NDArray[np.bool_] | None = None) -> tuple[int, Correction]:
        """The line of `logits` with the lowest loss once it is corrected, and its correction.

        Args:
            rows: bool[N], the texts to choose by; all by default.
        """
        chosen = np.ones(len(self.labels), np.bool_) if rows is None else rows
        t, y = self.temperatures[chosen], self.labels[chosen]
        corrections = [Correction.fit(z[chosen], t, y) for z in self.logits]
        losses = [
            log_losses(correction.apply(z[chosen], t), y).mean()
            for z, correction in zip(self.logits, corrections, strict=True)
        ]
        best = int(np.argmin(losses))
        return best, corrections[best]

    def adapted(self) -> Doubles:
        """Logits over temperatures as an adapted model would give them to texts that it has not seen: float64[N].

        For the texts of each fold, share and correction are chosen by those of the others, so that a label has no part
        in its own prediction. With one fold alone they are chosen by its halves, each for the other.
        """
        folds = self.fold if len(set(self.fold.tolist())) > 1 else np.arange(len(self.labels)) % 2
        out = np.empty(len(self.labels))
        for fold in set(folds.tolist()):
            mine = folds == fold
            line, correction = self.choose(~mine)
            out[mine] = correction.apply(self.logits[line][mine], self.temperatures[mine])
        return out


def folds_of(texts: Sequence[str], labels: npt.NDArray[np.int8], count: int) -> npt.NDArray[np.int64]:
    """Divides texts into `count` folds, each with its share of either label; equal texts are in the same: int64[N].

    Args:
        labels: int8[N], 0 or 1.

    Example:
        >>> folds_of(["a", "b", "a", "c", "d"], np.array([1, 0, 1, 1, 0], np.int8), 2).tolist()
        [1, 1, 1, 0, 0]
    """
    first: dict[str, int] = {}
    for text, label in zip(texts, labels.tolist(), strict=True):
        first.setdefault(text, label)
    order = sorted(first, key=lambda text: (first[text], sha256(text.encode("utf-8", "surrogatepass")).digest()))
    fold = {text: place % count for place, text in enumerate(order)}
    return np.array([fold[text] for text in texts], np.int64)
