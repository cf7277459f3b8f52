"""A `Bidirectional` layer -> the tensors of both directions, and what each of its outputs is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from batch_scorer.models.cells import GRU, GRU_RESET_AFTER, LSTM
from train.importing.values import Doubles, Embedded, Recurrent, Sequence_, last_of, states_of

if TYPE_CHECKING:
    from train.importing.layers import Given

_LSTM, _GRU = ("LSTM", "CuDNNLSTM"), ("GRU", "CuDNNGRU")
_SAME = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")
_PARTS = {"concat", "sum", "ave", None}


def bidirectional(given: Given) -> list[Any]:
    """Its outputs: the states (each direction's own, without a merge mode), then the last states."""
    config, value = given.layer.config, given.value
    if not isinstance(value, Embedded):
        raise given.refuse("one recurrent layer, on embedded words")
    inner = config["layer"]
    kind, settings = str(inner["class_name"]).rpartition(">")[2], inner["config"]
    _check_settings(given, kind, settings)
    _check_backward(given, kind, settings, config.get("backward_layer"))
    merge = config.get("merge_mode", "concat")
    if merge not in _PARTS:
        raise given.refuse("merge_mode concat, sum, ave or none", f"merge_mode {merge!r}")
    arrays = [weight.values for weight in given.weights]
    each = len(arrays) // 2
    if each not in (2, 3) or len(arrays) % 2:
        raise given.refuse("kernel, recurrent kernel and bias of two directions", f"{len(arrays)} arrays")
    cell, tensors = LSTM, []
    for part in (arrays[:each], arrays[each:]):
        cell, found = _direction(given, kind, settings, part, value.table.shape[1])
        tensors.append(found)
    units = len(tensors[0]["recurrent_kernel"])
    masked = given.mask
    source = Recurrent(value, units, cell, _gate(given, kind, settings), tensors, masked)
    carried = masked
    return [*_sequences(source, merge, carried), *_last(source, bool(settings.get("return_state")))]


def _check_settings(given: Given, kind: str, settings: Mapping[str, Any]) -> None:
    from train.importing.layers import activation_of

    if kind not in (*_LSTM, *_GRU):
        raise given.refuse("an LSTM or a GRU in it", kind)
    if (name := activation_of(settings.get("activation", "tanh"))) != "tanh":
        raise given.refuse("activation tanh", f"activation {name}")
    if not settings.get("return_sequences"):
        raise given.refuse(
            "return_sequences=True: an attention over all states, with what it adds by word", "return_sequences=False"
        )
    for name in ("go_backwards", "stateful", "time_major"):
        if settings.get(name):
            raise given.refuse(f"{name}=False", f"{name}=True")


def _check_backward(given: Given, kind: str, settings: Mapping[str, Any], backward: Any) -> None:
    """An explicit backward layer must be the same as the forward one, but for its direction."""
    if not backward:
        return
    other, theirs = str(backward["class_name"]).rpartition(">")[2], backward["config"]
    if other != kind:
        raise given.refuse(f"a backward layer of the same kind, {kind}", other)
    for name in _SAME:
        if settings.get(name) != theirs.get(name):
            raise given.refuse(f"a backward layer with the same {name}, {settings.get(name)}", theirs.get(name))
    if not theirs.get("go_backwards"):
        raise given.refuse("a backward layer with go_backwards=True", "go_backwards=False")


def _gate(given: Given, kind: str, settings: Mapping[str, Any]) -> str:
    """The function of the gates, one of `cells.GATES`."""
    from train.importing.layers import activation_of

    if kind.startswith("CuDNN"):
        return "sigmoid"
    name = activation_of(settings.get("recurrent_activation", "sigmoid"))
    if name in ("sigmoid", "relu"):
        return name
    if name != "hard_sigmoid":
        raise given.refuse("recurrent_activation sigmoid, hard_sigmoid or relu", f"recurrent_activation {name}")
    if given.version is None:
        return str(
            given.choose(
                "the hard sigmoid",
                ("x / 5 + 1/2, of Keras 2", "hard_sigmoid_keras_2"),
                ("x / 6 + 1/2, of Keras 3", "hard_sigmoid"),
            )
        )
    return "hard_sigmoid" if given.version >= 3 else "hard_sigmoid_keras_2"


def _direction(
    given: Given, kind: str, settings: Mapping[str, Any], arrays: Sequence[Any], values: int
) -> tuple[str, dict[str, Any]]:
    """The cell, one of `cells.CELLS`, and the tensors of one direction."""
    gates = 4 if kind in _LSTM else 3
    kernel, recurrent = arrays[:2]
    units = settings.get("units")
    if kernel.ndim != 2 or not isinstance(units, int) or kernel.shape != (values, gates * units):
        raise given.refuse(f"a kernel [{values}, {gates} x {units} units]", list(kernel.shape))
    if recurrent.shape != (units, gates * units):
        raise given.refuse(f"a recurrent kernel [{units}, {gates * units}]", list(recurrent.shape))
    bias = arrays[2] if len(arrays) == 3 else np.zeros(gates * units, np.float32)
    if kind.startswith("CuDNN"):
        kernel, recurrent, bias = _from_cudnn(kernel, recurrent, bias, gates)
    cell = LSTM if gates == 4 else GRU_RESET_AFTER if bias.ndim == 2 or settings.get("reset_after") else GRU
    tensors = {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias}
    if cell == GRU_RESET_AFTER:
        if bias.ndim == 1:
            bias = np.stack([bias, np.zeros_like(bias)])
        tensors |= {"bias": bias[0], "recurrent_bias": bias[1]}
    if tensors["bias"].shape != (gates * units,):
        raise given.refuse(f"a bias [{gates * units}]", list(bias.shape))
    return cell, tensors


def _from_cudnn(kernel: Any, recurrent: Any, bias: Any, gates: int) -> tuple[Any, Any, Any]:
    """CuDNN keeps each gate transposed, and has two biases, which an LSTM adds up."""
    blocks = (np.split(x, gates, axis=1) for x in (kernel, recurrent))
    inputs, states = blocks
    kernel = np.hstack([block.T.reshape(block.shape, order="F") for block in inputs])
    recurrent = np.hstack([block.T for block in states])
    both = bias.reshape(2, -1)
    return kernel, recurrent, both.sum(axis=0) if gates == 4 else both


def _sequences(source: Recurrent, merge: str | None, masked: bool) -> list[Sequence_]:
    one = np.eye(source.units)
    none = np.zeros_like(one)
    if merge is None:
        halves: list[Doubles] = [np.vstack([one, none]), np.vstack([none, one])]
        return [states_of(source, half, masked) for half in halves]
    if merge == "concat":
        return [states_of(source, None, masked)]
    return [states_of(source, np.vstack([one, one]) * (0.5 if merge == "ave" else 1.0), masked)]


def _last(source: Recurrent, return_state: bool) -> list[Any]:
    if not return_state:
        return []
    return [last_of(source, part) for part in ((0, 1, 2, 3) if source.cell == LSTM else (0, 2))]
