"""The IMDB reviews as Keras ships them, `imdb.npz` and `imdb_word_index.json`: ranks of words in, ids out.

Keras' words differ slightly from ours: it read the line break `<br />` as a word `br`, one of its most frequent, which
our tokenizer never produces. So a model trained on these files scores texts that differ slightly from those it was
trained on.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import InputError
from batch_scorer.models.tokenizer import OOV, RESERVED, START

UNUSED = "<unused>"  # not a word that the tokenizer can produce
FIRST_RANK = len(RESERVED)  # Keras gives a word of rank r, from 1, the id r + 3: id 3 itself never occurs

Ids = npt.NDArray[np.int32]
Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RankedReviews:
    """N reviews as ranks of words (1 is the most frequent), their labels int8[N], and the rank of each word."""

    ranks: tuple[Ranks, ...]
    labels: npt.NDArray[np.int8]
    word_index: Mapping[str, int]

    def digests(self) -> list[str]:
        """The sha256 of each review's words, in hex: it identifies the review and decides its side of the split."""
        return [hashlib.sha256(ranks.astype("<i8").tobytes()).hexdigest() for ranks in self.ranks]

    def labelling(self) -> dict[str, Any]:
        """Where the labels come from, as a model's manifest keeps it."""
        counts = {"positive": int(self.labels.sum()), "negative": int((self.labels == 0).sum())}
        return {
            "column": "y_train",
            "positive": ["1"],
            "negative": ["0"],
            "counts": {**counts, "neither": 0, "missing": 0},
        }

    def fingerprint(self) -> str:
        """sha256 of reviews, labels and word index, independent of their order."""
        reviews = sorted(f"{d} {label}" for d, label in zip(self.digests(), self.labels.tolist(), strict=True))
        index = sorted(f"{rank} {word}" for word, rank in self.word_index.items())
        return hashlib.sha256("\n".join([*reviews, *index]).encode()).hexdigest()


def read_keras_files(reviews: Path, word_index: Path) -> RankedReviews:
    """Reads the training split of Keras' `imdb.npz` and its word index.

    Raises:
        InputError: a file is missing or is not the one that Keras ships.
    """
    try:
        with zipfile.ZipFile(reviews) as archive:
            ranks = [np.asarray(x, np.int64).reshape(-1) for x in _array(archive, "x_train")]
            labels = np.asarray(_array(archive, "y_train")).astype(np.int8)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise InputError(
            "the reviews are not those of Keras", where=str(reviews), got=f"{type(error).__name__}: {error}",
            expected="imdb.npz, with x_train (lists of ranks) and y_train", fix="check --data",
        ) from error  # fmt: skip
    if len(ranks) != len(labels) or set(labels.tolist()) != {0, 1}:
        raise InputError(
            "the labels do not match the reviews",
            where=str(reviews),
            expected="a 0 or a 1 for each review, and both of them",
            got=f"{len(labels):,} labels for {len(ranks):,} reviews; values {sorted(set(labels.tolist()))[:5]}",
            fix="download the file again",
        )
    try:
        index = json.loads(word_index.read_text(encoding="utf-8"))
        valid = all(type(rank) is int and rank > 0 and "\n" not in word for word, rank in index.items())
    except (OSError, ValueError, AttributeError) as error:
        raise _bad_index(word_index, f"{type(error).__name__}: {error}") from error
    if not valid:
        raise _bad_index(word_index, "other values, or words that contain a line break")
    return RankedReviews(tuple(ranks), labels, index)


def _bad_index(path: Path, got: str) -> InputError:
    expected = "imdb_word_index.json: an object of words and their ranks, from 1"
    return InputError(
        "the word index is not that of Keras", where=str(path), expected=expected, got=got, fix="check --word-index"
    )


def to_ids(ranks: Ranks, id_count: int) -> Ids:
    """A review of N words as ids, int32[1 + N]: the start mark, then rank + 3, or unknown if that is too high."""
    ids = ranks + FIRST_RANK
    return np.concatenate([[START], np.where(ids < id_count, ids, OOV)]).astype(np.int32)


def vocabulary_of(word_index: Mapping[str, int], id_count: int) -> list[str]:
    """The token of each id, or `UNUSED` if no word has that rank."""
    tokens = [*RESERVED, *[UNUSED] * (id_count - len(RESERVED))]
    for word, rank in word_index.items():
        if rank + FIRST_RANK < id_count:
            tokens[rank + FIRST_RANK] = word
    return tokens


def with_unused(vocabulary: Sequence[str]) -> list[str]:
    """A vocabulary of this project with id 3 left free, as in Keras' numbering."""
    return [*vocabulary[:FIRST_RANK], UNUSED, *vocabulary[FIRST_RANK:]]


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    """Reads an array from an npz file. Arrays of lists are pickles, which can hold code: only lists are accepted."""
    with archive.open(f"{name}.npy") as file:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(file)]
        _, _, dtype = read_header(file)
        if dtype.hasobject:
            return _Lists(file).load()  # type: ignore[no-any-return]
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


class _Lists(pickle.Unpickler):
    """Unpickles arrays of lists of numbers and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # its name before numpy 2
        if (module, name) not in {
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),  # how old pickles write bytes
        }:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in an array of lists")
        return getattr(importlib.import_module(module), name)
