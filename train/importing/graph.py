"""A model's configuration -> its layers, and which tensors each is called on. Formats of Keras 2 and 3.

Nothing of the configuration is looked up as code: classes are names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.importing.refusal import FITS, damaged, refuse

MODELS = ("Functional", "Model", "Sequential")


@dataclass(frozen=True)
class Reference:
    """Output `tensor` of call `call` of a layer."""

    layer: str
    call: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """What a layer is called on: `Reference`s, alone or in lists, among plain values."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """A layer, or an operation, which has no weights.

    Args:
        kind: the name of its class, without module and package.
        config: its arguments.
        is_operation: whether it is a function of Keras 3 rather than a layer.
        is_builtin: whether the file says that the class is of Keras; None if it does not say.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    calls: Sequence[Call]
    is_operation: bool = False
    is_builtin: bool | None = None


@dataclass(frozen=True)
class Graph:
    """The layers of a model in the order of the file, its outputs, and the shape of the input it was built with."""

    layers: Mapping[str, Layer]
    outputs: Sequence[Reference]
    has_masks: bool
    built_with: Sequence[Any]


def read_graph(model: Mapping[str, Any], where: str) -> Graph:
    """The graph of a functional or sequential model.

    Args:
        model: as `model.to_json()` gives it.

    Raises:
        InputError: it is another kind of model, or not well formed.
    """
    kind, config = model.get("class_name"), model.get("config")
    if isinstance(config, list):  # Keras 2.2 and before, sequential
        config = {"layers": config}
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        raise refuse(
            "the configuration does not list the layers of the model",
            where,
            "a functional or sequential model, " + FITS,
            f"class {kind!s:.80}",
            "build it with keras.Model(inputs, outputs) or keras.Sequential; a subclass keeps its layers in code",
        )
    try:
        is_sequential = "output_layers" not in config
        layers = [_layer(entry, is_sequential) for entry in config["layers"]]
        if len({layer.name for layer in layers}) < len(layers):
            raise damaged(where, "each layer once", "a name that appears twice")
        if is_sequential:
            layers = [_after(layers, i) for i in range(len(layers))]
            outputs = [Reference(layers[-1].name, 0, 0)]
        else:
            outputs = _references(config["output_layers"])
        built_with = (model.get("build_config") or {}).get("input_shape") or config.get("build_input_shape") or []
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise damaged(where, "a configuration as Keras writes it", repr(error)) from error
    # Keras 3 writes the masks of a functional model into its graph; otherwise layers pass them on unseen.
    has_masks = not is_sequential and _is_keras_3(config)
    return Graph({layer.name: layer for layer in layers}, outputs, has_masks, built_with)


def _is_keras_3(config: Mapping[str, Any]) -> bool:
    """Whether the calls are written as Keras 3 does it."""
    nodes = [node for entry in config["layers"] for node in entry.get("inbound_nodes", ())]
    return any(isinstance(node, dict) for node in nodes)


def _layer(entry: Mapping[str, Any], is_sequential: bool) -> Layer:
    config, kind = entry["config"], str(entry["class_name"])
    module, name = str(entry.get("module") or ""), str(entry.get("name") or config.get("name") or kind)
    is_operation = ".ops" in module or (not module and kind in _OPERATIONS and set(config) <= _ARGUMENTS)
    calls = () if is_sequential else tuple(_call(node) for node in entry.get("inbound_nodes", ()))
    is_builtin = None if "module" not in entry else module.startswith("keras") and ">" not in kind
    return Layer(name, kind.rpartition(">")[2], config, calls, is_operation, is_builtin)


# Functions of Keras 3 as they stand among the layers of a file that does not say where a class comes from, and their
# arguments: a layer has others too.
_OPERATIONS = {
    *(
        "Sum",
        "Multiply",
        "Add",
        "Tanh",
        "Sigmoid",
        "Softmax",
        "ExpandDims",
        "Squeeze",
        "Reshape",
        "Transpose",
        "Matmul",
    ),
    *("Concatenate", "NotEqual", "OnesLike", "ZerosLike", "LogicalAnd", "LogicalOr", "All", "Any", "Cast"),
}
_ARGUMENTS = {"name", "axis", "axes", "keepdims", "shape", "newshape", "dtype"}


def _after(layers: Sequence[Layer], i: int) -> Layer:
    layer = layers[i]
    calls = (Call((Reference(layers[i - 1].name, 0, 0),), {}),) if i else ()
    return Layer(layer.name, layer.kind, layer.config, calls, layer.is_operation, layer.is_builtin)


def _call(node: Any) -> Call:
    if isinstance(node, Mapping):  # Keras 3
        return Call([_value(x) for x in node["args"]], {name: _value(x) for name, x in node["kwargs"].items()})
    entries = [node] if isinstance(node[0], str) else node  # an operation of Keras 2 is not in a list
    args, kwargs = [], dict[str, Any]()
    for entry in entries:
        if entry[0] == "_CONSTANT_VALUE":
            args.append(entry[2])
        else:
            args.append(Reference(str(entry[0]), int(entry[1]), int(entry[2])))
        kwargs |= {name: _old_value(x) for name, x in (entry[3] if len(entry) > 3 else {}).items()}
    return Call(args, kwargs)


def _value(value: Any) -> Any:
    """A value of a call of Keras 3, with references in place of its tensors."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            layer, call, tensor = value["config"]["keras_history"]
            return Reference(str(layer), int(call), int(tensor))
        return {name: _value(x) for name, x in value.items()}
    return [_value(x) for x in value] if isinstance(value, list) else value


def _old_value(value: Any) -> Any:
    """A value of a call of Keras 2, in which a reference is a list of a name and two numbers."""
    match value:
        case [str(layer), int(call), int(tensor)]:
            return Reference(layer, call, tensor)
        case [str(layer), int(call), int(tensor), {}]:
            return Reference(layer, call, tensor)
    return [_old_value(x) for x in value] if isinstance(value, list) else value


def _references(value: Any) -> list[Reference]:
    """All references in nested lists, or in a dict."""
    match value:
        case [str(layer), int(call), int(tensor)]:
            return [Reference(layer, call, tensor)]
    parts = value.values() if isinstance(value, Mapping) else value
    return [found for part in parts for found in _references(part)]
