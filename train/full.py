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
    """Settings of both stages. Some of fine-tuning differ from the default preset's, since it starts pre-trained.

    Args:
        fine_tunings: how many times to fine-tune, each time with a different order and dropout; the model's weights
            are the mean of all.
        pretraining: settings of the first stage.
    """

    epochs: int = 3
    fine_tunings: int = 3
    word_dropout: float = 0.05
    pretraining: pretrain.Recipe = field(default_factory=pretrain.Recipe)


def fit(
    recipe: Recipe, architecture: Architecture, data: Prepared, run: Run, pretrained: Path | None = None
) -> fine_tuning.Fitted:
    """Pre-trains, unless that has been done already, and fine-tunes.

    Validation reviews are not part of pre-training, not even without their labels.

    Args:
        pretrained: the `pretrained.npz` of an earlier run on the same data, to start from. Every run leaves one.

    Raises:
        InputError: the earlier run used different data, so that its words have different ids.
        OptionError: `fine_tunings` is below 1.
    """
    if recipe.fine_tunings < 1:
        raise OptionError(
            "the model is the mean of its fine-tunings, and there are none",
            expected="fine_tunings=1 or more",
            got=f"fine_tunings={recipe.fine_tunings}",
        )
    saved = run.directory / "pretrained.npz"
    if pretrained is None and not (run.resume and saved.exists()):
        texts = [*data.training.ids, *data.unlabelled]
        tensors = pretrain.pretrain(
            recipe.pretraining, architecture, data.counts, texts, data.validation.ids[:500], run
        )
        draft = saved.with_suffix(".draft.npz")
        np.savez(draft, vocabulary=np.array(data.vocabulary), counts=data.counts, **tensors)  # type: ignore[arg-type]
        draft.replace(saved)
    return fine_tuning.fit(recipe, architecture, data, run, _load(pretrained or saved, data), recipe.fine_tunings)


def _load(path: Path, data: Prepared) -> dict[str, Floats]:
    if not path.is_file():
        raise InputError(
            "the pre-trained tensors do not exist",
            where=str(path),
            expected="pretrained.npz, from the work directory of a run with --preset full",
            fix="check --pretrained, or leave it out to pre-train",
        )
    with np.load(path) as stored:
        same = stored["vocabulary"].tolist() == list(data.vocabulary) and (stored["counts"] == data.counts).all()
        if not same:
            raise InputError(
                "the pre-trained tensors are for other data",
                where=str(path),
                expected="the words of this data, with the same counts",
                fix="give the --data and --unlabelled of that run, or leave --pretrained out",
            )
        return {name: stored[name] for name in pretrain.TRAINED}
