"""The layers of Keras that a model may be made of, by their class -> what their output means (`values`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from batch_scorer.errors import InputError
from train.importing import shapes
from train.importing.graph import Layer
from train.importing.recurrent import bidirectional
from train.importing.refusal import refuse
from train.importing.values import (
    Context,
    Doubles,
    Embedded,
    Energy,
    Hidden,
    Ids,
    Mask,
    Probability,
    Sequence_,
    Text,
    Vector,
    described,
    times,
)
from train.importing.vectorization import Vectorization
from train.importing.weights import Weight

# They change values in training only.
PASSING = {
    *("Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout"),
    *("ActivityRegularization", "Identity"),
}


@dataclass(frozen=True)
class Given:
    """What a layer is given.

    Args:
        values: its tensors, in the order of its arguments.
        options: the plain arguments of the call.
        mask: whether a mask comes with them: written in the file, or else carried by the tensors unseen.
        masks_written: whether the file writes masks.
        weights: its own.
        version: of the Keras that wrote the file, its first number; None if that is unknown.
        choose: takes one of several readings (`readings.Choices.choose`).
        vocabulary: the lines of a layer's vocabulary, if the file has them.
    """

    layer: Layer
    values: Sequence[Any]
    options: dict[str, Any]
    mask: bool
    masks_written: bool
    weights: Sequence[Weight]
    version: int | None
    choose: Callable[..., Any]
    vocabulary: Callable[[str], list[str] | None]

    @property
    def value(self) -> Any:
        """Its only tensor."""
        return self.values[0] if len(self.values) == 1 else list(self.values)

    def refuse(self, expected: str, got: object = None, what: str | None = None) -> InputError:
        """The refusal of this layer."""
        where = f"layer {self.layer.name!r}, {self.layer.kind}"
        return refuse(what or "a layer does not fit", where, expected, described(self.value) if got is None else got)


def activation_of(value: Any) -> str:
    """The name of an activation, however the version of Keras writes it."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return "linear" if value is None else str(value)


def read_input(given: Given) -> Any:
    config = given.layer.config
    shape = config.get("batch_shape") or config.get("batch_input_shape") or [None, config.get("input_length")]
    if str(config.get("dtype")) == "string" or given.layer.kind == "TextVectorization":
        return Text()
    if not 1 <= len(shape) <= 2:
        raise given.refuse("ids of words [batch, length]", f"shape {shape}")
    length = shape[1] if len(shape) == 2 else None
    return Ids(length if isinstance(length, int) else None)


def vectorization(given: Given) -> Ids:
    if not isinstance(given.value, Text):
        raise given.refuse("text")
    read = Vectorization.of(given.layer, given.vocabulary(given.layer.name))
    return Ids(read.length, read)


def embedding(given: Given) -> Embedded:
    if not isinstance(given.value, Ids):
        raise given.refuse("ids of words")
    if len(given.weights) != 1 or given.weights[0].values.ndim != 2:
        raise given.refuse("a table [vocabulary, values]", _shapes(given.weights))
    table = given.weights[0].values
    length = given.layer.config.get("input_length")
    ids = given.value if given.value.length or not isinstance(length, int) else replace(given.value, length=length)
    return Embedded(ids, table, bool(given.layer.config.get("mask_zero")))


def dense(given: Given) -> Any:
    config, value = given.layer.config, given.value
    if not isinstance(value, Sequence_ | Hidden | Vector | Context):
        raise given.refuse("the states, the last states, or the context of the attention")
    size = value.of_context.shape[1] if isinstance(value, Context) else shapes.features(value)
    kernel, bias = _kernel(given, size)
    name = activation_of(config.get("activation"))
    if isinstance(value, Hidden):
        if kernel.shape[1] != 1 or name != "linear":
            raise given.refuse("one unit without activation after the tanh", f"{kernel.shape[1]} units, {name}")
        return Energy(value.inner, kernel[:, 0], True)
    return activated(given, times(value, kernel, bias), name)


