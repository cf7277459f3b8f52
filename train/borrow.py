"""Pre-trained tensors from a file -> those for the words of this data, which are matched by name.

Shapes as in `batch_scorer.models.network`; V ids here, W in the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import InputError
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import OOV, RESERVED

# As `train.pretrain` trains them; here by name, since that module takes TensorFlow, and options are checked before.
DIRECTIONS = ("forward", "backward")
TENSORS = (
    "embedding",
    *(f"lstm.{way}.{part}" for way in DIRECTIONS for part in ("kernel", "recurrent_kernel", "bias")),
)
ENOUGH = 0.5  # of all words in the texts have to be known; a language shares up to a fifth or so with another one
NOISE = 0.1  # of the spread of the embeddings: the new words begin alike, not the same

_EXPECTED = "pretrained.npz, from the work directory of a run with --preset full"


@dataclass(frozen=True)
class Borrowed:
    """Pre-trained tensors for the V ids of some data.

    Args:
        tensors: `TENSORS`, the embedding before its normalisation.
        matched, words: how many of the words of the data the file has, and how many words there are.
        share: of all words in the texts, those that it has.
    """

    tensors: dict[str, Floats]
    matched: int
    words: int
    share: float

    def sentence(self) -> str:
        """What became of the words, for the user."""
        known = f"{self.matched:,} of {self.words:,} words are pre-trained"
        if self.matched == self.words:
            return known
        return f"{known}, {self.share:.1%} of the text; the others start as the unknown word"


def borrow(
    path: Path, vocabulary: Sequence[str], counts: npt.NDArray[np.int64], architecture: Architecture, seed: int = 0
) -> Borrowed:
    """Reads pre-trained tensors, which may be of other data.

    A word of the same name gets its embedding. A word that the file lacks gets that of the unknown word, as which
    pre-training read all rare words, and a little noise. Both LSTM directions stay as they are, but for their first
    step: embeddings are normalised over all occurrences of words (Miyato et al. 2017, eq. 3), which are others now, so
    the kernel and the bias take over the difference, and texts of shared words are read as they were.

    Args:
        vocabulary: the token of each id of the data.
        counts: int64[V], how often each occurs.
        architecture: whose sizes the tensors must have; its vocabulary does not matter.
        seed: of the noise.

    Raises:
        InputError: there is no such file, it is not one of pre-training, its tensors have other sizes, or it has fewer
            than `ENOUGH` of the words in the texts.
    """
    stored = _read(path)
    _check_sizes(path, stored, architecture)
    theirs, old_counts = stored["vocabulary"].tolist(), stored["counts"]
    tensors = {name: stored[name] for name in TENSORS}
    words = len(vocabulary) - len(RESERVED)
    if theirs == list(vocabulary) and np.array_equal(old_counts, counts):
        return Borrowed(tensors, words, words, 1.0)
    row_of = {token: row for row, token in enumerate(theirs)}
    rows = np.array([row_of.get(token, OOV) for token in vocabulary])
    known = np.array([token in row_of for token in vocabulary])
    text = counts.astype(np.float64) * (np.arange(len(counts)) >= len(RESERVED))
    matched, share = int(known[len(RESERVED) :].sum()), float(text[known].sum() / max(text.sum(), 1))
    if share < ENOUGH:
        raise InputError(
            "the pre-trained tensors know too few of the words of this data",
            where=str(path),
            expected=f"at least {ENOUGH:.0%} of the words in its texts",
            got=f"{matched:,} of {words:,} words, which are {share:.1%} of those in the texts",
            fix="check that both are in one language, or leave --pretrained out to pre-train on this data",
        )
    embedding = tensors["embedding"]
    taken = embedding[rows]
    noise = np.random.default_rng(seed).normal(0, NOISE, (int((~known).sum()), embedding.shape[1]))
    taken[~known] += (noise * embedding.std(axis=0)).astype(embedding.dtype)
    tensors |= {"embedding": taken, **_rescaled(tensors, _spread(embedding, old_counts), _spread(taken, counts))}
    return Borrowed(tensors, matched, words, share)


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not path.is_file():
        raise InputError(
            "the pre-trained tensors do not exist", where=str(path), expected=_EXPECTED,
            fix="check --pretrained, or leave it out to pre-train",
        )  # fmt: skip
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in ("vocabulary", "counts", *TENSORS)}
    except (OSError, KeyError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            "the file does not hold pre-trained tensors", where=str(path), expected=_EXPECTED,
            got=f"{type(error).__name__}: {error}", fix="check --pretrained, or leave it out to pre-train",
        ) from error  # fmt: skip


def _check_sizes(path: Path, stored: Mapping[str, npt.NDArray[Any]], architecture: Architecture) -> None:
    """Refuses tensors of a network of other sizes; the number of ids is that of the file."""
    shapes = architecture.tensor_shapes()
    expected = {name: shapes[name] for name in TENSORS}
    expected["embedding"] = (stored["vocabulary"].size, architecture.embedding_dim)
    expected["counts"] = expected["vocabulary"] = (stored["vocabulary"].size,)
    for name, shape in expected.items():
        if stored[name].shape != shape or (name in TENSORS and stored[name].dtype != np.float32):
            raise InputError(
                "the pre-trained tensors are of a network of another shape", where=f"{path}, {name}",
                expected=f"float32 {list(shape)}" if name in TENSORS else str(list(shape)),
                got=f"{stored[name].dtype} {list(stored[name].shape)}",
                fix="give the pretrained.npz of a run with the sizes of this one, or leave --pretrained out",
            )  # fmt: skip
    counts = stored["counts"]
    if counts.dtype.kind not in "iu" or counts.min(initial=1) < 0 or not counts.any():
        raise InputError(
            "the file does not hold pre-trained tensors", where=f"{path}, counts",
            expected="how often each word occurs", got=f"{counts.dtype}",
            fix="check --pretrained, or leave it out to pre-train",
        )  # fmt: skip


def _spread(embedding: Floats, counts: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Mean and standard deviation over all occurrences of words, as `train.network.normalised` has them: [E] each."""
    frequency = (counts / counts.sum())[:, None]
    mean = (frequency * embedding).sum(axis=0)
    return mean, np.sqrt((frequency * np.square(embedding - mean)).sum(axis=0) + 1e-6)


def _rescaled(
    tensors: Mapping[str, Floats], old: tuple[Floats, Floats], new: tuple[Floats, Floats]
) -> dict[str, Floats]:
    """Kernels and biases that read what `new` normalises as they read what `old` normalised."""
    (old_mean, old_scale), (mean, scale) = old, new
    out = {}
    for way in DIRECTIONS:
        kernel = tensors[f"lstm.{way}.kernel"]  # [E, 4H]
        bias = tensors[f"lstm.{way}.bias"] + ((mean - old_mean) / old_scale) @ kernel
        out[f"lstm.{way}.kernel"] = (kernel * (scale / old_scale)[:, None]).astype(np.float32)
        out[f"lstm.{way}.bias"] = bias.astype(np.float32)
    return out
