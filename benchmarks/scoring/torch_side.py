"""The contenders on PyTorch: `nn.LSTM` in float32 and in bfloat16.

`nn.LSTM` uses oneDNN, which is its fastest implementation on a CPU, only if the input is not packed. So reviews are
padded at the end and each direction reads from its own first word (see `answers.Padded`), without
`pack_padded_sequence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import fold_head
from batch_scorer.models.tokenizer import PAD, Ids
from benchmarks.scoring.answers import Array, Scorer, in_sorted_batches, pad_at_end


def pytorch(artifact: Artifact, precision: str) -> Scorer:
    """PyTorch on one thread.

    Args:
        precision: `float32` or `bfloat16`, for weights, products and states; the softmax and the sum of the logit are
            always in float32.
    """
    import torch

    torch.set_num_threads(1)
    kind = getattr(torch, precision)
    t, architecture = artifact.tensors, artifact.architecture
    weight, bias = fold_head(t, architecture.batch_norm_epsilon)

    def constant(array: Any) -> Any:
        return torch.tensor(np.asarray(array, np.float32)).to(kind)

    embedding = constant(t["embedding"])
    forward, backward = (_lstm(torch, artifact, name).to(kind).eval() for name in ("forward", "backward"))
    w1, w2, v = (constant(t[f"attention.{name}.kernel"]) for name in ("w1", "w2", "v"))
    attention_bias = constant(t["attention.w1.bias"] + t["attention.w2.bias"])  # v's bias does not change a softmax
    head = constant(weight)[:, None]  # [2H, 1]

    def run(batch: Sequence[Ids]) -> tuple[Array, Sequence[Array]]:
        padded = pad_at_end(batch)
        ids, flip, last = (torch.from_numpy(x) for x in (padded.ids, padded.flip, padded.last))
        with torch.inference_mode():
            steps, width = ids.shape
            read, _ = forward(torch.nn.functional.embedding(ids, embedding))  # [T, B, H]
            reversed_ids = ids.flatten()[flip].view(steps, width)
            read_back, _ = backward(torch.nn.functional.embedding(reversed_ids, embedding))
            read, read_back = read.flatten(0, 1), read_back.flatten(0, 1)  # [T * B, H]
            states = torch.cat([read, read_back.index_select(0, flip)], 1)  # [T * B, 2H]
            query = torch.cat([read.index_select(0, last), read_back.index_select(0, last)], 1)  # [B, 2H]
            asked = torch.addmm(attention_bias, query, w2)  # [B, A]
            hidden = torch.tanh((states @ w1).view(steps, width, -1) + asked)  # [T, B, A]
            energy = (hidden @ v)[:, :, 0].float().masked_fill(ids == PAD, -torch.inf)  # [T, B]
            attention = torch.softmax(energy, 0)
            value = (states @ head).view(steps, width).float()
            logit = (attention * value).sum(0) + bias
        weights = attention.numpy()
        return logit.numpy(), [weights[: len(ids), column] for column, ids in enumerate(batch)]

    return lambda ids, batch_size: in_sorted_batches(run, ids, batch_size)


def _lstm(torch: Any, artifact: Artifact, direction: str) -> Any:
    """One direction as `nn.LSTM`, whose gates have our order (input, forget, cell, output), transposed."""
    t, architecture = artifact.tensors, artifact.architecture
    lstm = torch.nn.LSTM(architecture.embedding_dim, architecture.units)
    bias = t[f"lstm.{direction}.bias"]
    state = {
        "weight_ih_l0": t[f"lstm.{direction}.kernel"].T,
        "weight_hh_l0": t[f"lstm.{direction}.recurrent_kernel"].T,
        "bias_ih_l0": bias,
        "bias_hh_l0": np.zeros_like(bias),  # PyTorch adds both biases; we have one
    }
    lstm.load_state_dict({name: torch.tensor(np.ascontiguousarray(array)) for name, array in state.items()})
    return lstm
