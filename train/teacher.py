"""A stronger teacher: networks and NBSVM together, whose soft labels the student learns (Hinton et al. 2015).

Each network is fine-tuned without one of several folds of the training reviews, so that it is honest about that fold;
the same folds give NBSVM's logits. Finished models may join them; since they may know the labelled reviews by heart,
they have no say on those. A logistic regression on the validation side weighs the kinds of member.
Shapes: N training reviews, U texts without labels, C crops of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import InputError
from batch_scorer.models.network import Architecture, Floats
from train import trainer
from train.fit import fine_tune, labelled_alone, load_weights
from train.material.mixture import Soft
from train.members import Doubles, Logits, Texts, linear, logits_of
from train.network import predictor
from train.prepare import Prepared
from train.run import Run, replace_arrays

STAGE = "teacher"  # of a network among the members, with its number after it


@dataclass(frozen=True)
class Recipe:
    """Settings of the teacher.

    Args:
        folds: parts of the training reviews, and networks, each of which is trained without one of them. 0: no teacher.
        epochs: of each network. 0: no networks; NBSVM and finished models are the teacher.
        learning_rate: of each network, at its peak.
    """

    folds: int = 4
    epochs: int = 3
    learning_rate: float = 3e-3


@dataclass(frozen=True)
class Taught:
    """What a student gets from its teacher: soft labels, and the mean of the networks' weights, if there are any."""

    soft: Soft
    weights: Mapping[str, Floats]


WEIGHTS = "weights."


def teach(
    recipe: Recipe,
    fine_tuning: trainer.Recipe,
    architecture: Architecture,
    data: Prepared,
    run: Run,
    start: Mapping[str, Floats],
    given: Path | None = None,
    finished: Sequence[Mapping[str, Floats]] = (),
) -> Taught | None:
    """Trains the teacher, unless an earlier run's is `given`. The run leaves it as `teacher.npz`.

    Args:
        fine_tuning: settings of the networks.
        start: pre-trained tensors.
        finished: tensors of each of the models that join the members.

    Raises:
        InputError: what is given does not exist, or is for other data.
    """
    saved = run.directory / "teacher.npz"
    if given or (run.resume and saved.exists()):
        return load(given or saved, data)
    if not recipe.folds:
        return None
    texts, rows = Texts.of(data)
    fold_of = np.random.default_rng(fine_tuning.seed).permutation(len(texts.training)) % recipe.folds
    settings = dataclasses.replace(
        fine_tuning, epochs=recipe.epochs, patience=recipe.epochs, learning_rate=recipe.learning_rate
    )
    members, weights = [linear(fold_of, data.training.labels, texts, data.terms)], Logits()
    if recipe.epochs:
        parts = (fold_of == k for k in range(recipe.folds))
        networks = [_network(k, part, settings, architecture, data, texts, run, start) for k, part in enumerate(parts)]
        mean: Logits = {name: np.mean([member[name] for member in networks], axis=0) for name in networks[0]}
        weights = {name.removeprefix(WEIGHTS): mean.pop(name) for name in list(mean) if name.startswith(WEIGHTS)}
        members.append({**mean, "training": np.choose(fold_of, [member["training"] for member in networks])})
    members += [logits_of(predictor(architecture, tensors), data, texts) for tensors in finished]
    soft = stacked(members, data.validation.labels, rows)
    taught = Taught(soft, {name: value.astype(np.float32) for name, value in weights.items()})
    save(saved, taught, data)
    return taught


def _network(
    fold: int,
    left_out: npt.NDArray[np.bool_],
    settings: trainer.Recipe,
    architecture: Architecture,
    data: Prepared,
    texts: Texts,
    run: Run,
    start: Mapping[str, Floats],
) -> Logits:
    """The logits of a network that is fine-tuned without a fold, and its weights, whose names begin with `WEIGHTS`.

    The logits of training reviews are of use on that fold only.
    """
    stage = f"{STAGE} {fold + 1}"
    cached = run.directory / "checkpoints" / f"{stage}.npz"
    if not (run.resume and cached.exists()):
        parts = labelled_alone(data.training.subset(~left_out), settings)
        student = fine_tune(settings, architecture, data, parts, run, stage, start, fold)
        best = min(run.epochs(stage), key=lambda line: line["log_loss"])["epoch"]
        student.take(load_weights(run, stage, best), data.training.ids)
        weights = {f"{WEIGHTS}{name}": variable.numpy() for name, variable in student.average.items()}
        training = {"training": data.training.pooled(student.logits(data.training.ids))}
        replace_arrays(cached, {**training, **logits_of(student.logits, data, texts), **weights})
    with np.load(cached) as stored:
        return {name: stored[name] for name in stored.files}


def stacked(members: Sequence[Logits], labels: npt.NDArray[np.int8], rows: npt.NDArray[np.int64]) -> Soft:
    """The members' logits, each times its weight, which makes them calibrated together.

    The weights are fitted to the labels of the validation side: for whole texts to its reviews, for crops to their
    crops, each with the label of its review, since that is what a crop gives away. Crops get an intercept too: members
    that are balanced on reviews call more than half of the crops positive, and a student would learn that from them. A
    member without logits for the training reviews has a weight for the other texts only.

    Args:
        labels: of the validation reviews.
        rows: the validation review that each crop is of.
    """

    def blended(name: str, judged: str, truth: npt.NDArray[np.int8]) -> Doubles:
        able = [member for member in members if name in member]
        if not len(able[0][name]):
            return np.zeros(0)  # there are no texts without labels
        judge = _judge(np.stack([member[judged] for member in able], axis=1), truth, name == "crops")
        return np.asarray(judge.decision_function(np.stack([member[name] for member in able], axis=1)), np.float64)

    return Soft(
        blended("training", "validation", labels),
        blended("unlabelled", "validation", labels),
        blended("crops", "validation_crops", labels[rows]),
    )


def _judge(features: Doubles, labels: npt.NDArray[np.int8], intercept: bool) -> Any:
    """A logistic regression of labels on features, float64[N, members], without a penalty worth the name."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1e6, fit_intercept=intercept, max_iter=1_000).fit(features, labels)


def save(path: Path, taught: Taught, data: Prepared) -> None:
    """Writes what the teacher taught, with what it is for."""
    weights = {f"{WEIGHTS}{name}": value for name, value in taught.weights.items()}
    replace_arrays(path, {"data": np.array(_digest(data)), **dataclasses.asdict(taught.soft), **weights})


def load(path: Path, data: Prepared) -> Taught:
    """Reads what `save` wrote.

    Raises:
        InputError: there is no such file, or it is for other data.
    """
    if not path.is_file():
        raise InputError(
            "the teacher's file does not exist",
            where=str(path),
            expected="teacher.npz, from the work directory of a run with --preset full",
            fix="check --teacher, or leave it out to train a teacher",
        )
    with np.load(path) as stored:
        if str(stored["data"]) != _digest(data):
            raise InputError(
                "the teacher is for other data",
                where=str(path),
                expected="the same --data, --unlabelled and --counterfactual-holdout",
                fix="give those of that run, or leave --teacher out",
            )
        weights = {name.removeprefix(WEIGHTS): stored[name] for name in stored.files if name.startswith(WEIGHTS)}
        return Taught(Soft(*(stored[field.name] for field in dataclasses.fields(Soft))), weights)


def _digest(data: Prepared) -> str:
    """What the teacher is for: the texts and how they are read, and how many of them are trained on."""
    return f"{data.digest()} {len(data.training)}"
