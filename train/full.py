"""The full recipe: pre-training on all texts, labelled or not; a teacher; then the student, fine-tuned on a mixture."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from batch_scorer.errors import InputError, OptionError
from batch_scorer.escape import install
from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.subwords import SubwordTokenizer
from batch_scorer.models.tokenizer import Tokenizer
from train import fit as fine_tuning
from train import pretrain, teacher, trainer
from train.borrow import borrow
from train.calibrate import calibrate
from train.material import mixture
from train.material.counterfactual import Rewritten
from train.material.word_classes import chosen, drawn_together, read_classes, tied_embedding
from train.metrics import metrics
from train.network import predictor
from train.prepare import Encoded, Prepared, encoded
from train.run import Run, replace_arrays

STARTS = ("networks", "teacher", "pretraining")


@dataclass(frozen=True)
class Recipe(trainer.Recipe):
    """Settings of all stages. Some of fine-tuning differ from the default preset's, since it starts pre-trained.

    Args:
        fine_tunings: how many times to fine-tune, each time with a different order and dropout; the model's weights
            are the mean of all.
        max_windows: how many times 499 words are read of a longer review; 1 reads its last words only.
        start: what the student starts from: `networks`, the mean of the teacher's; `teacher`, which is the earlier
            model if there is one and else the same; or `pretraining`.
        student_rate: the learning rate after either of the first two, at its peak; after pre-training it is
            `learning_rate`.
        ties: classes of words that share an id (`train/material/word_classes.toml`): `all`, `none`, or names separated
            by commas.
        drawn: how far members of these classes that keep their ids are drawn to their class at last: 0 to 1.
        pretraining, teacher, mixture: settings of the other stages.
    """

    epochs: int = 3
    fine_tunings: int = 3
    word_dropout: float = 0.05
    max_windows: int = 64
    start: str = "teacher"
    student_rate: float = 1e-3
    ties: str = "all"
    drawn: float = 0.9
    pretraining: pretrain.Recipe = field(default_factory=pretrain.Recipe)
    teacher: teacher.Recipe = field(default_factory=teacher.Recipe)
    mixture: mixture.Recipe = field(default_factory=mixture.Recipe)


@dataclass(frozen=True)
class Given:
    """What a run is given besides the labelled reviews, all of it optional.

    Args:
        pretrained: the `pretrained.npz` of an earlier run, to start from; its words are matched by name. Every run
            leaves one.
        taught: the `teacher.npz` of an earlier run on the same data, likewise to start from.
        rewritten: rewritten reviews.
        earlier: directory of a model of the same words and shape, which joins the teacher and starts the student.
        finished: directories of further such models that join the teacher.
    """

    pretrained: Path | None = None
    taught: Path | None = None
    rewritten: Rewritten | None = None
    earlier: Path | None = None
    finished: tuple[Path, ...] = ()


def check(recipe: Recipe, given: Given) -> None:
    """Refuses what cannot be trained, before anything is read or written.

    Raises:
        InputError: scikit-learn is not installed.
        OptionError: `fine_tunings` is below 1, there is no such start, or no teacher for models to join.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise InputError(
            "a package is missing", expected="scikit-learn, for NBSVM and the calibration",
            fix=f"from a checkout: {install('train')}",
        )  # fmt: skip
    if recipe.start not in STARTS:
        expected = "start=" + " or ".join(STARTS)
        raise OptionError("the student cannot start there", expected=expected, got=recipe.start)
    if recipe.fine_tunings < 1:
        raise OptionError(
            "the model is the mean of its fine-tunings, and there are none",
            expected="fine_tunings=1 or more",
            got=f"fine_tunings={recipe.fine_tunings}",
        )
    if recipe.teacher.folds == 1:
        raise OptionError(
            "each network of a teacher is trained without one part, so one part leaves nothing",
            expected="teacher.folds=2 or more, or 0 for no teacher", got="teacher.folds=1",
        )  # fmt: skip
    settings = f"teacher.folds={recipe.teacher.folds}, teacher.epochs={recipe.teacher.epochs}"
    if recipe.start == "networks" and not given.taught and not (recipe.teacher.folds and recipe.teacher.epochs):
        raise OptionError(
            "the student cannot start from the teacher's networks, since none is trained",
            expected="teacher.folds=2 or more and teacher.epochs=1 or more", got=settings,
            fix="set both so, or leave out start=networks",
        )  # fmt: skip
    if given.finished and not recipe.teacher.folds:
        raise OptionError(
            "there is no teacher for models to join", expected="teacher.folds=2 or more", got=settings,
            fix="set teacher.epochs=0 for a teacher of NBSVM and finished models, or leave out --teacher-model",
        )  # fmt: skip


