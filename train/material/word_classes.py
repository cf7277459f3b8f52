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
SELDOM = 0.7

_one_word, _one_words = re.compile(r"[\w']+\Z"), re.compile(r"[\w']+")


@dataclass(frozen=True)
class WordClass:
    """A class of words, in lower case.

    Args:
        tied: words that share one id.
        swapped: words with a meaning of their own besides, which keep their ids.
        phrases: members of several words, as written in the middle of a sentence.
        seldom: those of `swapped` that seldom mean a member, and weigh much by what they mean else.
    """

    name: str
    tied: tuple[str, ...]
    swapped: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    seldom: tuple[str, ...] = ()


def read_classes(path: Path = LISTS) -> list[WordClass]:
    """Reads the classes. One marked `possessive` gives a second class, of its members with *'s*.

    Raises:
        ValueError: a member is not one word in lower case, is listed twice, or is `seldom` without being `swapped`.
    """
    classes, seen = [], set()
    for name, lists in tomllib.loads(path.read_text(encoding="utf-8")).items():
        tied, swapped = (tuple(lists.get(kind, "").split()) for kind in ("tied", "swapped"))
        for word in (*tied, *swapped):
            if not _one_word.match(word) or word != word.lower() or word in seen:
                raise ValueError(f"{path}, {name}: {word!r} is not one word in lower case, or is listed twice")
            seen.add(word)
        seldom = tuple(lists.get("seldom", "").split())
        if other := set(seldom) - set(swapped):
            raise ValueError(f"{path}, {name}: {sorted(other)} are seldom members and not swapped")
        classes.append(WordClass(name, tied, swapped, tuple(lists.get("phrases", ())), seldom))
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

    A class without a member in the vocabulary has no aliases: all its words are unknown anyway. Other members that are
    unknown, and unknown words of its phrases, are tied too: to the model they have no meaning of their own.

    Args:
        vocabulary: the token of each of the V ids.
        counts: int64[V], how often each occurs.

    >>> aliases([WordClass("articles", ("a", "an"))], ["", "", "", "a", "an"], np.array([0, 0, 0, 9, 4]))
    {'an': 3}
    """
    id_of = {token: i for i, token in enumerate(vocabulary) if i > OOV}
    tied = {word for word_class in classes for word in word_class.tied}
    out: dict[str, int] = {}
    for word_class in classes:
        known = [id_of[word] for word in word_class.tied if word in id_of]
        if known:
            leader = max(known, key=lambda i: (counts[i], -i))
            others = (*word_class.swapped, *_one_words.findall(" ".join(word_class.phrases).lower()))
            unknown = [word for word in others if word not in id_of and word not in tied]
            out |= {word: leader for word in (*word_class.tied, *unknown) if id_of.get(word) != leader}
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


def drawn_together(
    embedding: Floats,
    classes: Sequence[WordClass],
    vocabulary: Sequence[str],
    merged: Mapping[str, int],
    share: float,
) -> Floats:
    """Embeddings in which members with a meaning of their own are nearer to their class: float32[V, E].

    Each is ``(1 - share) * its own + share * that of the class``. As names they then weigh little more than others,
    which training with swaps alone does not bring about. Most of what else they mean is told by their neighbours; where
    that weighs much (*joy*) it is not, and these words are drawn less far, by `SELDOM` of the share.

    Args:
        embedding: float32[V, E].
        merged: the aliases of these classes.
        share: from 0 (unchanged) to 1 (as if they were tied).

    >>> embedding = np.array([[0, 0], [0, 0], [0, 0], [1, 2], [3, 2]], np.float32)
    >>> names = WordClass("names", ("emma",), swapped=("joy",))
    >>> drawn_together(embedding, [names], ["", "", "", "emma", "joy"], {}, 0.75)[4].tolist()
    [1.5, 2.0]
    """
    id_of = {token: i for i, token in enumerate(vocabulary) if i > OOV}
    out = embedding.copy()
    for word_class in classes:
        leaders = [merged.get(word, id_of.get(word)) for word in word_class.tied]
        leader = next((i for i in leaders if i is not None), None)
        for word in word_class.swapped:
            if leader is not None and word in id_of:
                part = share * SELDOM if word in word_class.seldom else share
                out[id_of[word]] = (1 - part) * embedding[id_of[word]] + part * embedding[leader]
    return out
