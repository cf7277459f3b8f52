"""The two sides of labelled reviews: those to train on, and those held out for validation, chosen by a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.errors import InputError

BY_HASH, STRATIFIED, GIVEN, IN_TURN = "hash", "hash within each label", "given", "cross-validation"  # the rules
MIN_HELD_OUT = 4  # reviews that choose an epoch and fit a temperature


@dataclass(frozen=True)
class Split:
    """Which of N reviews are held out for validation: bool[N], and by which rule: `BY_HASH`, `STRATIFIED`, `GIVEN`."""

    held_out: npt.NDArray[np.bool_]
    by: str

    def is_usable(self, labels: npt.NDArray[np.int8]) -> bool:
        """Whether both sides have both labels, and enough reviews are held out."""
        sides = (labels[self.held_out], labels[~self.held_out])
        return self.held_out.sum() >= MIN_HELD_OUT and all(len(set(side.tolist())) == 2 for side in sides)


def split_of(ids: Sequence[str], labels: npt.NDArray[np.int8], validation_share: float) -> Split:
    """Chooses the reviews to hold out by a hash of their id: a review is always on the same side.

    If that leaves too few on a side, as it can with few reviews, those with the lowest hashes of each label are held
    out instead.

    Args:
        labels: int8[N], 0 or 1.
        validation_share: the share to hold out; with 0, none is.
    """
    by_hash = Split(held_out(ids, validation_share), BY_HASH)
    if by_hash.is_usable(labels) or validation_share <= 0:
        return by_hash
    hashes, held = _hashes(ids), np.zeros(len(ids), np.bool_)
    for label in (0, 1):
        of_label = np.sort(hashes[labels == label])
        if len(of_label):
            count = max(1, round(validation_share * len(of_label)))
            held |= (labels == label) & (hashes <= of_label[min(count, len(of_label)) - 1])
    return Split(held, STRATIFIED)


def check_split(split: Split, ids: Sequence[str], labels: npt.NDArray[np.int8], validation_share: float) -> None:
    """Refuses a split that leaves too few reviews on a side, unless none should be held out.

    Raises:
        InputError: fewer than `MIN_HELD_OUT` are held out, or a side lacks a label.
    """
    if split.is_usable(labels) or validation_share <= 0:
        return
    held, rest = labels[split.held_out], labels[~split.held_out]
    shares = (share for share in (0.2, 0.3, 0.4, 0.5) if share > validation_share)
    enough = next((share for share in shares if split_of(ids, labels, share).is_usable(labels)), None)
    fix = "add labelled reviews" + (f", or hold out more, with --set validation_share={enough}" if enough else "")
    raise InputError(
        "too few reviews are held out of training, to choose an epoch and calibrate by",
        expected=f"at least {MIN_HELD_OUT}, and positive and negative ones among them and among the rest",
        got=f"{len(held):,} of {len(labels):,} held out, {int(held.sum()):,} of them positive; "
        f"{int(rest.sum()):,} of the other {len(rest):,}",
        fix="give more reviews as --validation, of both labels" if split.by == GIVEN else fix,
    )


def held_out(ids: Sequence[str], validation_share: float) -> npt.NDArray[np.bool_]:
    """Which of the reviews with these `ids` the hash alone holds out for validation: bool[N]."""
    # A hash rather than a random draw: adding reviews moves none of the others.
    return _hashes(ids) < validation_share * 2**32


def _hashes(ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """A hash of each id, from 0 to 2^32: int64[N]."""
    return np.array([int.from_bytes(hashlib.sha256(i.encode()).digest()[:4], "big") for i in ids], np.int64)
