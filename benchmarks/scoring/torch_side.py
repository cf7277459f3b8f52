"""The contenders on PyTorch: `nn.LSTM` in float32 and bfloat16, and its dynamic quantization to int8.

In floats, `nn.LSTM` uses oneDNN, which is its fastest implementation on a CPU, only if the input is not packed. So
reviews are padded at the end and each direction reads from its own first word (see `answers.Padded`). The LSTM in int8
is another implementation, which is as fast on packed input. Reviews of equal length need neither.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import fold_head
from batch_scorer.models.tokenizer import PAD, Ids
from benchmarks.scoring.answers import Array, Scorer, in_batches, pad_at_end, side_by_side

SUFFIX = {"forward": "", "backward": "_reverse"}  # of PyTorch's names of tensors


def pytorch(artifact: Artifact, precision: str) -> Scorer:
    """PyTorch on one thread.

    Args:
        precision: `float32` or `bfloat16`, for weights, products and states; or `int8`, for the products of the LSTM
            and those of the attention with many columns. The softmax and the sum of the logit are always in float32.
    """
    import torch

    torch.set_num_threads(1)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    t, architecture = artifact.tensors, artifact.architecture
    weight, bias = fold_head(t, architecture.batch_norm_epsilon)

    def constant(array: Any) -> Any:
        return torch.tensor(np.asarray(array, np.float32)).to(kind)

    def linear(kernel: Any, biases: Any = None) -> Any:
        layer = torch.nn.Linear(*kernel.shape, bias=biases is not None)
        tensors = {"weight": constant(kernel.T)} | ({} if biases is None else {"bias": constant(biases)})
        layer.load_state_dict(tensors)
        return layer

    embedding, v = constant(t["embedding"]), constant(t["attention.v.kernel"])
    head = constant(weight)[:, None]  # [2H, 1]
    modules = torch.nn.ModuleDict({
        "forward_lstm": _lstm(torch, artifact, "forward"),
        "backward_lstm": _lstm(torch, artifact, "backward"),
        "both": _lstm(torch, artifact, "forward", "backward"),
        "w1": linear(t["attention.w1.kernel"]),
        "w2": linear(t["attention.w2.kernel"], t["attention.w1.bias"] + t["attention.w2.bias"]),  # v's does not matter
    }).to(kind).eval()  # fmt: skip
    if precision == "int8":
        modules = _quantized(torch, modules)
    forward, backward, both, w1, w2 = modules.values()

    def read(batch: Sequence[Ids]) -> tuple[Any, Any, Any]:
        """Ids [T, B], states [T, B, 2H] and query [B, 2H]."""
        padded = pad_at_end(batch)
        ids, flip, last = (torch.from_numpy(x) for x in (padded.ids, padded.flip, padded.last))
        ahead, _ = forward(torch.nn.functional.embedding(ids, embedding))  # [T, B, H]
        back, _ = backward(torch.nn.functional.embedding(ids.flatten()[flip].view(ids.shape), embedding))
        ahead, back = ahead.flatten(0, 1), back.flatten(0, 1)  # [T * B, H]
        states = torch.cat([ahead, back.index_select(0, flip)], 1).view(*ids.shape, -1)
        return ids, states, torch.cat([ahead.index_select(0, last), back.index_select(0, last)], 1)

    def read_packed(batch: Sequence[Ids]) -> tuple[Any, Any, Any]:
        ids = torch.from_numpy(pad_at_end(batch).ids)
        lengths = torch.tensor([len(x) for x in batch])
        words = torch.nn.functional.embedding(ids, embedding)
        packed, (last, _) = both(torch.nn.utils.rnn.pack_padded_sequence(words, lengths, enforce_sorted=False))
        return ids, torch.nn.utils.rnn.pad_packed_sequence(packed)[0], torch.cat([*last], 1)

    def read_equal(batch: Sequence[Ids]) -> tuple[Any, Any, Any]:
        ids = torch.from_numpy(side_by_side(batch))
        states, (last, _) = both(torch.nn.functional.embedding(ids, embedding))
        return ids, states, torch.cat([*last], 1)

    def run(batch: Sequence[Ids], how: Any, masked: bool) -> tuple[Array, Sequence[Array]]:
        with torch.inference_mode():
            ids, states, query = how(batch)
            energy = (torch.tanh(w1(states) + w2(query)) @ v)[:, :, 0].float()  # [T, B]
            attention = torch.softmax(energy.masked_fill(ids == PAD, -torch.inf) if masked else energy, 0)
            value = (states @ head)[:, :, 0].float()
            logit = (attention * value).sum(0) + bias
        weights = attention.numpy()
        return logit.numpy(), [weights[: len(ids), column] for column, ids in enumerate(batch)]

    of_any_length = read_packed if precision == "int8" else read
    return lambda ids, batching: in_batches(
        lambda batch: run(batch, read_equal if batching.equal else of_any_length, not batching.equal), ids, batching
    )


def _lstm(torch: Any, artifact: Artifact, *directions: str) -> Any:
    """`nn.LSTM`, whose gates have our order (input, forget, cell, output), transposed.

    Args:
        directions: both; or one, which is read forward whichever it is.
    """
    t, architecture = artifact.tensors, artifact.architecture
    lstm = torch.nn.LSTM(architecture.embedding_dim, architecture.units, bidirectional=len(directions) == 2)
    state: dict[str, Any] = {}
    for direction in directions:
        suffix = SUFFIX[direction] if len(directions) == 2 else ""
        bias = t[f"lstm.{direction}.bias"]
        state |= {
            f"weight_ih_l0{suffix}": t[f"lstm.{direction}.kernel"].T,
            f"weight_hh_l0{suffix}": t[f"lstm.{direction}.recurrent_kernel"].T,
            f"bias_ih_l0{suffix}": bias,
            f"bias_hh_l0{suffix}": np.zeros_like(bias),  # PyTorch adds both biases; we have one
        }
    lstm.load_state_dict({name: torch.tensor(np.ascontiguousarray(array)) for name, array in state.items()})
    return lstm


def _quantized(torch: Any, modules: Any) -> Any:
    """The modules with their products in int8: weights have a scale per column, and the other operand has its own."""
    from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic

    kinds = dict.fromkeys((torch.nn.LSTM, torch.nn.Linear), per_channel_dynamic_qconfig)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `torch.ao` is to move into a package of its own, which has no LSTM
        return quantize_dynamic(modules, kinds, dtype=torch.qint8)
