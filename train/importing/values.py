"""What the tensors of a model mean, as far as an import has to know: never their values, only how they come about.

Shapes: E embedding values, H units a direction, D features, A attention units, T positions. h_t [2H] is the state at a
position, q [4H] the last states of both directions: forward h, forward c, backward h, backward c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Text:
    """Strings."""


@dataclass(frozen=True)
class Ids:
    """Numbers of words [B, T].

    Args:
        length: T, if the model says so.
        vectorization: the settings and vocabulary of the layer that makes them, if that is part of the model.
    """

    length: int | None
    vectorization: Any = None


@dataclass(frozen=True)
class Mask:
    """Where ids are not 0 [B, T]."""


@dataclass(frozen=True)
class Embedded:
    """Rows of a table [V, E], one a position."""

    ids: Ids
    table: npt.NDArray[np.floating[Any]]
    masked: bool


@dataclass(frozen=True)
class Recurrent:
    """A bidirectional layer: the tensors of each direction, and what it reads.

    Args:
        cell: one of `cells.CELLS`.
        gate: one of `cells.GATES`.
        tensors: of the forward and of the backward direction, by their last names in the artefact.
        masked: whether it leaves padding out.
    """

    embedded: Embedded
    units: int
    cell: str
    gate: str
    tensors: Sequence[dict[str, npt.NDArray[np.floating[Any]]]]
    masked: bool


@dataclass(frozen=True)
class Sequence_:
    """An affine function of the state and of the last states at each position: h_t M + q N + b.

    Args:
        of_state: M [2H, D].
        of_last: N [4H, D].
        bias: b [D], or [T, D].
        masked: whether the tensor carries a mask, unseen (Keras 2, sequential models).
    """

    source: Recurrent
    of_state: Doubles
    of_last: Doubles
    bias: Doubles
    masked: bool = False

    @property
    def features(self) -> int:
        return int(self.of_state.shape[1])

    @property
    def is_of_states(self) -> bool:
        """Whether the last states have no part in it."""
        return not self.of_last.any()


@dataclass(frozen=True)
class Vector:
    """An affine function of the last states: q N + b, [B, D] or [B, 1, D]."""

    source: Recurrent
    of_last: Doubles
    bias: Doubles


@dataclass(frozen=True)
class Hidden:
    """tanh of a `Sequence_`."""

    inner: Sequence_


@dataclass(frozen=True)
class Energy:
    """A score for each position: f(inner) . v, f being tanh or nothing.

    Args:
        axes: of the tensor, after the batch: `t1` is [B, T, 1], `t` is [B, T], `1t` is [B, 1, T].
    """

    inner: Sequence_
    v: Doubles
    is_tanh: bool
    axes: str = "t1"


@dataclass(frozen=True)
class Attention:
    """Softmax of an `Energy` over positions.

    Args:
        masked: whether padding is left out.
        axes: as in `Energy`; `td` and `dt` have it repeated for each feature.
    """

    energy: Energy
    masked: bool
    axes: str = "t1"


@dataclass(frozen=True)
class Weighted:
    """The states by their attention, position by position [B, T, D]."""

    attention: Attention
    states: Sequence_


@dataclass(frozen=True)
class Context:
    """An affine function of the sum of the states by their attention: c M + b, [B, D].

    Args:
        of_context: M [2H, D].
        bias: b [D].
    """

    attention: Attention
    of_context: Doubles
    bias: Doubles


@dataclass(frozen=True)
class Probability:
    """P(positive): sigmoid of c . weight + bias."""

    attention: Attention
    weight: Doubles  # [2H]
    bias: float
    how: str = field(default="one sigmoid", compare=False)


def states_of(source: Recurrent, of_state: Doubles | None = None, masked: bool = False) -> Sequence_:
    """The states themselves, or a linear function of them."""
    of_state = np.eye(2 * source.units) if of_state is None else of_state
    return Sequence_(
        source, of_state, np.zeros((4 * source.units, of_state.shape[1])), np.zeros(of_state.shape[1]), masked
    )


def last_of(source: Recurrent, part: int) -> Vector:
    """One of the four last states."""
    h = source.units
    return Vector(source, np.eye(4 * h)[:, part * h : (part + 1) * h], np.zeros(h))


def times(value: Any, kernel: Doubles, bias: Doubles | float = 0.0) -> Any:
    """A linear layer after an affine function: kernel [D, D'], bias [D']."""
    moved = value.bias @ kernel + bias
    if isinstance(value, Sequence_):
        return replace(value, of_state=value.of_state @ kernel, of_last=value.of_last @ kernel, bias=moved)
    if isinstance(value, Vector):
        return replace(value, of_last=value.of_last @ kernel, bias=moved)
    return replace(value, of_context=value.of_context @ kernel, bias=moved)


def energy_of(value: Any) -> Energy | None:
    """What a softmax would run over, if `value` is a score for each position."""
    if isinstance(value, Energy):
        return value
    inner, is_tanh = (value.inner, True) if isinstance(value, Hidden) else (value, False)
    if isinstance(inner, Sequence_) and inner.features == 1:
        return Energy(inner, np.ones(1), is_tanh)
    return None


def described(value: Any) -> str:
    """A value in words, for messages."""
    names = {
        Text: "text",
        Ids: "ids of words",
        Mask: "a mask",
        Embedded: "embedded words",
        Sequence_: "a linear function of the states, position by position",
        Vector: "the last states",
        Hidden: "the tanh of a linear function of the states",
        Energy: "a score for each position",
        Attention: "attention",
        Weighted: "states by their attention",
        Context: "the context of the attention",
        Probability: "a probability",
    }
    if isinstance(value, list):
        return " and ".join(described(x) for x in value) or "nothing"
    return names.get(type(value), f"{value!r:.60}")
