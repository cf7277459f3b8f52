"""The full recipe: pre-training on all texts, labelled or not, then adversarial fine-tuning on the labelled ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from batch_scorer.errors import InputError, OptionError
from batch_scorer.models.network import Architecture, Floats
from train import fit as fine_tuning
from train import pretrain, trainer
from train.prepare import Prepared
from train.run import Run


@dataclass(frozen=True)
class Recipe(trainer.Recipe):
    """Settings of both stages; those of fine-tuning differ from the default preset's where words are known already.

    Args:
        fine_tunings: how often, each time in another order and with other dropout; the weights are the mean of them.
    """

    epochs: int = 3
    fine_tunings: int = 3
    word_dropout: float = 0.05
    pretraining: pretrain.Recipe = field(default_factory=pretrain.Recipe)


def fit(
    recipe: Recipe, architecture: Architecture, data: Prepared, run: Run, pretrained: Path | None = None
) -> fine_tuning.Fitted:
    """Pre-trains, unless that is done already, and fine-tunes.

    Validation reviews take no part in pre-training, not even without their labels.

    Args:
        pretrained: `pretrained.npz` of an earlier run on the same data, to start from. Every run leaves one.

    Raises:
        InputError: the earlier run was on other data: its words have other ids.
        OptionError: `fine_tunings` is below 1.
    """
    if recipe.fine_tunings < 1:
        raise OptionError("there is nothing to take the mean of", expected="fine_tunings=1 or more")
    kept = run.directory / "pretrained.npz"
    if pretrained is None and not (run.resume and kept.exists()):
        texts = [*data.training.ids, *data.unlabelled]
        tensors = pretrain.pretrain(
            recipe.pretraining, architecture, data.counts, texts, data.validation.ids[:500], run
        )
        draft = kept.with_suffix(".draft.npz")
        np.savez(draft, vocabulary=np.array(data.vocabulary), counts=data.counts, **tensors)  # type: ignore[arg-type]
        draft.replace(kept)
    return fine_tuning.fit(recipe, architecture, data, run, _load(pretrained or kept, data), recipe.fine_tunings)


def _load(path: Path, data: Prepared) -> dict[str, Floats]:
    if not path.is_file():
        raise InputError("there is no earlier pre-training", where=str(path), fix="give the pretrained.npz of a run")
    with np.load(path) as stored:
        same = stored["vocabulary"].tolist() == list(data.vocabulary) and (stored["counts"] == data.counts).all()
        if not same:
            raise InputError(
                "the earlier pre-training was on other data",
                where=str(path),
                expected="the words of this data, occurring as often",
                fix="give the same --data and --unlabelled, or leave --pretrained out",
            )
        return {name: stored[name] for name in pretrain.TRAINED}
