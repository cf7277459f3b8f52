"""A graph and the weights of its layers -> the probability that it computes, as a network that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from train.importing import attention, operations
from train.importing.graph import Call, Graph, Layer, Reference
from train.importing.layers import LAYERS, Given, read_input
from train.importing.readings import Choices
from train.importing.refusal import FITS, damaged, refuse
from train.importing.values import Embedded, Energy, Hidden, Mask, Probability, Sequence_, Weighted, described
from train.importing.weights import Weight

_CODE = ("Lambda", "SlicingOpLambda")
DEPTH = 400  # layers one after the other


class Interpreter:
    """Follows a model from its output back to its input."""

    def __init__(
        self,
        graph: Graph,
        weights: Mapping[str, Sequence[Weight]],
        version: int | None,
        vocabulary: Callable[[str], list[str] | None],
        choices: Choices,
    ) -> None:
        self._graph, self._weights, self._version = graph, weights, version
        self._vocabulary, self._choices = vocabulary, choices
        self._found: dict[tuple[str, int], list[Any]] = {}
        self._open: list[str] = []

    def probability(self) -> Probability:
        """What the model's output is.

        Raises:
            InputError: a layer does not fit; the message names it.
        """
        found: list[Any] = []
        for reference in self._graph.outputs:
            value = self.value(reference)
            if isinstance(value, Probability):
                return value
            found.append(value)
        last = self._graph.outputs[-1].layer
        kind = self._graph.layers[last].kind if last in self._graph.layers else "no layer"
        raise refuse(
            "the model does not end in a probability",
            f"layer {last!r}, {kind}",
            "one sigmoid unit or two softmax units: " + FITS,
            described(found),
        )

    def value(self, reference: Reference) -> Any:
        """What a tensor means."""
        key = (reference.layer, reference.call)
        if key not in self._found:
            if reference.layer in self._open or len(self._open) > DEPTH:
                raise damaged(f"layer {reference.layer!r}", "a graph without circles", "a circle")
            self._open.append(reference.layer)
            self._found[key] = self._outputs(*key)
            self._open.pop()
        outputs = self._found[key]
        return outputs[reference.tensor if 0 <= reference.tensor < len(outputs) else 0]

    def _outputs(self, name: str, at: int) -> list[Any]:
        layer = self._graph.layers.get(name)
        if layer is None or not 0 <= at <= max(len(layer.calls) - 1, 0):
            raise damaged(f"layer {name!r}", "a layer that is called", "none")
        given = self._given(layer, layer.calls[at] if layer.calls else Call((), {}))
        if not layer.calls and layer.kind != "InputLayer":  # the first of a sequential model
            first = self._give(layer, [], {}, False)
            given = self._give(layer, [read_input(first)], {}, False)
        value = self._read(layer, given)
        return value if isinstance(value, list) else [value]

    def _given(self, layer: Layer, call: Call) -> Given:
        values, masks, options = list[Any](), list[Any](), dict[str, Any]()
        for value in call.args:
            values += self._tensors(value)
            if not isinstance(value, Reference | list) and value is not None:
                options.setdefault("axis", value)  # of an operation whose argument has no name
        for name, value in call.kwargs.items():
            found = self._tensors(value)
            values += [x for x in found if not isinstance(x, Mask)]
            masks += [x for x in found if isinstance(x, Mask)]
            if not found:
                options[name] = value
        mask = bool(masks) or (any(isinstance(x, Mask) for x in values) and len(values) > 1)
        values = [x for x in values if not isinstance(x, Mask)] or values
        if not self._graph.has_masks:
            mask = mask or any(_carries_mask(x) for x in values)
        return self._give(layer, values, options, mask)

    def _give(self, layer: Layer, values: list[Any], options: dict[str, Any], mask: bool) -> Given:
        return Given(
            layer,
            values,
            options,
            mask,
            self._graph.has_masks,
            self._weights.get(layer.name, ()),
            self._version,
            self._choices.choose,
            self._vocabulary,
        )

    def _tensors(self, value: Any) -> list[Any]:
        """What the tensors in an argument mean, in order."""
        if isinstance(value, Reference):
            return [self.value(value)]
        parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
        return [found for part in parts for found in self._tensors(part)]

    def _read(self, layer: Layer, given: Given) -> Any:
        if layer.kind == "InputLayer":
            return read_input(given)
        if layer.kind in _CODE:
            raise given.refuse(
                "layers without code, such as Dot(axes=1) for a sum over positions",
                "code, which is not run",
                f"{layer.kind} layers hold code",
            )
        if layer.kind == "TFOpLambda":
            name = str(layer.config.get("function"))
            if name not in operations.KERAS_2:
                raise given.refuse(", ".join(operations.KERAS_2), name, "a function does not fit")
            return operations.KERAS_2[name](given)
        if layer.is_operation:
            if all(isinstance(x, Mask) for x in given.values):
                return Mask()
            if layer.kind not in operations.KERAS_3:
                raise given.refuse(", ".join(operations.KERAS_3), layer.kind, "a function does not fit")
            return operations.KERAS_3[layer.kind](given)
        if layer.kind == "TimeDistributed":
            return self._distributed(layer, given)
        if layer.kind in LAYERS and layer.is_builtin is not False:
            return LAYERS[layer.kind](given)
        if layer.is_builtin or _is_known(layer) or any(isinstance(x, Embedded) for x in given.values):
            raise given.refuse(FITS)
        return attention.own_layer(given)

    def _distributed(self, layer: Layer, given: Given) -> Any:
        """A layer at each position, which is what it does anyway."""
        inner = layer.config.get("layer")
        if not isinstance(inner, Mapping) or inner.get("class_name") not in ("Dense", "Dropout", "Activation"):
            raise given.refuse("Dense, Dropout or Activation in it", inner.get("class_name") if inner else None)
        if isinstance(inner["config"], Mapping) and isinstance(given.value, Sequence_ | Hidden | Energy):
            kind = str(inner["class_name"])
            within = Layer(layer.name, kind, inner["config"], layer.calls)
            return LAYERS[kind](self._give(within, list(given.values), given.options, given.mask))
        raise given.refuse("the states")


# Layers of Keras that people try here; a file of Keras 2 does not say whose a class is.
_KNOWN = {
    *("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "RNN", "ConvLSTM1D", "Conv1D", "Conv2D", "SeparableConv1D"),
    *("Attention", "AdditiveAttention", "MultiHeadAttention", "GlobalMaxPooling1D", "MaxPooling1D", "AveragePooling1D"),
    *("GlobalMaxPool1D", "GlobalAvgPool1D", "LayerNormalization", "Masking", "Lambda", "Maximum", "Minimum"),
    *("Subtract", "LeakyReLU", "ReLU", "PReLU", "ELU", "Functional", "Model", "Sequential", "StringLookup", "Hashing"),
    *("IntegerLookup", "Cropping1D", "ZeroPadding1D", "UpSampling1D", "LocallyConnected1D", "GroupNormalization"),
}


def _is_known(layer: Layer) -> bool:
    """Whether it is a layer of Keras that does not fit; a class of one's own may well be called Attention."""
    if "Attention" in layer.kind and not {"use_scale", "num_heads"} & layer.config.keys():
        return False
    return layer.kind in _KNOWN


def _carries_mask(value: Any) -> bool:
    """Whether a tensor carries a mask that the file does not write (Keras 2, and sequential models)."""
    if isinstance(value, Energy):
        return value.inner.masked and value.axes == "t1"
    if isinstance(value, Hidden):
        return value.inner.masked
    if isinstance(value, Weighted):
        return value.states.masked
    return isinstance(value, Embedded | Sequence_) and value.masked
