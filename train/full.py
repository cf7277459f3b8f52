"""The full recipe: pre-training on all texts, labelled or not, then adversarial fine-tuning on the labelled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from batch_scorer.model import Architecture
from train import fit as fine_tuning
from train import pretrain
from train.prepare import Prepared


@dataclass(frozen=True)
class Recipe(fine_tuning.Recipe):
    """Settings of both stages; those of fine-tuning differ from the default preset's where words are known already."""

    epochs: int = 3
    word_dropout: float = 0.05
    pretraining: pretrain.Recipe = field(default_factory=pretrain.Recipe)


def fit(
    recipe: Recipe,
    architecture: Architecture,
    data: Prepared,
    work: Path,
    resume: bool,
    on_step: Callable[[int], fine_tuning.Progress],
    on_epoch: Callable[[dict[str, Any]], None],
) -> fine_tuning.Fitted:
    """Pre-trains, unless a resumed run has done so, and fine-tunes; arguments as of `train.fit.fit`.

    Validation reviews take no part in pre-training, not even without their labels.
    """
    done = work / "pretrained.npz"
    if not (resume and done.exists()):
        texts = [*data.training.ids, *data.unlabelled]
        tensors = pretrain.pretrain(
            recipe.pretraining,
            architecture,
            data.counts,
            texts,
            data.validation.ids[:500],
            work,
            resume,
            on_step,
            on_epoch,
        )
        draft = work / "pretrained.draft.npz"
        np.savez(draft, **tensors)  # type: ignore[arg-type]
        draft.replace(done)
    with np.load(done) as stored:
        start = {name: stored[name] for name in stored.files}
    return fine_tuning.fit(recipe, architecture, data, work, resume, on_step, on_epoch, start)
