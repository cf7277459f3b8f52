"""The contenders that run the graph of `onnx_graph`: ONNX Runtime, and OpenVINO in two precisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.tokenizer import Ids
from benchmarks.scoring.answers import Array, Padded, Scorer, in_sorted_batches, pad_at_end
from benchmarks.scoring.onnx_graph import to_onnx


class UnsupportedError(Exception):
    """A contender needs a feature that this processor, or this build of its library, lacks."""


def onnxruntime(artifact: Artifact) -> Scorer:
    """ONNX Runtime on one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(to_onnx(artifact), options, providers=["CPUExecutionProvider"])
    return _scorer(lambda p: session.run(["logit", "attention"], {"ids": p.ids, "flip": p.flip, "last": p.last}))


def openvino(artifact: Artifact, precision: str) -> Scorer:
    """OpenVINO on one thread.

    Args:
        precision: `f32`, or `bf16` for products in bfloat16.

    Raises:
        UnsupportedError: OpenVINO does not support this precision on this processor.
    """
    import openvino as ov

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,  # otherwise all processes would use the same core
        "INFERENCE_PRECISION_HINT": precision,
    }
    core = ov.Core()
    compiled = core.compile_model(core.read_model(to_onnx(artifact)), "CPU", settings)
    used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if used != {"f32": "float", "bf16": "bfloat16"}.get(precision) and used != precision:
        raise UnsupportedError(f"OpenVINO runs in {used} on this processor")
    request = compiled.create_infer_request()

    def run(padded: Padded) -> Sequence[Any]:
        outputs = request.infer({"ids": padded.ids, "flip": padded.flip, "last": padded.last}, share_inputs=True)
        return [np.array(outputs[name]) for name in ("logit", "attention")]  # copies: the next batch reuses the memory

    return _scorer(run)


def _scorer(run: Callable[[Padded], Sequence[Any]]) -> Scorer:
    def run_batch(batch: Sequence[Ids]) -> tuple[Array, Sequence[Array]]:
        logit, attention = run(pad_at_end(batch))  # [B], [T, B]
        return logit, [attention[: len(ids), column] for column, ids in enumerate(batch)]

    return lambda ids, batch_size: in_sorted_batches(run_batch, ids, batch_size)
