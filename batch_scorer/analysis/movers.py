"""Counts of reviews by group and period -> the groups whose share of positive reviews moved, by evidence.

Legend: G groups, T periods, the first being the earliest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.analysis.evidence import (
    Counts,
    Doubles,
    accepted,
    change_of_the_rest,
    error_of_change,
    signed_root,
    spreads,
    two_sided,
)

FALSE_RATE = 0.05  # of the groups named, at most so many are false in the long run
# What is asked of p-values. The rate is a mean over many reports: at half of it, single ones exceed it often.
_LEVEL = 0.025
_PLAIN = 3.5  # standard deviations: groups that moved by more are no measure for others
FEWEST = 10  # reviews now, and before, of a group that is tested


@dataclass(frozen=True)
class Evidence:
    """What speaks for a move of each group.

    Args:
        p: float64[G], corrected for the number of windows; 1 where nothing could be tested.
        tested: bool[G], whether the group has enough reviews in some window and before it.
        moved: bool[G], whether it is named.
        spreads: per window, the variance of log odds by which groups usually change, beyond chance.
    """

    p: Doubles
    tested: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.bool_]
    spreads: tuple[float, ...]


def windows(periods: int) -> tuple[int, ...]:
    """Numbers of last periods that are compared with all before them: half of the periods, and half of that, and so on.

    Example:
        >>> windows(24), windows(2), windows(1)
        ((12, 6, 3, 1), (1,), ())
    """
    found, last = [], periods // 2
    while last:
        found.append(last)
        last //= 2
    return tuple(found)


def find_moves(reviews: Counts, positive: Counts) -> Evidence:
    """Tests each group for each of `windows`: did its share change, and by more than within other groups?

    1. A group's change is tested against none, and against the usual change within the other groups. The weaker
       evidence counts, and none if the directions differ: neither a shift of the whole corpus nor a group that stayed
       where it was while others moved is a move of its own.
    2. Either is weakened by how much groups usually change (`evidence.spreads`).
    3. The best window counts, corrected for the number of windows (Sidak 1967).
    4. Benjamini and Hochberg's procedure holds the rate of false ones over all groups.

    Args:
        reviews, positive: int64[G, T], the latter of those labelled positive.
    """
    tests = [_test(reviews, positive, last) for last in windows(reviews.shape[1])]
    if tests:  # again, without those that plainly moved among the others of each
        own, beyond = (np.stack(arrays, axis=1) for arrays in list(zip(*tests, strict=True))[:2])
        z = np.where(own * beyond > 0, np.minimum(abs(own), abs(beyond)), 0.0)
        usual = np.nan_to_num(z).max(axis=1) < _PLAIN
        tests = [_test(reviews, positive, last, usual) for last in windows(reviews.shape[1])]
    if not tests:
        nothing = np.zeros(len(reviews), np.bool_)
        return Evidence(np.ones(len(reviews)), nothing, nothing, ())
    return weigh(*(np.stack(arrays, axis=1) for arrays in zip(*tests, strict=True)))


def weigh(own: Doubles, beyond: Doubles, variance: Doubles, uncertainty: Doubles) -> Evidence:
    """Steps 2 to 4 of `find_moves`, for tests over W windows.

    Args:
        own, beyond: float64[G, W], each group's change against none, and against that of the others, in standard
            deviations; NaN for a group with too few reviews.
        variance, uncertainty: float64[G, W], of each group's change, and of that of the others.
    """
    between = spreads(beyond, variance + uncertainty)
    own = own * np.sqrt(variance / (variance + between))
    beyond = beyond * np.sqrt((variance + uncertainty) / (variance + uncertainty + between))
    z = np.where(own * beyond > 0, np.minimum(abs(own), abs(beyond)), 0.0)
    tests = np.sum(~np.isnan(own), axis=1)
    best = two_sided(np.nan_to_num(z).max(axis=1))
    p = -np.expm1(tests * np.log1p(-np.minimum(best, 1 - 1e-16)))
    return _named(np.where(tests > 0, p, 1.0), np.asarray(tests > 0), tuple(between.tolist()))


def combined(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The same for several columns of one report, the rate of false ones held over the groups of all of them."""
    if len(evidence) < 2:
        return [*evidence]
    tested = np.concatenate([one.tested for one in evidence])
    together = _named(np.concatenate([one.p for one in evidence]), tested, ())
    ends = np.cumsum([len(one.p) for one in evidence])[:-1]
    return [
        Evidence(one.p, one.tested, moved, one.spreads)
        for one, moved in zip(evidence, np.split(together.moved, ends), strict=True)
    ]


def _named(p: Doubles, tested: npt.NDArray[np.bool_], spreads: tuple[float, ...]) -> Evidence:
    moved = np.zeros(len(p), np.bool_)
    moved[tested] = accepted(p[tested], _LEVEL)
    return Evidence(p, tested, moved, spreads)


def _test(
    reviews: Counts, positive: Counts, last: int, usual: npt.NDArray[np.bool_] | None = None
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Each group's change against none, against that of the others, and the variances of it and of theirs.

    The first two are NaN for a group with too few reviews. Alone, a group is compared with none only.
    """
    n, x = (counts[:, -last:].sum(axis=1) for counts in (reviews, positive))
    n0, x0 = (counts[:, :-last].sum(axis=1) for counts in (reviews, positive))
    change, uncertainty = change_of_the_rest(x, n, x0, n0, usual)
    uncertainty = np.where(np.isinf(uncertainty), 0.0, uncertainty)
    variance = error_of_change(x, n, x0, n0)
    few = (n < FEWEST) | (n0 < FEWEST)
    n, n0 = np.maximum(n, 1), np.maximum(n0, 1)
    own = signed_root(x, n, x0, n0, np.zeros(len(x)))
    beyond = signed_root(x, n, x0, n0, change) * np.sqrt(variance / (variance + uncertainty))
    own[few] = beyond[few] = np.nan
    return own, beyond, variance, uncertainty


def since(reviews: Counts, positive: Counts) -> int:
    """The period from which on a group's share differs most from before: the likeliest single change.

    Args:
        reviews, positive: int64[T] of one group, with at least one review in the first half and the last.

    Returns:
        The index of a period; 0 where there is nothing to compare.
    """
    n0, x0 = np.cumsum(reviews)[:-1], np.cumsum(positive)[:-1]
    n, x = reviews.sum() - n0, positive.sum() - x0
    enough = np.flatnonzero((n >= min(FEWEST, n[0] if len(n) else 0)) & (n0 >= 1) & (n >= 1))
    if not len(enough):
        return 0
    roots = signed_root(x[enough], n[enough], x0[enough], n0[enough], np.zeros(len(enough)))
    return int(enough[np.argmax(abs(roots))]) + 1
