"""The contenders that run the graphs of `onnx_graph`: ONNX Runtime in two precisions, and OpenVINO in three."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring import onnx_int8
from benchmarks.scoring.answers import Answers, Array, Batching, Run, Scorer, in_batches, pad_at_end, side_by_side
from benchmarks.scoring.onnx_graph import to_onnx

OUTPUTS = ("logit", "attention")
HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # OpenVINO's names; of int8, what is left in floats
Infer = Callable[[Mapping[str, Any]], Sequence[Any]]  # inputs by name -> logit [B] and attention [T, B]


class UnsupportedError(Exception):
    """A contender needs a feature that this processor, or this build of its library, lacks."""


def onnxruntime(artifact: Artifact, precision: str) -> Scorer:
    """ONNX Runtime on one thread.

    Args:
        precision: `float32` or `int8`.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def compiled(model: bytes) -> Infer:
        converted = onnx_int8.dynamic(model) if precision == "int8" else model
        session = ort.InferenceSession(converted, options, providers=["CPUExecutionProvider"])
        return lambda inputs: session.run(OUTPUTS, inputs)

    return _scorer(artifact, compiled)


def openvino(artifact: Artifact, precision: str) -> Scorer:
    """OpenVINO on one thread.

    Args:
        precision: `float32`, `bfloat16` for products in bfloat16, or `int8`.

    Raises:
        UnsupportedError: OpenVINO does not support this precision on this processor.
    """
    import openvino as ov

    hint = HINTS[precision]
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,  # otherwise all processes would use the same core
        "INFERENCE_PRECISION_HINT": hint,
    }
    core = ov.Core()

    def compiled(model: bytes) -> Infer:
        network = core.read_model(onnx_int8.static(model) if precision == "int8" else model)
        compiled = core.compile_model(network, "CPU", settings)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if used != {"f32": "float", "bf16": "bfloat16"}[hint] and used != hint:
            raise UnsupportedError(f"OpenVINO runs in {used} on this processor")
        if precision == "int8" and (kinds := _kinds_of_lstm(compiled)) != {"u8"}:
            raise UnsupportedError(f"OpenVINO runs the LSTM in {', '.join(sorted(kinds))} on this processor")
        request = compiled.create_infer_request()

        def infer(inputs: Mapping[str, Any]) -> Sequence[Any]:
            outputs = request.infer(inputs, share_inputs=True)
            return [np.array(outputs[name]) for name in OUTPUTS]  # copies: the next batch reuses the memory

        return infer

    return _scorer(artifact, compiled)


def _kinds_of_lstm(compiled: Any) -> set[str]:
    """The types of the words' vectors that the LSTMs of a compiled model read."""
    details = [operator.get_rt_info() for operator in compiled.get_runtime_model().get_ops()]
    return {one["runtimePrecision"].astype(str) for one in details if one["layerType"].astype(str) == "RNNSeq"}


def _scorer(artifact: Artifact, compiled: Callable[[bytes], Infer]) -> Scorer:
    """Compiles both graphs, and chooses by how reviews are batched."""
    infer, infer_equal = (compiled(to_onnx(artifact, equal)) for equal in (False, True))

    def run(batch: Sequence[Ids]) -> tuple[Array, Sequence[Array]]:
        padded = pad_at_end(batch)
        logit, attention = infer({"ids": padded.ids, "flip": padded.flip, "last": padded.last})
        return logit, [attention[: len(ids), column] for column, ids in enumerate(batch)]

    def run_equal(batch: Sequence[Ids]) -> tuple[Array, Sequence[Array]]:
        logit, attention = infer_equal({"ids": side_by_side(batch)})
        return logit, list(attention.T)

    def score(ids: Sequence[Ids], batching: Batching) -> Answers:
        chosen: Run = run_equal if batching.equal else run
        return in_batches(chosen, ids, batching)

    return score
