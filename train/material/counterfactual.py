"""Rewritten reviews: pairs of an original and its counterpart of the opposite sentiment (Kaushik et al. 2020).

A rewritten review goes to the side of the split on which its original is. The originals are found by their text, since
in the labelled reviews they may have other ids. Shapes: N labelled reviews.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import LINE_BREAK
from train.data import Examples
from train.material.crops import FEWEST_WORDS, MOST_WORDS, sentences

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rewritten:
    """Rewritten reviews and what they say about the labelled ones.

    Args:
        training: those whose originals are on the training side, or not among the labelled reviews at all.
        validation: those whose originals are on the validation side.
        passages: what differs between the members of the pairs behind `training`: short texts of opposite labels.
        held_out_passages: the same of the pairs behind `validation` and of those in `kept_back`.
        kept_back: both members of the pairs that are kept back for checking.
        left_out: bool[N], labelled reviews that are originals of pairs that are kept back.
        unmatched: pairs of which no member is among the labelled reviews.
    """

    training: Examples
    validation: Examples
    passages: Examples
    held_out_passages: Examples
    kept_back: Examples
    left_out: Flags
    unmatched: int

    def digest(self) -> str:
        """sha256 of what is trained on, and of what is not."""
        parts = [part.fingerprint() for part in (self.training, self.passages, self.kept_back)]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def counts(self) -> dict[str, int]:
        """How many were trained on, and how many were held out, as the artefact records it."""
        return {
            "reviews": len(self.training),
            "passages": len(self.passages),
            "held_out_passages": len(self.held_out_passages),
            "held_out": len(self.kept_back),
            "originals_held_out": int(self.left_out.sum()),
        }


def key(text: str) -> str:
    """A text without what copies of a data set differ in: line breaks and the amount of white space."""
    return re.sub(r"\s+", " ", text.replace(LINE_BREAK, " ")).strip()


def place(
    rewritten: Examples, pairs: Sequence[str], labelled: Examples, validation: Flags, keep_back: str | None
) -> Rewritten:
    """Sorts rewritten reviews by the side of the split that their originals are on.

    A member of a pair whose text is among the labelled reviews is its original, and adds nothing to them. Where there
    is none, both members are used.

    Args:
        rewritten: all members of all pairs.
        pairs: the pair of each of them.
        validation: bool[N], which labelled reviews are held out.
        keep_back: pairs of which an id begins with this text are kept back, with their originals.
    """
    row_of: dict[str, int] = {}
    for row, text in enumerate(labelled.texts):
        row_of.setdefault(key(text), row)
    originals: dict[str, list[int]] = {pair: [] for pair in pairs}
    back: set[str] = set()
    found = np.zeros(len(rewritten), np.bool_)
    for member, pair in enumerate(pairs):
        original = row_of.get(key(rewritten.texts[member]))
        if original is not None:
            originals[pair].append(original)
            found[member] = True
        if keep_back and rewritten.ids[member].startswith(keep_back):
            back.add(pair)
    kept = np.array([pair in back for pair in pairs], np.bool_)
    held_out = np.array([any(validation[row] for row in originals[pair]) for pair in pairs], np.bool_)
    left_out = np.zeros(len(labelled), np.bool_)
    left_out[[row for pair in back for row in originals[pair]]] = True
    new = ~found & ~kept

    def changed(of: Flags) -> Examples:
        return passages(rewritten.subset(of), [pair for pair, counts in zip(pairs, of, strict=True) if counts])

    return Rewritten(
        rewritten.subset(new & ~held_out),
        rewritten.subset(new & held_out),
        changed(~kept & ~held_out),
        changed(kept | held_out),
        rewritten.subset(kept),
        left_out,
        sum(not rows for rows in originals.values()),
    )


def passages(members: Examples, pairs: Sequence[str]) -> Examples:
    """The sentences in which the two members of a pair differ, each with the label of its review.

    People changed these and nothing else to turn the sentiment, so they carry it. A pair counts if it has two members.
    """
    rows_of: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        rows_of.setdefault(pair, []).append(row)
    ids: list[str] = []
    texts: list[str] = []
    labels = []
    for pair, rows in rows_of.items():
        if len(rows) != 2 or members.labels[rows[0]] == members.labels[rows[1]]:
            continue
        first, second = (sentences(key(members.texts[row])) for row in rows)
        for tag, a, b, c, d in difflib.SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
            for row, changed in zip(rows, (first[a:b], second[c:d]), strict=True):
                text = " ".join(changed)
                if tag == "replace" and FEWEST_WORDS <= len(text.split()) <= MOST_WORDS:
                    ids.append(f"{pair}/{len(ids)}")
                    texts.append(text)
                    labels.append(members.labels[row])
    return Examples(tuple(ids), tuple(texts), np.array(labels, np.int8))
