"""What a model computes, and how its texts are numbered -> the network, tensors and tokenizer of an artefact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.network import POST, PRE, Architecture, Floats
from batch_scorer.models.tokenizer import RESERVED, Tokenizer
from train.importing.refusal import refuse
from train.importing.values import Doubles, Energy, Probability
from train.importing.vectorization import Numbering

_FORWARD_H, _FORWARD_C, _BACKWARD_H, _BACKWARD_C = range(4)


@dataclass(frozen=True)
class Network:
    """All that an artefact needs of an imported model."""

    architecture: Architecture
    tensors: Mapping[str, Floats]
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Lengths:
    """How reviews are cut and padded: `pad_sequences`' arguments; None where they are not given."""

    maximum: int | None = None
    padding: str | None = None
    truncating: str | None = None


def build(found: Probability, numbering: Numbering, length: int, padding: str, truncating: str) -> Network:
    """The network of a probability.

    Args:
        length: ids that are read of a review.
        padding, truncating: `pre` or `post`.

    Raises:
        InputError: a shape does not fit, or a word cannot be written as a line.
    """
    energy = found.attention.energy
    source = energy.inner.source
    ids, table = _vocabulary(numbering, source.embedded.table)
    of_last = _blocks(energy.inner.of_last, source.units)
    query = _query(of_last)
    by_position = energy.inner.bias.ndim > 1
    if by_position and len(energy.inner.bias) != length:
        raise refuse(
            "the attention has a bias for another number of positions",
            "attention",
            f"{length} positions",
            len(energy.inner.bias),
            f"give --max-length {len(energy.inner.bias)}",
        )
    architecture = Architecture(
        vocabulary_size=len(ids),
        embedding_dim=table.shape[1],
        units=source.units,
        attention_units=len(energy.v),
        max_length=length,
        recurrent_activation=source.gate,
        masked=source.masked,
        cell=source.cell,
        query=query,
        attention_activation="tanh" if energy.is_tanh else "linear",
        attention_masked=found.attention.masked if source.masked else True,
        position_bias=by_position,
        batch_norm=False,
        padding=padding,
    )
    tensors = {"embedding": table, **_attention(energy, of_last, query, by_position)}
    name = architecture.cell_name
    for way, part in zip(("forward", "backward"), source.tensors, strict=True):
        tensors |= {f"{name}.{way}.{key}": value for key, value in part.items()}
    tensors |= {"head.kernel": found.weight[:, None], "head.bias": np.array([found.bias])}
    rules = replace(numbering.splitting, reads_first=truncating == POST)
    as_float32 = {key: np.ascontiguousarray(value, np.float32) for key, value in tensors.items()}
    return Network(architecture, as_float32, Tokenizer(tuple(ids), length, length, pattern=rules))


def _blocks(of_last: Doubles, units: int) -> list[Doubles]:
    """N [4H, A] -> what the query takes of each last state: 4 times [H, A]."""
    return [of_last[i * units : (i + 1) * units] for i in range(4)]


def _query(of_last: list[Doubles]) -> str:
    """Which last states the query takes, one of `network.QUERIES`."""
    h, c = (any(of_last[i].any() for i in pair) for pair in ((_FORWARD_H, _BACKWARD_H), (_FORWARD_C, _BACKWARD_C)))
    return "hc" if h and c else "c" if c else "h" if h else "none"


def _attention(energy: Energy, of_last: list[Doubles], query: str, by_position: bool) -> dict[str, Any]:
    a, bias = len(energy.v), energy.inner.bias
    tensors: dict[str, Any] = {
        "attention.w1.kernel": energy.inner.of_state,
        "attention.w1.bias": np.zeros(a) if by_position else bias,
        "attention.v.kernel": energy.v[:, None],
        "attention.v.bias": np.zeros(1),
    }
    if by_position:
        tensors["attention.position_bias"] = bias
    if query != "none":
        taken = [part for part, name in zip(of_last, "hchc", strict=True) if name in query]
        tensors |= {"attention.w2.kernel": np.vstack(taken), "attention.w2.bias": np.zeros(a)}
    return tensors


def _vocabulary(numbering: Numbering, table: Floats) -> tuple[list[str], npt.NDArray[np.floating[Any]]]:
    """The tokens, reserved ones first, and the row of each in the model's own table.

    Words whose ids the table does not have are unknown, as with `num_words`.
    """
    size = len(table)
    known = sorted((at, word) for word, at in numbering.ids.items() if 0 < at < size)
    known = [(at, word) for at, word in known if at not in (numbering.unknown, numbering.start)]
    if not known:
        raise refuse(
            "no word of the vocabulary has an id in the embedding",
            "--word-index",
            f"ids from 1 to {size - 1}",
            f"{len(numbering.ids):,} words",
            "give the word index that the model was trained with",
        )
    broken = next((word for _, word in known if "\n" in word or not word), None)
    if broken is not None:
        raise refuse("a word of the vocabulary is not one", "--word-index", "words without line ends", repr(broken))
    blank = np.zeros(table.shape[1])
    rows = [table[0]]
    for at in (numbering.start, numbering.unknown):
        rows.append(table[at] if at is not None and at < size else blank)
    rows += [table[at] for at, _ in known]
    return [*RESERVED, *(word for _, word in known)], np.array(rows)


def settled(numbering: Numbering, lengths: Lengths, length: int | None, is_vectorized: bool) -> tuple[int, str, str]:
    """How reviews are cut and padded, by what is given and what the model says.

    Args:
        length: that the model was built for.
        is_vectorized: whether a `TextVectorization` layer does it, after the words.

    Raises:
        InputError: nothing says how many ids are read, or two things contradict each other.
    """
    if length is not None and lengths.maximum not in (None, length):
        raise refuse("the model reads another number of ids", "--max-length", str(length), lengths.maximum,
                     "leave --max-length out")  # fmt: skip
    found = length or lengths.maximum
    if found is None:
        raise refuse(
            "the model does not say how many words it reads",
            "--max-length",
            "the maxlen of pad_sequences in training",
            "an input of any length",
            "give --max-length N",
        )
    usual = POST if is_vectorized else PRE
    return found, lengths.padding or usual, lengths.truncating or usual
