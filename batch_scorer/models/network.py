"""The network: its sizes, its tensors, and its arithmetic written out in NumPy.

Shapes: B reviews, T tokens (padded on the left), E embedding values, H units per direction, A attention units, V ids.
The fast engine (`folded_engine`) and the Keras form (`keras_model`) are both tested against `forward` below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import PAD

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Architecture:
    """The sizes of a bidirectional LSTM with additive attention, and which variant of it this is.

    Args:
        vocabulary_size: V, including the ids 0 (pad), 1 (start) and 2 (unknown).
        embedding_dim: E.
        units: H, of one direction.
        attention_units: A.
        max_length: the most ids that a review has, including the start mark.
        batch_norm_epsilon: added to the variance of the batch normalisation.
        recurrent_activation: of the gates: `sigmoid`, or `relu` as in the notebook.
        masked: whether padding is ignored. Without a mask, as in the notebook, every review is padded to `max_length`
            ids, and the padding is read and attended to like words.
    """

    vocabulary_size: int = 10_000
    embedding_dim: int = 128
    units: int = 128
    attention_units: int = 128
    max_length: int = 500
    batch_norm_epsilon: float = 1e-3
    recurrent_activation: str = "sigmoid"
    masked: bool = True

    @property
    def max_words(self) -> int:
        """The most words that are read of a review. With a mask, each review keeps its start mark, so that none is all
        padding; without one, the mark is cut off like any other id.
        """
        return self.max_length - self.masked

    @property
    def foldable(self) -> bool:
        """Whether it is the usual network, which the compiled engine knows, rather than the notebook's variant."""
        return self.masked and self.recurrent_activation == "sigmoid"

    def to_json(self) -> dict[str, Any]:
        """As in manifests: what is usual about the variant is omitted.

        So an artefact of the usual network is, byte for byte, what it was before there were variants. Older versions
        still load it, and refuse a variant, which they would score wrongly.
        """
        usual = {"recurrent_activation": "sigmoid", "masked": True}
        return {name: value for name, value in asdict(self).items() if (name, value) not in usual.items()}

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each tensor of the artefact; gates in Keras' order input, forget, cell, output."""
        e, h, a = self.embedding_dim, self.units, self.attention_units
        lstm = {"kernel": (e, 4 * h), "recurrent_kernel": (h, 4 * h), "bias": (4 * h,)}
        return {
            "embedding": (self.vocabulary_size, e),
            **{f"lstm.{way}.{name}": shape for way in ("forward", "backward") for name, shape in lstm.items()},
            "attention.w1.kernel": (2 * h, a),
            "attention.w1.bias": (a,),
            "attention.w2.kernel": (2 * h, a),
            "attention.w2.bias": (a,),
            "attention.v.kernel": (a, 1),
            "attention.v.bias": (1,),
            **{f"batch_norm.{name}": (2 * h,) for name in ("gamma", "beta", "mean", "variance")},
            "head.kernel": (2 * h, 1),
            "head.bias": (1,),
        }


def fold_head(tensors: Mapping[str, Floats], epsilon: float) -> tuple[npt.NDArray[np.float64], float]:
    """Batch normalisation and the last layer as one linear map, in float64.

    Both are affine once training is over, so ``logit = bias + weight . context`` with
    ``weight = kernel * gamma / sqrt(variance + epsilon)`` (Ioffe and Szegedy 2015, section 3.1, folded).

    Returns:
        weight: float64[2H].
        bias: the logit of a review whose context is zero.
    """
    kernel = tensors["head.kernel"][:, 0].astype(np.float64)
    scale = tensors["batch_norm.gamma"].astype(np.float64) / np.sqrt(
        tensors["batch_norm.variance"].astype(np.float64) + epsilon
    )
    shift = tensors["batch_norm.beta"].astype(np.float64) - scale * tensors["batch_norm.mean"].astype(np.float64)
    return kernel * scale, float(tensors["head.bias"][0] + kernel @ shift)


