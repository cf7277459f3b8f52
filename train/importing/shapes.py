"""Layers without weights: what moves axes, repeats, joins, multiplies and adds up in an attention."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from train.importing.values import (
    Attention,
    Context,
    Energy,
    Hidden,
    Sequence_,
    Vector,
    Weighted,
    described,
    energy_of,
)

if TYPE_CHECKING:
    from train.importing.layers import Given

_PLACES = {"t1": 1, "t": 1, "1t": 2, "td": 1, "dt": 2}  # the axis of the positions


def features(value: Sequence_ | Hidden | Vector) -> int:
    """D, of a function of the states or of the last ones."""
    if isinstance(value, Hidden):
        return value.inner.features
    return int(value.of_last.shape[1])


def softmax(given: Given, value: Any, axis: Any, masked: bool) -> Attention:
    """Over positions; over any other axis it would be of one value."""
    energy = energy_of(value)
    if energy is None:
        raise given.refuse("a softmax over one score for each position", described(value))
    dimensions = 1 + len(energy.axes)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if not isinstance(axis, int) or axis % dimensions != _PLACES[energy.axes]:
        raise given.refuse(
            f"a softmax over positions, axis {_PLACES[energy.axes]} of {dimensions}", f"axis {axis}: it is of one score"
        )
    return Attention(energy, masked, energy.axes)


def _turned(given: Given, value: Any, axes: str | None) -> Any:
    """A score or an attention with its axes in another order."""
    if axes is None:
        raise given.refuse("scores, or an attention, as [T, 1], [T] or [1, T]")
    if isinstance(value, Attention):
        return replace(value, axes=axes)
    energy = energy_of(value)
    if energy is None:
        raise given.refuse("a score for each position, or an attention")
    return replace(energy, axes=axes)


def _axes(value: Any) -> str:
    return value.axes if isinstance(value, Attention | Energy) else "t1"


def flatten(given: Given) -> Any:
    if isinstance(given.value, Context | Vector):
        return given.value
    if _axes(given.value) in ("td", "dt") or isinstance(given.value, Weighted):
        raise given.refuse("a sum over positions, such as Dot(axes=1)")
    return _turned(given, given.value, "t")


def reshape(given: Given) -> Any:
    return reshaped(given, given.layer.config.get("target_shape"))


def reshaped(given: Given, target: Any) -> Any:
    if isinstance(given.value, Context | Vector):
        if isinstance(target, Sequence) and sum(size != 1 for size in target) <= 1:
            return given.value
        raise given.refuse("the same values in one row", f"shape {target}")
    match target:
        case [_]:
            return _turned(given, given.value, "t")
        case [1, _]:
            return _turned(given, given.value, "1t")
        case [_, 1]:
            return _turned(given, given.value, "t1")
    raise given.refuse("a shape of one axis besides ones", f"shape {target}")


def permute(given: Given) -> Any:
    if list(given.layer.config.get("dims", ())) != [2, 1]:
        raise given.refuse("dims (2, 1)", f"dims {given.layer.config.get('dims')}")
    return transposed(given)


def transposed(given: Given) -> Any:
    turned = {"t1": "1t", "1t": "t1", "td": "dt", "dt": "td"}
    return _turned(given, given.value, turned.get(_axes(given.value)))


def repeat(given: Given) -> Any:
    """The query at each position, or the attention for each feature."""
    value = given.value
    if isinstance(value, Vector):
        return broadcast(value)
    if isinstance(value, Attention) and value.axes == "t":
        return replace(value, axes="dt")
    raise given.refuse("the query, or an attention [T]")


def broadcast(value: Vector) -> Sequence_:
    """The last states as the same row at each position."""
    nothing = np.zeros((2 * value.source.units, value.of_last.shape[1]))
    return Sequence_(value.source, nothing, value.of_last, value.bias)


def expanded(given: Given, axis: Any) -> Any:
    """A new axis of one."""
    value = given.value
    if isinstance(value, Vector | Context):
        return value
    if _axes(value) != "t" or not isinstance(axis, int):
        raise given.refuse("scores, or an attention, [T]")
    return _turned(given, value, {1: "1t", 2: "t1"}[axis % 3] if axis % 3 else None)


def squeezed(given: Given, axis: Any) -> Any:
    """An axis of one less."""
    if isinstance(given.value, Vector | Context):
        return given.value
    return _turned(given, given.value, "t" if _axes(given.value) in ("t1", "1t") else None)


def concatenate(given: Given) -> Any:
    """Last states side by side, or the states of both directions."""
    values, axis = list(given.values), given.options.get("axis", given.layer.config.get("axis", -1))
    is_flat = all(isinstance(x, Vector) for x in values)
    if axis not in ((-1, 1, 2) if is_flat else (-1, 2)):
        raise given.refuse("the last axis", f"axis {axis}")
    if is_flat:
        kind: Callable[..., Any] = Vector
        parts: dict[str, Any] = {"of_last": np.hstack([x.of_last for x in values])}
    elif all(isinstance(x, Sequence_) for x in values):
        kind = Sequence_
        parts = {name: np.hstack([getattr(x, name) for x in values]) for name in ("of_state", "of_last")}
        parts["masked"] = any(x.masked for x in values)
    else:
        raise given.refuse("last states, or both directions' states; the head reads the attention's context alone")
    return kind(source=values[0].source, bias=np.concatenate([x.bias for x in values]), **parts)


def add(given: Given) -> Any:
    return added(given, 1.0)


def average(given: Given) -> Any:
    return added(given, 1 / len(given.values))


def added(given: Given, share: float) -> Any:
    """The sum of linear functions of the states, or of the last ones, times `share`."""
    values = list(given.values)
    if all(isinstance(x, Vector) for x in values):
        of_last, bias = (share * sum(getattr(x, name) for x in values) for name in ("of_last", "bias"))
        return Vector(values[0].source, of_last, bias)
    if not all(isinstance(x, Sequence_ | Vector) for x in values):
        raise given.refuse("linear functions of the states and of the query")
    parts = [broadcast(x) if isinstance(x, Vector) else x for x in values]
    if len({x.features for x in parts}) > 1:
        raise given.refuse("as many features in each", ", ".join(str(x.features) for x in parts))
    sums = {name: share * sum(getattr(x, name) for x in parts) for name in ("of_state", "of_last", "bias")}
    return Sequence_(parts[0].source, masked=any(x.masked for x in parts), **sums)


def multiply(given: Given) -> Any:
    """The states by their attention."""
    attention = next((x for x in given.values if isinstance(x, Attention)), None)
    states = next((x for x in given.values if isinstance(x, Sequence_)), None)
    if len(given.values) != 2 or attention is None or states is None or attention.axes not in ("t1", "td"):
        raise given.refuse("the states [T, D] and their attention, [T, 1] or [T, D]")
    return Weighted(attention, states)


def context_of(given: Given, weighted: Weighted, share: float = 1.0) -> Context:
    """The sum over positions: since attention sums to one, a bias stays what it is."""
    states = weighted.states
    if not states.is_of_states or states.bias.ndim > 1:
        raise given.refuse("the states themselves under the attention", "a function of the query too")
    return Context(weighted.attention, share * states.of_state, share * states.bias)


def dot(given: Given) -> Any:
    axes = given.layer.config.get("axes")
    return contracted(given, axes if isinstance(axes, list) else [axes, axes])


def contracted(given: Given, axes: Sequence[Any]) -> Any:
    """The sum of products over positions."""
    values = list(given.values)
    for value, axis in zip(values, axes, strict=False):
        dimensions = 1 + len(value.axes) if isinstance(value, Attention) else 3
        place = _PLACES[value.axes] if isinstance(value, Attention) else 1
        if not isinstance(axis, int) or axis % dimensions != place:
            raise given.refuse("a product over positions", f"axes {list(axes)}")
    attention = next((x for x in values if isinstance(x, Attention)), None)
    states = next((x for x in values if isinstance(x, Sequence_)), None)
    if attention is None or states is None or attention.axes in ("td", "dt"):
        raise given.refuse("the states and their attention")
    return context_of(given, Weighted(attention, states))


def mean(given: Given) -> Any:
    """The mean of all positions: the sum, divided by T."""
    value = given.value
    if not isinstance(value, Weighted):
        raise given.refuse("the states by their attention")
    length = value.states.source.embedded.ids.length
    if given.mask or length is None:
        raise given.refuse("a sum over positions, or a mean over a fixed number of them", "a number that varies")
    return context_of(given, value, 1 / length)


def summed(given: Given, axis: Any) -> Any:
    """The sum over positions."""
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if not isinstance(given.value, Weighted) or axis not in (1, -2):
        raise given.refuse("the sum over positions, axis 1, of the states by their attention", f"axis {axis}")
    return context_of(given, given.value)


LAYERS: dict[str, Callable[[Given], Any]] = {
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatVector": repeat,
    "Concatenate": concatenate,
    "Add": add,
    "Average": average,
    "Multiply": multiply,
    "Dot": dot,
    "GlobalAveragePooling1D": mean,
}
