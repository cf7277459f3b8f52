"""A layer of a class that the file does not explain -> the additive attention that its weights can be.

Of the usual spellings, with D features of a state, Q of the query, A attention units and T positions:

    Yang et al. 2016       tanh(h W + b) . u              W [D, A], b [A], u [A]
    with one column        tanh(h W + b)                  W [D, 1], b [T, 1] or [1]
    Zhou et al. 2016       tanh(h) . w                    w [D, 1]
    Bahdanau et al. 2015   tanh(h W1 + q W2 + b) . v      W1 [D, A], W2 [Q, A], v [A, 1]

Biases of the sum can belong to either product, and one after it shifts all scores alike, which softmax ignores.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from train.importing.layers import Given
from train.importing.values import (
    Attention,
    Context,
    Doubles,
    Energy,
    Mask,
    Sequence_,
    Vector,
    times,
)

FITS = (
    "an attention of the states with weights W [D, A], b [A], u [A]; W [D, 1], b [T, 1]; w [D, 1]; "
    "or, with a query, W1 [D, A], W2 [Q, A], v [A, 1]"
)
Option = tuple[str, Any]


@dataclass(frozen=True)
class _Form:
    """One way to read the weights: which is W [D, A], v [A], and W2 [Q, A], and the sum of the biases."""

    kernel: Doubles
    v: Doubles
    bias: Doubles
    query: Doubles | None = None
    is_tanh: bool = True
    says: str = ""


def own_layer(given: Given) -> Context:
    """The context that a layer of one's own computes, by the reading that is chosen."""
    states = [x for x in given.values if isinstance(x, Sequence_)]
    asked = [x for x in given.values if isinstance(x, Vector)]
    others = [x for x in given.values if not isinstance(x, Sequence_ | Vector | Mask)]
    if len(states) != 1 or others or not states[0].is_of_states or states[0].bias.ndim > 1:
        raise given.refuse("the states, and the last ones as a query", what="a layer of its own class does not fit")
    (value,) = states
    forms = list(_forms(given, value, asked))
    if not forms:
        got = ", ".join(f"{weight.path} {list(weight.values.shape)}" for weight in given.weights[:10]) or "no weights"
        expected = FITS.replace("D", str(value.features), 1)
        raise given.refuse(expected, got, "a layer of its own class is no attention by its weights")
    form = given.choose(f"layer {given.layer.name!r}", *((form.says, form) for form in forms))
    inner = times(value, form.kernel, form.bias)
    if form.query is not None:
        inner = replace(inner, of_last=_query(given, asked, form.query))
    attention = Attention(Energy(inner, form.v, form.is_tanh), _masked(given, value))
    return Context(attention, value.of_state, value.bias)


def _masked(given: Given, value: Sequence_) -> bool:
    """Whether the softmax leaves padding out: a layer of its own may heed a mask or not."""
    if not value.source.masked:
        return False
    applied, ignored = ("padding left out", True), ("padding attended to, with states of zero", False)
    name = f"layer {given.layer.name!r}, the mask"
    if not given.masks_written:
        return bool(given.choose(name, applied, ignored))
    first, second = (applied, ignored) if given.mask else (ignored, applied)
    return bool(given.choose(name, first, further=(second,)))


def _forms(given: Given, value: Sequence_, asked: Sequence[Vector]) -> Iterator[_Form]:
    """All ways to read the weights."""
    found = [(weight.path, weight.values.astype(np.float64)) for weight in given.weights]
    if any(x.ndim > 2 for _, x in found):
        return
    vectors = [(path, x) for path, x in found if x.size > 1 and (x.ndim == 1 or 1 in x.shape)]
    kernels = [(path, x) for path, x in found if x.ndim == 2 and 1 not in x.shape]
    scalars = [x for _, x in found if x.size == 1]
    if not kernels:
        yield from _single_column(value, [x.reshape(-1) for _, x in vectors], scalars)
    elif len(kernels) == 1 and not asked:
        for v, bias, which in _vectors(kernels[0][1].shape[1], vectors):
            yield _Form(kernels[0][1], v, bias, says=which or "tanh(h W + b) . u")
    elif len(kernels) == 2 and asked:
        for (name, w), (other, q) in permutations(kernels):
            if len(w) == value.features and q.shape[1] == w.shape[1] and _queries(asked, len(q)):
                for v, bias, which in _vectors(w.shape[1], vectors):
                    says = f"{name} takes the states and {other} the query"
                    yield _Form(w, v, bias, q, says=", ".join(x for x in (says, which) if x))