@dataclass(frozen=True)
class Forward:
    """What the network says about one review: ``logit = bias + contribution.sum()``.

    T is the number of its ids; without a mask, it is `max_length`.
    """

    logit: float
    bias: float
    attention: npt.NDArray[np.float64]  # [T], sums to 1
    contribution: npt.NDArray[np.float64]  # [T], signed, in logits


def forward(tensors: Mapping[str, Floats], architecture: Architecture, ids: npt.NDArray[np.int32]) -> Forward:
    """One review through the network, in float64, step by step.

    1. embed            x_t = embedding[id_t]
    2. read both ways   h_t = [forward LSTM up to t; backward LSTM down to t]   (Hochreiter and Schmidhuber 1997)
    3. query            q = [last forward state; last backward state]
    4. attend           alpha = softmax_t(v . tanh(W1 h_t + W2 q))              (Bahdanau et al. 2015, A.1.2)
    5. decide           logit = bias + sum_t alpha_t (w . h_t)                  (batch norm folded: `fold_head`)

    The last line is the explanation: position t adds exactly ``alpha_t (w . h_t)`` to the logit
    (the additive form of attention pooling, Javed et al. 2022, section 3).

    Args:
        tensors: as in `Architecture.tensor_shapes`.
        ids: int32[n], as the tokenizer gives them, without padding. For a network without a mask, it is added here.
    """
    if not architecture.masked:
        ids = np.concatenate([np.full(architecture.max_length - len(ids), PAD, np.int32), ids])  # [T]
    gate = {"sigmoid": sigmoid, "relu": relu}[architecture.recurrent_activation]
    t = {name: value.astype(np.float64) for name, value in tensors.items() if name != "embedding"}
    x = tensors["embedding"][ids].astype(np.float64)  # [T, E]
    ahead = _lstm(x, t, "forward", gate)  # [T, H]
    back = _lstm(x[::-1], t, "backward", gate)[::-1]  # [T, H]
    states = np.concatenate([ahead, back], axis=1)  # [T, 2H]
    query = np.concatenate([ahead[-1], back[0]])  # [2H]
    hidden = states @ t["attention.w1.kernel"] + t["attention.w1.bias"]  # [T, A]
    hidden = np.tanh(hidden + query @ t["attention.w2.kernel"] + t["attention.w2.bias"])
    scores = (hidden @ t["attention.v.kernel"] + t["attention.v.bias"])[:, 0]  # [T]
    attention = np.exp(scores - scores.max())
    attention /= attention.sum()
    weight, bias = fold_head(tensors, architecture.batch_norm_epsilon)
    contribution = attention * (states @ weight)
    return Forward(bias + float(contribution.sum()), bias, attention, contribution)


def _lstm(
    x: npt.NDArray[np.float64],
    t: Mapping[str, npt.NDArray[np.float64]],
    way: str,
    gate: Callable[[Floats], npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    recurrent = t[f"lstm.{way}.recurrent_kernel"]
    h = c = np.zeros(recurrent.shape[0])
    out = []
    for z in x @ t[f"lstm.{way}.kernel"] + t[f"lstm.{way}.bias"]:
        i, f, g, o = np.split(z + h @ recurrent, 4)
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        out.append(h)
    return np.array(out)


def sigmoid(x: Floats) -> npt.NDArray[np.float64]:
    """1 / (1 + e^-x), without overflow for any finite x."""
    return 0.5 + 0.5 * np.tanh(0.5 * np.asarray(x, np.float64))


def relu(x: Floats) -> npt.NDArray[np.float64]:
    """max(x, 0)."""
    return np.maximum(np.asarray(x, np.float64), 0.0)


def probability(logit: Floats, temperature: float | Doubles) -> npt.NDArray[np.float32]:
    """P(positive), calibrated by temperature (Guo et al. 2017, section 4.2): float32, the shape of `logit`.

    Args:
        temperature: one for all, or one a review.
    """
    return sigmoid(np.asarray(logit, np.float32).astype(np.float64) / temperature).astype(np.float32)
