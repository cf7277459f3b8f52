"""The network as an ONNX graph, for ONNX Runtime and OpenVINO.

Inputs `ids` int32[T, B], `flip` int64[T * B] and `last` int64[B] (see `answers.Padded`); outputs `logit` float[B] and
`attention` float[T, B]. T and B are free.

The LSTM operator has a mask of its own (its input `sequence_lens`). Instead, the graph reads each direction from that
direction's first word, which needs no mask: this is slightly faster in ONNX Runtime, and correct in every runtime.

For reviews of equal length there is a shorter graph, with `ids` as its only input: one LSTM reads in both directions,
and no position has to be hidden from the softmax. (A second LSTM with `direction=reverse` would do too, but OpenVINO
2026.4 gives other answers then.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import Floats, fold_head
from batch_scorer.models.tokenizer import PAD

OPSET = 17
DIRECTIONS = ("forward", "backward")
ORDER = (
    0,
    3,
    1,
    2,
)  # ONNX's order of gates (input, output, forget, cell) in terms of ours (input, forget, cell, output)


Step = tuple[str, list[str], list[str], dict[str, Any]]  # operator, inputs, outputs, attributes


def to_onnx(artifact: Artifact, equal: bool = False) -> bytes:
    """The serialised ONNX model of an artefact with a mask and sigmoid gates.

    Args:
        equal: for batches of reviews of equal length only.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    architecture = artifact.architecture
    weight, bias = fold_head(artifact.tensors, architecture.batch_norm_epsilon)
    steps = [*(_read_equal if equal else _read)(architecture.units), *_attend(masked=not equal)]
    used = {name for _, inputs, _, _ in steps for name in inputs}
    constants = _constants(artifact.tensors, weight.astype(np.float32), bias)

    def value(name: str, kind: int, *shape: str) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        # Steps are named after their result.
        [helper.make_node(kind, inputs, outputs, outputs[0], **options) for kind, inputs, outputs, options in steps],
        "review_classifier",
        [value("ids", TensorProto.INT32, "T", "B")] if equal else
        [value("ids", TensorProto.INT32, "T", "B"), value("flip", TensorProto.INT64, "TB"),
         value("last", TensorProto.INT64, "B")],
        [value("logit", TensorProto.FLOAT, "B"), value("attention", TensorProto.FLOAT, "T", "B")],
        [numpy_helper.from_array(np.ascontiguousarray(array), name)
         for name, array in constants.items() if name in used],
    )  # fmt: skip
    # The runtimes do not support the newest version of the file format, which the package would write.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()  # type: ignore[no-any-return]


def _read(units: int) -> list[Step]:
    """Ids -> `states` [T * B, 2H] and `query` [B, 2H], for reviews of any lengths."""
    steps: list[Step] = [
        ("Reshape", ["ids", "all"], ["flat"], {}),  # [T * B]
        ("Shape", ["ids"], ["shape"], {}),  # T, B
        ("Gather", ["flat", "flip"], ["flat_back"], {}),
        ("Reshape", ["flat_back", "shape"], ["ids_back"], {}),
    ]
    for direction, ids in zip(DIRECTIONS, ("ids", "ids_back"), strict=True):
        steps += [
            ("Gather", ["embedding", ids], [f"{direction}.x"], {}),  # [T, B, E]
            ("LSTM", [f"{direction}.x", *(f"{direction}.{name}" for name in "WRB")], [f"{direction}.y"],
             {"hidden_size": units}),  # [T, 1, B, H]
            ("Reshape", [f"{direction}.y", "rows"], [f"{direction}.read"], {}),  # [T * B, H], in reading order
            ("Gather", [f"{direction}.read", "last"], [f"{direction}.end"], {}),  # [B, H]
        ]  # fmt: skip
    return [
        *steps,
        ("Gather", ["backward.read", "flip"], ["backward.states"], {}),  # [T * B, H], back in the review's order
        ("Concat", ["forward.read", "backward.states"], ["states"], {"axis": 1}),
        ("Concat", ["forward.end", "backward.end"], ["query"], {"axis": 1}),
    ]


