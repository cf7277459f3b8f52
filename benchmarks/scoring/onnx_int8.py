"""The graph of `onnx_graph` with the LSTM and the large products in int8, in the form that each runtime requires.

Weights have one scale per column of the product, and 7 bits: on processors without VNNI, the sum of two products of
8 bits does not fit into the 16 bits that it is kept in. The products with one column (v, the head) stay in float32, as
do embedding, gates, cells and softmax.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

TOP = 63  # the largest weight, in steps
ZERO = 128  # of unsigned activations, whose steps are 1 / 127


def dynamic(model: bytes) -> bytes:
    """For ONNX Runtime: its own dynamic quantization, which measures the range of each operand as it multiplies."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(model)
        quantize_dynamic(source, target, op_types_to_quantize=["LSTM", "MatMul"], per_channel=True, reduce_range=True,
                         weight_type=QuantType.QInt8, nodes_to_exclude=["scores", "flat_value"])  # fmt: skip
        return target.read_bytes()


def static(model: bytes) -> bytes:
    """For OpenVINO: QuantizeLinear and DequantizeLinear around the operands, which it merges into its operators.

    No range has to be measured on data. States lie in (-1, 1); so do the words' vectors, once the largest of their
    values is moved into the input kernel: OpenVINO's LSTM has one scale for words and states, and one for the columns
    of both kernels.
    """
    import onnx
    from onnx import helper, numpy_helper

    graph = (read := onnx.load_from_string(model)).graph
    values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    peak = np.abs(values["embedding"]).max()
    values["embedding"] = values["embedding"] / peak
    values |= {
        "step": np.array(1 / 127, np.float32),
        "zero": np.array(ZERO, np.uint8),
        "second": np.array([1], np.int64),  # the axis B of ids [T, B]
    }
    nodes: list[Any] = []

    def add(kind: str, inputs: list[str], output: str, **options: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], output, **options))
        return output

    def round_off(name: str, to: str) -> str:
        return add(
            "DequantizeLinear", [add("QuantizeLinear", [name, "step", "zero"], f"{to}.int8"), "step", "zero"], to
        )

    def weights(names: tuple[str, ...], axis: int) -> None:
        """Replaces constants, which share their scales, by integers; `axis` is the one of the columns."""
        kernels = [values.pop(name) for name in names]
        others = tuple(i for i in range(kernels[0].ndim) if i != axis)
        steps = np.expand_dims(np.max([np.abs(kernel).max(axis=others) for kernel in kernels], axis=0) / TOP, others)
        values[f"{names[0]}.step"] = steps.ravel().astype(np.float32)
        values[f"{names[0]}.zero"] = np.zeros(steps.size, np.int8)
        for name, kernel in zip(names, kernels, strict=True):
            values[f"{name}.int8"] = np.rint(kernel / steps).astype(np.int8)
            add("DequantizeLinear", [f"{name}.int8", f"{names[0]}.step", f"{names[0]}.zero"], name, axis=axis)

    for node in read.graph.node:
        if node.op_type == "LSTM":
            _, kernel, recurrent, _ = node.input
            values[kernel] = values[kernel] * peak
            weights((kernel, recurrent), axis=1)
    for name in ("w1", "w2"):
        weights((name,), axis=1)
    start = None
    for node in graph.node:
        if node.op_type == "LSTM":
            if start is None:  # the zeros that it starts with have to be rounded off too
                directions, _, units = values[f"{node.input[2]}.int8"].shape
                values |= {"directions": np.array([directions], np.int64), "units": np.array([units], np.int64)}
                batch = add("Gather", ["shape", "second"], "batch")
                sizes = add("Concat", ["directions", batch, "units"], "start.shape", axis=0)
                start = round_off(add("ConstantOfShape", [sizes], "start.float"), "start")
            node.input[0] = round_off(node.input[0], f"{node.name}.x")
            node.input.extend(["", start])
        elif node.op_type == "MatMul" and node.input[1] in ("w1", "w2"):
            node.input[0] = round_off(node.input[0], f"{node.name}.states")
        nodes.append(node)
    result = helper.make_graph(
        nodes, graph.name, graph.input, graph.output,
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in values.items()],
    )  # fmt: skip
    checked = helper.make_model(result, opset_imports=read.opset_import, ir_version=read.ir_version)
    onnx.checker.check_model(checked)
    return checked.SerializeToString()  # type: ignore[no-any-return]
