"""Classes of words that must not matter: the members of a class share one id, so that a swap cannot change a score.

`word_classes.toml` holds the lists. V is the size of the vocabulary, E that of an embedding.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import OptionError
from batch_scorer.models.network import Floats
from batch_scorer.models.tokenizer import OOV

LISTS = Path(__file__).with_name("word_classes.toml")

_one_word = re.compile(r"[\w']+\Z")


@dataclass(frozen=True)
class WordClass:
    """A class of words, in lower case.

    Args:
        tied: words that share one id.
        swapped: words with a meaning of their own besides, which keep their ids.
        phrases: members of several words, as written in the middle of a sentence.
    """

    name: str
    tied: tuple[str, ...]
    swapped: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


def read_classes(path: Path = LISTS) -> list[WordClass]:
    """Reads the classes. One marked `possessive` gives a second class, of its members with *'s*.

    Raises:
        ValueError: a member is not one word in lower case, or is listed twice.
    """
    classes, seen = [], set()
    for name, lists in tomllib.loads(path.read_text(encoding="utf-8")).items():
        tied, swapped = (tuple(lists.get(kind, "").split()) for kind in ("tied", "swapped"))
        for word in (*tied, *swapped):
            if not _one_word.match(word) or word != word.lower() or word in seen:
                raise ValueError(f"{path}, {name}: {word!r} is not one word in lower case, or is listed twice")
            seen.add(word)
        classes.append(WordClass(name, tied, swapped, tuple(lists.get("phrases", ()))))
        if lists.get("possessive"):
            classes.append(WordClass(f"{name}_possessive", tuple(f"{word}'s" for word in tied)))
    return classes


def chosen(classes: Sequence[WordClass], names: str) -> list[WordClass]:
    """The classes that a recipe names: `all`, `none`, or names separated by commas.

    Raises:
        OptionError: there is no such class.
    """
    if names in ("all", "none"):
        return list(classes) if names == "all" else []
    known = {word_class.name: word_class for word_class in classes}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise OptionError(
                "there is no such class of words", expected=", ".join(["all", "none", *known]), got=name,
                fix="choose from train/material/word_classes.toml",
            )  # fmt: skip
    return [known[name] for name in wanted]


def aliases(classes: Sequence[WordClass], vocabulary: Sequence[str], counts: npt.NDArray[np.int64]) -> dict[str, int]:
    """The id of each tied word whose id changes: that of the most frequent member of its class.

    A class without a member in the vocabulary has no aliases: all its words are unknown anyway.

    Args:
        vocabulary: the token of each of the V ids.
        counts: int64[V], how often each occurs.

    >>> aliases([WordClass("articles", ("a", "an"))], ["", "", "", "a", "an"], np.array([0, 0, 0, 9, 4]))
    {'an': 3}
    """
    id_of = {token: i for i, token in enumerate(vocabulary) if i > OOV}
    out: dict[str, int] = {}
    for word_class in classes:
        known = [id_of[word] for word in word_class.tied if word in id_of]
        if known:
            leader = max(known, key=lambda i: (counts[i], -i))
            out |= {word: leader for word in word_class.tied if id_of.get(word) != leader}
    return out


def tied_counts(
    counts: npt.NDArray[np.int64], vocabulary: Sequence[str], merged: Mapping[str, int]
) -> npt.NDArray[np.int64]:
    """How often each id occurs once the words of `merged` have other ids: int64[V]; an id given up has 0."""
    out = counts.copy()
    for old, token in enumerate(vocabulary):
        if token in merged:
            out[merged[token]] += counts[old]
            out[old] = 0
    return out


def tied_embedding(
    embedding: Floats, counts: npt.NDArray[np.int64], vocabulary: Sequence[str], merged: Mapping[str, int]
) -> Floats:
    """Embeddings in which a shared id has the mean of its words', weighted by how often they occur: float32[V, E].

    The rows of ids given up stay as they were; nothing reads them.

    Args:
        embedding: float32[V, E].
        counts: int64[V], from before the words shared ids.
    """
    out = embedding.copy()
    members: dict[int, list[int]] = {}
    for old, token in enumerate(vocabulary):
        if token in merged:
            members.setdefault(merged[token], [merged[token]]).append(old)
    for leader, rows in members.items():
        out[leader] = np.average(embedding[rows], axis=0, weights=np.maximum(counts[rows], 1))
    return out
