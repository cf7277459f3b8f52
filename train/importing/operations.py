"""Functions among the layers, as Keras writes them: those of `keras.ops` (Keras 3) and of TensorFlow (Keras 2).

They are names and arguments; a name that is not in the tables below is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from train.importing import shapes
from train.importing.layers import activated, probability
from train.importing.values import Attention, Context, Mask, Sequence_

if TYPE_CHECKING:
    from train.importing.layers import Given


def argument(given: Given, name: str, default: Any = None) -> Any:
    """A plain argument: of the call, or of the configuration."""
    return given.options.get(name, given.layer.config.get(name, default))


def _sum(given: Given) -> Any:
    return shapes.summed(given, argument(given, "axis"))


def _softmax(given: Given) -> Any:
    if isinstance(given.value, Context):
        return probability(given, given.value, "softmax")
    return shapes.softmax(given, given.value, argument(given, "axis", -1), masked=False)


def _tanh(given: Given) -> Any:
    return activated(given, given.value, "tanh")


def _sigmoid(given: Given) -> Any:
    return activated(given, given.value, "sigmoid")


def _expand(given: Given) -> Any:
    return shapes.expanded(given, argument(given, "axis"))


def _squeeze(given: Given) -> Any:
    return shapes.squeezed(given, argument(given, "axis"))


def _reshape(given: Given) -> Any:
    shape = argument(given, "newshape", argument(given, "shape"))
    return shapes.reshaped(given, shape[1:] if isinstance(shape, list) else shape)


def _transpose(given: Given) -> Any:
    if list(argument(given, "axes", argument(given, "perm", ()))) != [0, 2, 1]:
        raise given.refuse("axes (0, 2, 1)", argument(given, "axes"))
    return shapes.transposed(given)


def _matmul(given: Given) -> Any:
    """[B, 1, T] by [B, T, D], or the transpose of the first with `transpose_a`."""
    turned = bool(given.options.get("transpose_a"))
    match list(given.values):
        case [Attention() as attention, Sequence_()] if attention.axes == ("t1" if turned else "1t"):
            return shapes.contracted(given, [1 if turned else 2, 1])
    raise given.refuse("an attention [1, T] by the states [T, D]")


def _mask(given: Given) -> Mask:
    return Mask()


KERAS_3: dict[str, Callable[[Given], Any]] = {
    "Sum": _sum,
    "Multiply": shapes.multiply,
    "Add": shapes.add,
    "Tanh": _tanh,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "ExpandDims": _expand,
    "Squeeze": _squeeze,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Matmul": _matmul,
    "Concatenate": shapes.concatenate,
    "NotEqual": _mask,
    **dict.fromkeys(("OnesLike", "ZerosLike", "LogicalAnd", "LogicalOr", "All", "Any", "Cast"), _mask),  # of masks
}
KERAS_2: dict[str, Callable[[Given], Any]] = {
    "math.reduce_sum": _sum,
    "reduce_sum": _sum,
    "math.multiply": shapes.multiply,
    "__operators__.mul": shapes.multiply,
    "math.add": shapes.add,
    "__operators__.add": shapes.add,
    "math.tanh": _tanh,
    "nn.tanh": _tanh,
    "math.sigmoid": _sigmoid,
    "nn.softmax": _softmax,
    "expand_dims": _expand,
    "squeeze": _squeeze,
    "reshape": _reshape,
    "transpose": _transpose,
    "linalg.matmul": _matmul,
    "concat": shapes.concatenate,
    "math.not_equal": _mask,
}
