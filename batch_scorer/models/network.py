"""The network: its sizes, its tensors, and its arithmetic written out in NumPy.

Shapes: B reviews, T tokens (padded on the left), E embedding values, H units per direction, A attention units, V ids.
The fast engine (`folded_engine`) and the Keras form (`keras_model`) are both tested against `forward` below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from batch_scorer.models.cells import GATES, GRU_RESET_AFTER, LSTM, read, sigmoid
from batch_scorer.models.splitting import SKIPPED
from batch_scorer.models.tokenizer import PAD

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
_T = TypeVar("_T")

QUERIES = ("h", "c", "hc", "none")
PRE, POST = "pre", "post"
# Fields of `Architecture` that say which variant it is. Of these, the manifest's first format knows the first two.
VARIANT = (
    *("recurrent_activation", "masked", "cell", "query", "attention_activation", "attention_masked"),
    *("position_bias", "batch_norm", "padding"),
)


@dataclass(frozen=True)
class Architecture:
    """The sizes of a bidirectional LSTM or GRU with additive attention, and which variant of it this is.

    Args:
        vocabulary_size: V, including the ids 0 (pad), 1 (start) and 2 (unknown).
        embedding_dim: E.
        units: H, of one direction.
        attention_units: A.
        max_length: the most ids that a review has, including the start mark.
        batch_norm_epsilon: added to the variance of the batch normalisation.
        recurrent_activation: of the gates, one of `cells.GATES`; `relu` in the notebook.
        masked: whether padding is ignored. Without a mask, as in the notebook, every review is padded to `max_length`
            ids, and the padding is read and attended to like words.
        cell: one of `cells.CELLS`.
        query: which last states of both directions the attention is asked with, one of `QUERIES`: `h` (the states), `c`
            (an LSTM's cell states), `hc` (both: forward h, forward c, backward h, backward c), or `none`.
        attention_activation: `tanh`, or `linear` for scores without it.
        attention_masked: whether the softmax leaves padding out. If only the recurrent layers do, the states of padding
            are zero, and it takes a share of the attention.
        position_bias: whether the attention adds a bias by position, counted in the padded review.
        batch_norm: whether there is a batch normalisation before the head, which is not already part of its weights.
        padding: `pre` or `post`: the side of a review on which it is padded to `max_length` ids.
    """

    vocabulary_size: int = 10_000
    embedding_dim: int = 128
    units: int = 128
    attention_units: int = 128
    max_length: int = 500
    batch_norm_epsilon: float = 1e-3
    recurrent_activation: str = "sigmoid"
    masked: bool = True
    cell: str = LSTM
    query: str = "h"
    attention_activation: str = "tanh"
    attention_masked: bool = True
    position_bias: bool = False
    batch_norm: bool = True
    padding: str = PRE

    @property
    def max_words(self) -> int:
        """The most words that are read of a review. With a mask, each review keeps its start mark, so that none is all
        padding; without one, the mark is cut off like any other id.
        """
        return self.max_length - self.masked

    @property
    def foldable(self) -> bool:
        """Whether the compiled engine knows it: padding must not change a state."""
        return self.masked

    @property
    def gates(self) -> int:
        """The parts of a kernel: four for an LSTM, three for a GRU."""
        return 4 if self.cell == LSTM else 3

    @property
    def cell_name(self) -> str:
        """What the names of its tensors begin with."""
        return "lstm" if self.cell == LSTM else "gru"

    def to_json(self) -> dict[str, Any]:
        """As in manifests: what is usual about the variant is omitted.

        So an artefact of the usual network is, byte for byte, what it was before there were variants. Older versions
        still load it, and refuse a variant, which they would score wrongly.
        """
        usual = {name: getattr(Architecture, name) for name in VARIANT}
        return {name: value for name, value in asdict(self).items() if (name, value) not in usual.items()}

    @property
    def needs_format_2(self) -> bool:
        """Whether it is a variant that the manifest's first format does not know."""
        return bool(self.to_json().keys() & set(VARIANT[2:]) or self.recurrent_activation.startswith("hard"))

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each tensor of the artefact; gates in Keras' order (`cells`)."""
        e, h, a, g = self.embedding_dim, self.units, self.attention_units, self.gates * self.units
        cell = {"kernel": (e, g), "recurrent_kernel": (h, g), "bias": (g,)}
        if self.cell == GRU_RESET_AFTER:
            cell["recurrent_bias"] = (g,)
        asked = {"none": 0, "hc": 4 * h}.get(self.query, 2 * h)
        name = self.cell_name
        return {
            "embedding": (self.vocabulary_size, e),
            **{f"{name}.{way}.{part}": shape for way in ("forward", "backward") for part, shape in cell.items()},
            "attention.w1.kernel": (2 * h, a),
            "attention.w1.bias": (a,),
            **({"attention.w2.kernel": (asked, a), "attention.w2.bias": (a,)} if asked else {}),
            **({"attention.position_bias": (self.max_length, a)} if self.position_bias else {}),
            "attention.v.kernel": (a, 1),
            "attention.v.bias": (1,),
            **({f"batch_norm.{x}": (2 * h,) for x in ("gamma", "beta", "mean", "variance")} if self.batch_norm else {}),
            "head.kernel": (2 * h, 1),
            "head.bias": (1,),
        }

    def cell_tensors(self, tensors: Mapping[str, _T], way: str) -> dict[str, _T]:
        """The tensors of one direction, `forward` or `backward`, by their last names."""
        prefix = f"{self.cell_name}.{way}."
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def fold_head(tensors: Mapping[str, Floats], epsilon: float) -> tuple[npt.NDArray[np.float64], float]:
    """Batch normalisation and the last layer as one linear map, in float64.

    Both are affine once training is over, so ``logit = bias + weight . context`` with
    ``weight = kernel * gamma / sqrt(variance + epsilon)`` (Ioffe and Szegedy 2015, section 3.1, folded).

    Returns:
        weight: float64[2H].
        bias: the logit of a review whose context is zero.
    """
    kernel = tensors["head.kernel"][:, 0].astype(np.float64)
    if "batch_norm.gamma" not in tensors:
        return kernel, float(tensors["head.bias"][0])
    scale = tensors["batch_norm.gamma"].astype(np.float64) / np.sqrt(
        tensors["batch_norm.variance"].astype(np.float64) + epsilon
    )
    shift = tensors["batch_norm.beta"].astype(np.float64) - scale * tensors["batch_norm.mean"].astype(np.float64)
    return kernel * scale, float(tensors["head.bias"][0] + kernel @ shift)


@dataclass(frozen=True)
class Forward:
    """What the network says about one review: ``logit = bias + contribution.sum()``.

    T is the number of its ids; without a mask, it is `max_length`, and the padding comes first.
    """

    logit: float
    bias: float
    attention: Doubles  # [T], sums to 1, but for what padding takes that no position stands for
    contribution: Doubles  # [T], signed, in logits


def forward(tensors: Mapping[str, Floats], architecture: Architecture, ids: npt.NDArray[np.int32]) -> Forward:
    """One review through the network, in float64, step by step.

    1. embed            x_t = embedding[id_t]
    2. read both ways   h_t = [forward cell up to t; backward cell down to t]   (`cells`)
    3. query            q = [last forward state; last backward state]
    4. attend           alpha = softmax_t(v . tanh(W1 h_t + W2 q))              (Bahdanau et al. 2015, A.1.2)
    5. decide           logit = bias + sum_t alpha_t (w . h_t)                  (batch norm folded: `fold_head`)

    The last line is the explanation: position t adds exactly ``alpha_t (w . h_t)`` to the logit
    (the additive form of attention pooling, Javed et al. 2022, section 3). Without W2 q, step 4 is the attention of
    Yang et al. 2016, section 2.2.

    Args:
        tensors: as in `Architecture.tensor_shapes`.
        ids: int32[n], as the tokenizer gives them, without padding. For a network without a mask, it is added here.
            Words that the tokenizer drops are `SKIPPED`: they are not read, and their numbers are 0.
    """
    t = {name: value.astype(np.float64) for name, value in tensors.items() if name != "embedding"}
    weight, bias = fold_head(tensors, architecture.batch_norm_epsilon)
    is_read = ids != SKIPPED
    words = ids[is_read]
    n, missing = len(words), 0 if architecture.masked else architecture.max_length - len(words)
    before = missing if architecture.padding == PRE else 0
    padded = np.concatenate([np.full(before, PAD, np.int32), words, np.full(missing - before, PAD, np.int32)])  # [T]
    if not len(padded):
        return Forward(bias, bias, np.zeros(len(ids)), np.zeros(len(ids)))
    states, query = _read_both_ways(tensors["embedding"][padded].astype(np.float64), t, architecture)
    attention = _attend(states, query, t, architecture)
    contribution = attention * (states @ weight)
    logit, found = bias + float(contribution.sum()), (attention, contribution)
    if missing and not before:
        found = tuple(np.roll(values, missing) for values in found)  # type: ignore[assignment]
    if n == len(ids):
        return Forward(logit, bias, *found)
    places = np.concatenate([np.arange(missing), missing + np.flatnonzero(is_read)])
    wide = np.zeros((2, missing + len(ids)))
    wide[:, places] = found
    return Forward(logit, bias, *wide)


def _read_both_ways(x: Doubles, t: Mapping[str, Doubles], architecture: Architecture) -> tuple[Doubles, Doubles]:
    """[T, E] -> states [T, 2H] and query [2H], or [4H], or [0] where there is none."""
    cell, gate = architecture.cell, GATES[architecture.recurrent_activation]
    ahead, memory = read(x, architecture.cell_tensors(t, "forward"), cell, gate)
    back, memory_back = read(x[::-1], architecture.cell_tensors(t, "backward"), cell, gate)
    last = {"h": [ahead[-1], back[-1]], "c": [memory, memory_back], "none": [np.zeros(0)]}
    last["hc"] = [ahead[-1], memory, back[-1], memory_back]
    return np.concatenate([ahead, back[::-1]], axis=1), np.concatenate(last[architecture.query])


def _attend(states: Doubles, query: Doubles, t: Mapping[str, Doubles], architecture: Architecture) -> Doubles:
    """[T, 2H] and the query -> attention [T], of which padding that was masked away has its share."""
    length = len(states)
    outside = 0 if architecture.attention_masked else architecture.max_length - length
    if outside:  # its states are zero
        pads = ((outside, 0) if architecture.padding == PRE else (0, outside), (0, 0))
        states = np.pad(states, pads)
    hidden = states @ t["attention.w1.kernel"] + t["attention.w1.bias"]  # [T, A]
    if len(query):
        hidden = hidden + query @ t["attention.w2.kernel"] + t["attention.w2.bias"]
    if architecture.position_bias:
        by_position = t["attention.position_bias"]
        hidden += by_position[-length:] if architecture.padding == PRE and not outside else by_position[: len(states)]
    if architecture.attention_activation == "tanh":
        hidden = np.tanh(hidden)
    scores = (hidden @ t["attention.v.kernel"] + t["attention.v.bias"])[:, 0]  # [T]
    attention = np.exp(scores - scores.max())
    attention /= attention.sum()
    shown: Doubles = attention[outside:] if architecture.padding == PRE else attention[:length]
    return shown


def probability(logit: Floats, temperature: float | Doubles) -> npt.NDArray[np.float32]:
    """P(positive), calibrated by temperature (Guo et al. 2017, section 4.2): float32, the shape of `logit`.

    Args:
        temperature: one for all, or one a review.
    """
    return sigmoid(np.asarray(logit, np.float32).astype(np.float64) / temperature).astype(np.float32)