def _read_equal(units: int) -> list[Step]:
    """The same for reviews of equal length."""
    return [
        ("Shape", ["ids"], ["shape"], {}),
        ("Gather", ["embedding", "ids"], ["x"], {}),  # [T, B, E]
        ("LSTM", ["x", *(f"both.{name}" for name in "WRB")], ["both.y", "both.last"],
         {"hidden_size": units, "direction": "bidirectional"}),  # [T, 2, B, H] and [2, B, H]
        ("Transpose", ["both.y"], ["both.read"], {"perm": (0, 2, 1, 3)}),
        ("Reshape", ["both.read", "pairs"], ["states"], {}),
        ("Transpose", ["both.last"], ["both.end"], {"perm": (1, 0, 2)}),
        ("Reshape", ["both.end", "pairs"], ["query"], {}),
    ]  # fmt: skip


def _attend(masked: bool) -> list[Step]:
    """States and query -> logit and attention; `masked` hides the padding from the softmax."""
    hide: list[Step] = [
        ("Equal", ["ids", "pad"], ["is_pad"], {}),
        ("Where", ["is_pad", "never", "scores"], ["energy"], {}),
    ]
    return [
        ("MatMul", ["query", "w2"], ["asked"], {}),
        ("Add", ["asked", "attention_bias"], ["asked_bias"], {}),  # [B, A]
        ("MatMul", ["states", "w1"], ["keys"], {}),  # [T * B, A]
        ("Concat", ["shape", "all"], ["shape3"], {"axis": 0}),  # T, B, -1
        ("Reshape", ["keys", "shape3"], ["keys3"], {}),
        ("Add", ["keys3", "asked_bias"], ["sum"], {}),
        ("Tanh", ["sum"], ["hidden"], {}),  # [T, B, A]
        ("MatMul", ["hidden", "v"], ["scores"], {}),  # [T, B]
        *(hide if masked else []),
        ("Softmax", ["energy" if masked else "scores"], ["attention"], {"axis": 0}),
        ("MatMul", ["states", "head"], ["flat_value"], {}),  # [T * B]
        ("Reshape", ["flat_value", "shape"], ["value"], {}),
        ("Mul", ["attention", "value"], ["contribution"], {}),
        ("ReduceSum", ["contribution", "first"], ["added"], {"keepdims": 0}),  # [B]
        ("Add", ["added", "bias"], ["logit"], {}),
    ]


def _constants(t: Mapping[str, Floats], weight: Floats, bias: float) -> dict[str, Any]:
    """The graphs' constants, by name."""
    units = t["lstm.forward.recurrent_kernel"].shape[0]
    constants: dict[str, Any] = {
        "all": np.array([-1], np.int64),
        "rows": np.array([-1, units], np.int64),
        "pairs": np.array([-1, 2 * units], np.int64),
        "first": np.array([0], np.int64),
        "pad": np.array(PAD, np.int32),
        "never": np.array(-1e9, np.float32),
        "embedding": t["embedding"],
        "w1": t["attention.w1.kernel"],
        "w2": t["attention.w2.kernel"],
        "attention_bias": t["attention.w1.bias"] + t["attention.w2.bias"],
        "v": t["attention.v.kernel"][:, 0],  # v's bias shifts all scores equally, which softmax ignores
        "head": weight,
        "bias": np.array(bias, np.float32),
    }
    for direction in DIRECTIONS:
        own = t[f"lstm.{direction}.bias"]
        constants[f"{direction}.W"] = gates(t[f"lstm.{direction}.kernel"])[None]  # [1, 4H, E]
        constants[f"{direction}.R"] = gates(t[f"lstm.{direction}.recurrent_kernel"])[None]  # [1, 4H, H]
        constants[f"{direction}.B"] = np.concatenate([gates(own[None])[:, 0], np.zeros_like(own)])[None]  # [1, 8H]
    for name in "WRB":
        constants[f"both.{name}"] = np.concatenate([constants[f"{direction}.{name}"] for direction in DIRECTIONS])
    return constants


def gates(kernel: Floats) -> Floats:
    """Converts a kernel [D, 4H] in our order of gates to [4H, D] in ONNX's order."""
    return np.concatenate([np.split(kernel, 4, axis=1)[gate] for gate in ORDER], axis=1).T
