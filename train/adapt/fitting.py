"""Adapts a trained model to labelled texts of another kind: networks by fold, their mean, and how much of it to take.

Shapes: N labelled texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.calibration import Calibration
from batch_scorer.models.tokenizer import OOV, Tokenizer
from train.adapt.blend import SHARES, Correction, HeldOut, folds_of
from train.adapt.tuner import Recipe, Tuner, Weights, blended
from train.adapt.vocabulary import with_new_words
from train.data import Examples
from train.fit import Fitted
from train.material.mixture import labelled
from train.metrics import Doubles, metrics
from train.prepare import Encoded, encoded
from train.run import ADAPTING, Run, replace_arrays

CURVE = (0.25, 0.5)  # parts of the labels that networks are also fitted to


@dataclass(frozen=True)
class Adapted:
    """An adapted model, and what it is worth on labels that were not trained on.

    Args:
        fitted: the weights and their calibration.
        share: how much of the new weights there is in `fitted`.
        correction: what was done to bias and temperature.
        folds: which texts the networks were fitted to; all that follows is about those in `folds.measured`.
        before, after: logits over temperatures of these texts, by the model as it was, and by adapted ones.
        curve: the same as `after` by networks that were fitted to a part of the labels, by that part; NaN for the texts
            of other folds.
    """

    fitted: Fitted
    share: float
    correction: Correction
    folds: Folds
    before: Doubles
    after: Doubles
    curve: Mapping[float, Doubles]


@dataclass(frozen=True)
class Folds:
    """Which networks there are, and which texts each is fitted to.

    Args:
        of: int64[N], the fold of each text; -1 where it is trained on by all.
        networks: how many folds a network is fitted without.
    """

    of: npt.NDArray[np.int64]
    networks: int

    @staticmethod
    def make(recipe: Recipe, examples: Examples) -> Folds:
        """By the recipe; reviews given for validation are the only fold there is, and no network is fitted to them."""
        if examples.given is not None:
            return Folds(np.where(examples.given, 0, -1), 1)
        many = len(examples) >= recipe.many
        rarer = int(np.bincount(examples.labels, minlength=2).min())
        count = min(recipe.many_folds if many else recipe.folds, rarer)
        networks = min(recipe.many_networks if many else recipe.networks, count)
        return Folds(folds_of(examples.texts, examples.labels, count), networks)

    def held_out(self, network: int) -> npt.NDArray[np.bool_]:
        """bool[N]: the texts that a network is not fitted to."""
        return np.asarray(self.of == network)

    @property
    def given(self) -> npt.NDArray[np.bool_]:
        """bool[N]: the texts that no network is fitted to."""
        return self.held_out(0) if self.networks == 1 else np.zeros(len(self.of), np.bool_)

    @property
    def measured(self) -> npt.NDArray[np.bool_]:
        """bool[N]: the texts that some network is not fitted to."""
        return np.asarray((self.of >= 0) & (self.of < self.networks))


def adapt(
    recipe: Recipe,
    start: Artifact,
    tokenizer: Tokenizer,
    examples: Examples,
    folds: Folds,
    unlabelled: Sequence[str],
    run: Run,
) -> Adapted:
    """Fits the networks, takes their mean, and chooses how much of it the model takes.

    Args:
        tokenizer: the model's, with the grown vocabulary.
        unlabelled: further texts of the same kind, from which new words are learnt.
    """
    texts = encoded(examples, tokenizer)
    further = [tokenizer.ids(tokenizer.words(text)) for text in unlabelled]
    architecture = dataclasses.replace(start.architecture, vocabulary_size=len(tokenizer.vocabulary))
    embedding = with_new_words(start.tensors["embedding"], tokenizer, [*texts.ids, *further])
    tuner = Tuner(recipe, architecture, {**start.tensors, "embedding": embedding}, texts.ids)
    temperatures = start.temperatures(texts.n_ids, texts.oov_rate)
    networks = [_fitted(tuner, texts, ~folds.held_out(k), k, f"{ADAPTING} {k + 1}", run) for k in range(folds.networks)]
    held_out = _held_out(tuner, texts, networks, folds, temperatures)
    line, correction = held_out.choose()
    mean = {name: np.mean([network[name] for network in networks], axis=0) for name in tuner.start}
    tensors = tuner.expanded(blended(tuner.start, mean, SHARES[line]))
    tensors["head.bias"] = (tensors["head.bias"] + correction.shift).astype(np.float32)
    measured = folds.measured
    fitted = _calibrated(start, texts.subset(measured), tensors, held_out.logits[line] + correction.shift, correction)
    before = _unadapted(tuner, start, texts.subset(measured))
    curve = _curve(tuner, texts, folds, temperatures, run) if recipe.curve and folds.networks > 1 else {}
    return Adapted(fitted, SHARES[line], correction, folds, before, held_out.adapted(), curve)


def _unadapted(tuner: Tuner, start: Artifact, texts: Encoded) -> Doubles:
    """Logits over temperatures by the model as it was, which does not know the new words: float64[N]."""
    known = len(start.vocabulary)
    ids = [np.where(window < known, window, OOV) for window in texts.ids]
    texts = dataclasses.replace(texts, windows=dataclasses.replace(texts.windows, ids=ids))
    return texts.pooled(tuner.logits(tuner.start, ids)) / start.temperatures(texts.n_ids, texts.oov_rate)


def _fitted(tuner: Tuner, texts: Encoded, chosen: npt.NDArray[np.bool_], turn: int, stage: str, run: Run) -> Weights:
    """The network that is fitted to some of the texts; of a run that is resumed, the one that it has left."""
    path = run.directory / "checkpoints" / f"{stage.replace(' ', '-')}.npz"
    if run.resume and path.exists():
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}
    size = tuner.recipe.batch_size
    side = texts.subset(chosen)
    part = labelled(side, min(size, max(1, len(side) // 10)))
    losses: list[float] = []
    progress = run.progress(stage, 1, 1)

    def on_step(done: int, steps: int, loss: float) -> None:
        losses.append(loss)
        progress(done, steps, float(np.mean(losses[-50:])))

    weights = tuner.fit(part, turn, on_step)
    replace_arrays(path, weights)
    run.note(stage, 1, len(losses), losses[-1], {"training_loss": float(np.mean(losses[-50:])), "labels": len(side)})
    return weights


def _held_out(
    tuner: Tuner, texts: Encoded, networks: Sequence[Weights], folds: Folds, temperatures: Doubles
) -> HeldOut:
    """Each text by the network that was not fitted to it, with each share of the new weights."""
    measured = folds.measured
    logits = np.zeros((len(SHARES), len(texts)))
    for k, network in enumerate(networks):
        mine = folds.held_out(k)
        side = texts.subset(mine)
        for line, share in enumerate(SHARES):
            logits[line, mine] = side.pooled(tuner.logits(blended(tuner.start, network, share), side.ids))
    return HeldOut(logits[:, measured], temperatures[measured], texts.labels[measured], folds.of[measured])


def _curve(tuner: Tuner, texts: Encoded, folds: Folds, temperatures: Doubles, run: Run) -> dict[float, Doubles]:
    """Logits over temperatures by networks that were fitted to fewer labels, for the texts of the first folds."""
    few = Folds(folds.of, min(tuner.recipe.curve, folds.networks))
    out = {}
    for part in CURVE:
        networks = []
        for k in range(few.networks):
            others = np.flatnonzero(~few.held_out(k))
            drawn = np.random.default_rng((tuner.recipe.seed, k)).permutation(others)
            chosen = np.isin(np.arange(len(texts)), _both_labels(drawn, texts.labels, round(part * len(others))))
            stage = f"{ADAPTING} {k + 1} with {part:.0%}"
            networks.append(_fitted(tuner, texts, chosen, k, stage, run))
        values = np.full(len(texts), np.nan)
        values[few.measured] = _held_out(tuner, texts, networks, few, temperatures).adapted()
        out[part] = values[folds.measured]
    return out


def _both_labels(drawn: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], count: int) -> npt.NDArray[np.int64]:
    """The first `count` of `drawn`, or more if these have one label only."""
    first = [int(np.flatnonzero(labels[drawn] == label)[0]) for label in (0, 1)]
    return drawn[: max(count, 1 + max(first))]


def _calibrated(start: Artifact, texts: Encoded, tensors: Weights, logits: Doubles, correction: Correction) -> Fitted:
    """The weights with the temperatures of the model that they started from, times a factor."""
    calibration = start.calibration
    if calibration is not None:
        grid = np.clip(np.array(calibration.grid) * correction.scale, 1e-3, 1e3)
        lines = tuple(tuple(float(f"{t:.4g}") for t in line) for line in grid.tolist())
        calibration = Calibration(calibration.words, calibration.oov_rate, lines)
    temperature = start.temperature * correction.scale
    fitted = Fitted(tensors, 1, temperature, {}, logits, calibration)
    temperatures = fitted.temperatures(texts)
    quality = metrics(logits / temperatures, texts.labels, 1.0)
    return dataclasses.replace(fitted, temperature=float(np.median(temperatures)), validation=quality)