def fit(
    recipe: Recipe, architecture: Architecture, data: Prepared, run: Run, given: Given = Given()
) -> fine_tuning.Fitted:
    """Pre-trains and teaches, unless that has been done already, and fine-tunes.

    Validation reviews are not part of pre-training, not even without their labels.

    Raises:
        InputError: an earlier run or model used data or sizes that do not go with these.
    """
    saved = run.directory / "pretrained.npz"
    if given.pretrained is None and not (run.resume and saved.exists()):
        plain = _plain(data, architecture)
        texts, held_out = (
            [plain.ids(plain.words(text)) for text in side]
            for side in ([*data.texts["training"], *data.unlabelled], data.texts["validation"][:500])
        )
        tensors = pretrain.pretrain(recipe.pretraining, architecture, data.counts, texts, held_out, run)
        replace_arrays(saved, {"vocabulary": np.array(data.vocabulary), "counts": data.counts, **tensors})
    borrowed = borrow(given.pretrained or saved, data.vocabulary, data.counts, architecture, recipe.seed)
    start = borrowed.tensors
    start["embedding"] = tied_embedding(start["embedding"], data.counts, data.words, data.tokenizer.aliases)
    earlier = _tensors_of(given.earlier, architecture, data) if given.earlier else None
    finished = [earlier] if earlier else []
    finished += [_tensors_of(directory, architecture, data) for directory in given.finished]
    taught = teacher.teach(recipe.teacher, recipe, architecture, data, run, start, given.taught, finished)
    soft, fine_tuned = taught.soft if taught else None, recipe
    weights = first_weights(recipe.start, taught.weights or None if taught else None, earlier)
    if weights is not None:
        start, fine_tuned = dict(weights), dataclasses.replace(recipe, learning_rate=recipe.student_rate)
    parts = mixture.mixture(recipe.mixture, data, soft, given.rewritten, recipe.batch_size, recipe.seed)
    fitted = fine_tuning.fit(fine_tuned, architecture, data, run, start, recipe.fine_tunings, parts)
    classes = chosen(read_classes(), recipe.ties)
    drawn = drawn_together(fitted.tensors["embedding"], classes, data.words, data.tokenizer.aliases, recipe.drawn)
    fitted = dataclasses.replace(fitted, tensors={**fitted.tensors, "embedding": drawn})
    passages = encoded(given.rewritten.held_out_passages, data.tokenizer) if given.rewritten else None
    return calibrated(fitted, architecture, data, recipe.seed, passages)


def _plain(data: Prepared, architecture: Architecture) -> Tokenizer:
    """How texts are read in pre-training: by their last words, before words share ids."""
    if isinstance(data.tokenizer, SubwordTokenizer):
        return dataclasses.replace(data.tokenizer, aliases={}, max_windows=1)
    return Tokenizer(data.vocabulary, architecture.max_words, architecture.max_length)


def first_weights(
    start: str, networks: Mapping[str, Floats] | None, earlier: Mapping[str, Floats] | None
) -> Mapping[str, Floats] | None:
    """The weights that `start` names: the teacher's networks', an earlier model's, or None for the pre-trained ones."""
    return {"networks": networks, "teacher": networks if earlier is None else earlier, "pretraining": None}[start]


def calibrated(
    fitted: fine_tuning.Fitted, architecture: Architecture, data: Prepared, seed: int, passages: Encoded | None = None
) -> fine_tuning.Fitted:
    """The same weights with a temperature that depends on the review, and what validation says of both.

    Args:
        passages: short texts that were not trained on.
    """
    validation, logits_of = data.validation, predictor(architecture, fitted.tensors)
    calibration = calibrate(validation, logits_of, seed, passages)
    logits = validation.pooled(logits_of(validation.ids))
    fitted = dataclasses.replace(fitted, calibration=calibration, validation_logits=logits)
    temperatures = fitted.temperatures(validation)
    quality = metrics(logits / temperatures, validation.labels, 1.0)
    return dataclasses.replace(fitted, temperature=float(np.median(temperatures)), validation=quality)


def _tensors_of(directory: Path, architecture: Architecture, data: Prepared) -> dict[str, Floats]:
    """The tensors of a finished model, whose words the data has, and which share ids as those of the data do."""
    model = artifact.load(str(directory))
    if model.architecture != architecture:
        raise InputError(
            "a finished model has another shape",
            where=str(directory),
            expected=str(architecture),
            got=str(model.architecture),
            fix="name a model of --preset full with --start-model and --teacher-model, or leave it out",
        )
    tensors, shared, aliases = dict(model.tensors), model.tokenizer.aliases, data.tokenizer.aliases
    if shared != aliases:  # the model has one embedding for words that share an id, in one of their rows
        embedding = tensors["embedding"][[shared.get(word, i) for i, word in enumerate(data.words)]]
        tensors["embedding"] = tied_embedding(embedding, data.counts, data.words, aliases)
    return tensors
