"""The network as an ONNX graph, for ONNX Runtime and OpenVINO.

Inputs `ids` int32[T, B], `flip` int64[T * B] and `last` int64[B] (see `answers.Padded`); outputs `logit` float[B] and
`attention` float[T, B]. T and B are free.

The LSTM operator has a mask of its own (its input `sequence_lens`). Instead, the graph reads each direction from that
direction's first word, which needs no mask: this is slightly faster in ONNX Runtime, and correct in every runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import Floats, fold_head
from batch_scorer.models.tokenizer import PAD

OPSET = 17
ORDER = (
    0,
    3,
    1,
    2,
)  # ONNX's order of gates (input, output, forget, cell) in terms of ours (input, forget, cell, output)


def to_onnx(artifact: Artifact) -> bytes:
    """The serialised ONNX model of an artefact with a mask and sigmoid gates."""
    from onnx import TensorProto, checker, helper, numpy_helper

    architecture = artifact.architecture
    weight, bias = fold_head(artifact.tensors, architecture.batch_norm_epsilon)
    constants = _constants(artifact.tensors, weight.astype(np.float32), bias)
    steps: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("Reshape", ["ids", "all"], ["flat"], {}),  # [T * B]
        ("Shape", ["ids"], ["shape"], {}),  # T, B
        ("Gather", ["flat", "flip"], ["flat_back"], {}),
        ("Reshape", ["flat_back", "shape"], ["ids_back"], {}),
    ]
    for direction, ids in (("forward", "ids"), ("backward", "ids_back")):
        steps += [
            ("Gather", ["embedding", ids], [f"{direction}.x"], {}),  # [T, B, E]
            ("LSTM", [f"{direction}.x", *(f"{direction}.{name}" for name in "WRB")], [f"{direction}.y"],
             {"hidden_size": architecture.units}),  # [T, 1, B, H]
            ("Reshape", [f"{direction}.y", "rows"], [f"{direction}.read"], {}),  # [T * B, H], in reading order
            ("Gather", [f"{direction}.read", "last"], [f"{direction}.end"], {}),  # [B, H]
        ]  # fmt: skip
    steps += [
        ("Gather", ["backward.read", "flip"], ["backward.states"], {}),  # [T * B, H], back in the review's order
        ("Concat", ["forward.read", "backward.states"], ["states"], {"axis": 1}),  # [T * B, 2H]
        ("Concat", ["forward.end", "backward.end"], ["query"], {"axis": 1}),  # [B, 2H]
        ("MatMul", ["query", "w2"], ["asked"], {}),
        ("Add", ["asked", "attention_bias"], ["asked_bias"], {}),  # [B, A]
        ("MatMul", ["states", "w1"], ["keys"], {}),  # [T * B, A]
        ("Concat", ["shape", "all"], ["shape3"], {"axis": 0}),  # T, B, -1
        ("Reshape", ["keys", "shape3"], ["keys3"], {}),
        ("Add", ["keys3", "asked_bias"], ["sum"], {}),
        ("Tanh", ["sum"], ["hidden"], {}),  # [T, B, A]
        ("MatMul", ["hidden", "v"], ["scores"], {}),  # [T, B]
        ("Equal", ["ids", "pad"], ["is_pad"], {}),
        ("Where", ["is_pad", "never", "scores"], ["energy"], {}),
        ("Softmax", ["energy"], ["attention"], {"axis": 0}),
        ("MatMul", ["states", "head"], ["flat_value"], {}),  # [T * B]
        ("Reshape", ["flat_value", "shape"], ["value"], {}),
        ("Mul", ["attention", "value"], ["contribution"], {}),
        ("ReduceSum", ["contribution", "first"], ["added"], {"keepdims": 0}),  # [B]
        ("Add", ["added", "bias"], ["logit"], {}),
    ]

    def value(name: str, kind: int, *shape: str) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        [helper.make_node(kind, inputs, outputs, **options) for kind, inputs, outputs, options in steps],
        "review_classifier",
        [value("ids", TensorProto.INT32, "T", "B"), value("flip", TensorProto.INT64, "TB"),
         value("last", TensorProto.INT64, "B")],
        [value("logit", TensorProto.FLOAT, "B"), value("attention", TensorProto.FLOAT, "T", "B")],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )  # fmt: skip
    # The runtimes do not support the newest version of the file format, which the package would write.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()  # type: ignore[no-any-return]


def _constants(t: Mapping[str, Floats], weight: Floats, bias: float) -> dict[str, Any]:
    """The graph's constants, by name."""
    constants: dict[str, Any] = {
        "all": np.array([-1], np.int64),
        "rows": np.array([-1, t["lstm.forward.recurrent_kernel"].shape[0]], np.int64),
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
    for direction in ("forward", "backward"):
        own = t[f"lstm.{direction}.bias"]
        constants[f"{direction}.W"] = gates(t[f"lstm.{direction}.kernel"])[None]  # [1, 4H, E]
        constants[f"{direction}.R"] = gates(t[f"lstm.{direction}.recurrent_kernel"])[None]  # [1, 4H, H]
        constants[f"{direction}.B"] = np.concatenate([gates(own[None])[:, 0], np.zeros_like(own)])[None]  # [1, 8H]
    return constants


def gates(kernel: Floats) -> Floats:
    """Converts a kernel [D, 4H] in our order of gates to [4H, D] in ONNX's order."""
    return np.concatenate([np.split(kernel, 4, axis=1)[gate] for gate in ORDER], axis=1).T