def _single_column(value: Sequence_, columns: Sequence[Doubles], scalars: Sequence[Doubles]) -> Iterator[_Form]:
    """W [D, 1], and a bias for all positions or for each."""
    d, length = value.features, value.source.embedded.ids.length
    columns = sorted(columns, key=lambda x: len(x) != d)
    if not columns or len(columns) + len(scalars) > 2 or len(columns[0]) != d:
        return
    kernel, one = columns[0][:, None], np.ones(1)
    if len(columns) == 2:
        if length in (None, len(columns[1])):
            yield _Form(kernel, one, columns[1][:, None], says="tanh(h W + b), b by position")
        return
    yield _Form(kernel, one, scalars[0].reshape(1) if scalars else np.zeros(1), says="tanh(h W + b)")
    if not scalars:
        yield _Form(np.eye(d), columns[0], np.zeros(d), says="tanh(h) . w")


def _vectors(a: int, found: Sequence[tuple[str, Doubles]]) -> Iterator[tuple[Doubles, Doubles, str]]:
    """Which of the arrays [A] is v, and the sum of the others, which are biases.

    A column [A, 1] beside plain arrays is v; otherwise a name may say which is a bias.
    """
    if any(x.size != a for _, x in found):
        return
    columns = [i for i, (_, x) in enumerate(found) if x.ndim == 2 and x.shape[1] == 1]
    candidates = columns if len(columns) == 1 else [i for i, (path, _) in enumerate(found) if not _is_bias(path)]
    for i in candidates:
        others = [x.reshape(-1) for j, (_, x) in enumerate(found) if j != i]
        bias = np.sum(others, axis=0) if others else np.zeros(a)
        yield found[i][1].reshape(-1), bias, f"{found[i][0]} is v" if len(candidates) > 1 else ""


def _is_bias(path: str) -> bool:
    """Whether a name says that it is a bias: `bias`, `b`, `att_b`; or the second variable of a layer in the layer."""
    owner, _, name = path.rpartition("/")
    if name.isdigit():
        return name == "1" and owner not in ("", "vars")
    return re.search(r"(^|_)b(ias)?(\d|_|$)", name.lower()) is not None


def _queries(asked: Sequence[Vector], size: int) -> list[Option]:
    """What the query can be: the last states that the layer is given, in some order, if they have this size."""
    found = [("as it is given", asked[0])] if len(asked) == 1 and asked[0].of_last.shape[1] == size else []
    if len(asked) < 2:
        return list(found)
    names = [_name(x) for x in asked]
    if sum(x.of_last.shape[1] for x in asked) == size and len(asked) > 2:
        return [("all, as they are given", _joined(asked))]
    for pair in permutations(range(len(asked)), 2):
        letters = {names[i][-1] for i in pair}
        if len(letters) == 1 and sum(asked[i].of_last.shape[1] for i in pair) == size:
            found.append((" then ".join(names[i] for i in pair), _joined([asked[i] for i in pair])))
    found += [(name, x) for name, x in zip(names, asked, strict=True) if x.of_last.shape[1] == size]
    return found


def _query(given: Given, asked: Sequence[Vector], kernel: Doubles) -> Doubles:
    options = _queries(asked, len(kernel))
    query = given.choose(f"layer {given.layer.name!r}, the query", *options)
    return np.asarray(query.of_last @ kernel)


def _name(vector: Vector) -> str:
    """Which last state it is, its letter last: `forward h`."""
    h = vector.source.units
    parts = [bool(vector.of_last[i * h : (i + 1) * h].any()) for i in range(4)]
    names = ("forward h", "forward c", "backward h", "backward c")
    return " and ".join(name for name, is_in in zip(names, parts, strict=True) if is_in) or "nothing"


def _joined(vectors: Sequence[Vector]) -> Vector:
    of_last = np.hstack([x.of_last for x in vectors])
    return Vector(vectors[0].source, of_last, np.concatenate([x.bias for x in vectors]))
