"""A stronger teacher: networks and NBSVM together, whose soft labels the student learns (Hinton et al. 2015).

Each network is fine-tuned without one of several folds of the training reviews, so that it is honest about that fold;
the same folds give NBSVM's logits. An earlier model may join them; since it may know the labelled reviews by heart, it
has no say on those. A logistic regression on the validation side weighs the kinds of member.
Shapes: N training reviews, U texts without labels, C crops of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import InputError
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import words
from train import trainer
from train.data import Ids
from train.fit import fine_tune, load_weights
from train.material.crops import crops
from train.material.mixture import Soft, crops_of, labelled
from train.network import predictor
from train.prepare import Prepared
from train.run import Run, replace_arrays

Doubles = npt.NDArray[np.float64]

STAGE = "teacher"  # of a network among the members, with its number after it
CROPS_OF_VALIDATION = 4  # draws from each review


@dataclass(frozen=True)
class Recipe:
    """Settings of the teacher.

    Args:
        folds: parts of the training reviews, and networks, each of which is trained without one of them. 0: no teacher.
        epochs: of each network.
        learning_rate: of each network, at its peak.
    """

    folds: int = 4
    epochs: int = 3
    learning_rate: float = 3e-3


@dataclass(frozen=True)
class Taught:
    """What a student gets from its teacher: soft labels, and the mean of the networks' weights, to start from."""

    soft: Soft
    weights: Mapping[str, Floats]


@dataclass(frozen=True)
class Texts:
    """What the members label: the training reviews, the texts without labels, and what their weights are fitted to."""

    training: Sequence[str]
    unlabelled: Sequence[str]
    crops: Sequence[str]
    validation: Sequence[str]
    validation_crops: Sequence[str]

    @staticmethod
    def of(data: Prepared) -> tuple[Texts, npt.NDArray[np.int64]]:
        """The texts, and the validation review that each of its crops is of."""
        validation = data.texts["validation"]
        drawn = [crops(validation, seed=1 + draw) for draw in range(CROPS_OF_VALIDATION)]
        cropped, rows = [t for texts, _ in drawn for t in texts], [row for _, rows in drawn for row in rows]
        return Texts(data.texts["training"], data.unlabelled, crops_of(data), validation, cropped), np.array(rows)


Logits = dict[str, Doubles]  # of one member, by the fields of `Texts`
WEIGHTS = "weights."


def teach(
    recipe: Recipe,
    fine_tuning: trainer.Recipe,
    architecture: Architecture,
    data: Prepared,
    run: Run,
    start: Mapping[str, Floats],
    given: Path | None = None,
    earlier: Mapping[str, Floats] | None = None,
) -> Taught | None:
    """Trains the teacher, unless an earlier run's is `given`. The run leaves it as `teacher.npz`.

    Args:
        fine_tuning: settings of the networks.
        start: pre-trained tensors.
        earlier: tensors of an earlier model that joins the members.

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
    networks = [_network(k, fold_of == k, settings, architecture, data, texts, run, start) for k in range(recipe.folds)]
    together: Logits = {name: np.mean([member[name] for member in networks], axis=0) for name in networks[0]}
    weights = {name.removeprefix(WEIGHTS): together.pop(name) for name in list(together) if name.startswith(WEIGHTS)}
    together["training"] = np.choose(fold_of, [member["training"] for member in networks])
    members = [together, linear(fold_of, data.training.labels, texts, data.terms)]
    if earlier is not None:
        members.append(_logits(predictor(architecture, earlier), data, texts))
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
        part = labelled(data.training.subset(~left_out), settings.batch_size)
        student = fine_tune(settings, architecture, data, lambda epoch: [part], run, stage, start, fold)
        best = min(run.epochs(stage), key=lambda line: line["log_loss"])["epoch"]
        student.take(load_weights(run, stage, best), data.training.ids)
        weights = {f"{WEIGHTS}{name}": variable.numpy() for name, variable in student.average.items()}
        training = {"training": data.training.pooled(student.logits(data.training.ids))}
        replace_arrays(cached, {**training, **_logits(student.logits, data, texts), **weights})
    with np.load(cached) as stored:
        return {name: stored[name] for name in stored.files}


def _logits(predict: Callable[[Sequence[Ids]], npt.NDArray[np.float32]], data: Prepared, texts: Texts) -> Logits:
    """The logits of a network for all texts but the training reviews."""
    out = {"validation": data.validation.pooled(predict(data.validation.ids))}
    others = {name: data.encode(getattr(texts, name)) for name in ("unlabelled", "crops", "validation_crops")}
    return out | {name: predict(ids).astype(np.float64) for name, ids in others.items()}


def linear(
    fold_of: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], texts: Texts,
    terms: Callable[[str], Sequence[str]] = words,
) -> Logits:  # fmt: skip
    """NBSVM's logits: of training reviews out of fold, of the other texts from a model fitted to all of them."""
    from train.nbsvm import Settings, counter_of, weights_of

    settings = Settings()
    counter = counter_of(settings.longest, terms)
    counts = counter.fit_transform(texts.training)
    out: Logits = {"training": np.empty(len(texts.training))}
    for fold in range(int(fold_of.max(initial=0)) + 1):
        inside = fold_of == fold
        weight, bias = weights_of(counts[~inside], labels[~inside], settings)
        out["training"][inside] = counts[inside] @ weight + bias
    weight, bias = weights_of(counts, labels, settings)
    for name in ("unlabelled", "crops", "validation", "validation_crops"):
        out[name] = counter.transform(getattr(texts, name)) @ weight + bias
    return out


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