def _kernel(given: Given, size: int) -> tuple[Doubles, Doubles]:
    arrays = [weight.values.astype(np.float64) for weight in given.weights]
    if not 1 <= len(arrays) <= 2 or arrays[0].ndim != 2 or len(arrays[0]) != size:
        raise given.refuse(f"a kernel [{size}, units]", _shapes(given.weights))
    bias = arrays[1] if len(arrays) == 2 else np.zeros(arrays[0].shape[1])
    if bias.shape != arrays[0].shape[1:]:
        raise given.refuse(f"a bias [{arrays[0].shape[1]}]", _shapes(given.weights))
    return arrays[0], bias


def activation(given: Given) -> Any:
    return activated(given, given.value, activation_of(given.layer.config.get("activation")))


def activated(given: Given, value: Any, name: str) -> Any:
    """An activation on an affine function, or a softmax over scores."""
    if name == "linear":
        return value
    if isinstance(value, Context):
        return probability(given, value, name)
    if name == "softmax":
        return shapes.softmax(given, value, -1, masked=False)
    if name == "tanh" and isinstance(value, Sequence_):
        return Hidden(value)
    if isinstance(value, Vector):
        raise given.refuse("no activation on the query", name)
    raise given.refuse("tanh, and softmax over positions, in an attention", f"{name} on {described(value)}")


def probability(given: Given, value: Context, name: str) -> Probability:
    """The head: one sigmoid, or two softmax units, of which the difference counts."""
    units = value.of_context.shape[1]
    if name == "sigmoid" and units == 1:
        return Probability(value.attention, value.of_context[:, 0], float(value.bias[0]))
    if name == "softmax" and units == 2:
        weight, bias = (x[..., 1] - x[..., 0] for x in (value.of_context, value.bias))
        return Probability(value.attention, weight, float(bias), "two softmax units, of which the second is positive")
    raise given.refuse(
        "one sigmoid unit or two softmax units on the context, with linear layers between at most",
        f"{units} {'unit' if units == 1 else 'units'}, {name}",
        "contributions would not be exact" if name not in ("sigmoid", "softmax") else None,
    )


def batch_normalisation(given: Given) -> Any:
    """Gamma (x - mean) / sqrt(variance + epsilon) + beta: an affine function, once training is over."""
    config, value = given.layer.config, given.value
    arrays = [weight.values.astype(np.float64) for weight in given.weights]
    has = [bool(config.get("scale", True)), bool(config.get("center", True))]
    if isinstance(value, Embedded):
        size = value.table.shape[1]
    elif isinstance(value, Context):
        size = value.of_context.shape[1]
    elif isinstance(value, Sequence_):
        size = value.features
    else:
        raise given.refuse("embedded words, the states, or the context of the attention")
    if len(arrays) != 2 + sum(has) or any(x.shape != (size,) for x in arrays):
        raise given.refuse(f"{2 + sum(has)} arrays [{size}], over the last axis", _shapes(given.weights))
    gamma = arrays.pop(0) if has[0] else np.ones(size)
    beta = arrays.pop(0) if has[1] else np.zeros(size)
    mean, variance = arrays
    epsilon = float(config.get("epsilon", 1e-3))
    if not (variance + epsilon > 0).all():
        raise given.refuse("a variance of at least 0", variance.min())
    scale = gamma / np.sqrt(variance + epsilon)
    if isinstance(value, Embedded):
        return replace(value, table=value.table * scale + (beta - mean * scale))
    return times(value, np.diag(scale), beta - mean * scale)


def softmax_layer(given: Given) -> Any:
    if isinstance(given.value, Context):
        return probability(given, given.value, "softmax")
    return shapes.softmax(given, given.value, given.layer.config.get("axis", -1), masked=given.mask)


def _shapes(weights: Sequence[Weight]) -> str:
    return ", ".join(str(list(weight.values.shape)) for weight in weights[:10]) or "no weights"


def passing(given: Given) -> Any:
    return given.value


def not_equal(given: Given) -> Mask:
    return Mask()


LAYERS: dict[str, Callable[[Given], Any]] = {
    **dict.fromkeys(PASSING, passing),
    "TextVectorization": vectorization,
    "Embedding": embedding,
    "Bidirectional": bidirectional,
    "Dense": dense,
    "Activation": activation,
    "Softmax": softmax_layer,
    "BatchNormalization": batch_normalisation,
    "BatchNormalizationV1": batch_normalisation,
    "BatchNormalizationV2": batch_normalisation,
    "NotEqual": not_equal,
    **shapes.LAYERS,
}
