"""The phrases of reviews that decide: peaks of the smoothed contributions, cut where a clause ends or the sign changes.

docs/decisions/0039-phrases.md says how this was chosen. Shapes: W words of N reviews, P phrases.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from batch_scorer.models.protocol import Doubles

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

SIGMA = 1.25  # words, of the Gaussian that smooths over neighbours
REACH = int(4 * SIGMA)  # words on either side that it takes in
FAINTEST = 0.75  # of the review's mean smoothed strength: a phrase neither begins nor ends with a weaker word
LEAST = 0.25  # of its mean absolute contribution: nor with a word that adds less by itself, in the phrase's direction


def phrases(contribution: Doubles, new_clause: Bools, edges: Ints) -> tuple[Ints, Ints]:
    """Finds the phrases of reviews: disjoint, in the order of the text, each of one sign once it is smoothed.

    1. Contributions are smoothed over neighbours, within the review.
    2. The review is cut where a clause begins, where the smoothed sign changes, and where its strength is at a minimum.
    3. Each piece loses what is faint at either end, or adds next to nothing; what is left, if anything, is a phrase.

    Args:
        contribution: float64[W], of the words that are read, review by review.
        new_clause: bool[W], whether a clause begins with the word.
        edges: int64[N + 1], where each review begins among the words, and W; no review is empty.

    Returns:
        start, stop: int64[P] each; phrase p has the words ``start[p]`` to ``stop[p] - 1``.

    Example:
        >>> values = np.array([0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, -3.0])
        >>> start, stop = phrases(values, np.arange(9) == 0, np.array([0, 9]))
        >>> list(zip(start.tolist(), stop.tolist()))
        [(4, 6), (8, 9)]
    """
    smooth = smoothed(contribution, edges)
    strength = np.abs(smooth)
    cut = new_clause.copy()
    cut[edges[:-1]] = True
    positive = smooth >= 0
    cut[1:] |= positive[1:] != positive[:-1]
    is_valley = np.zeros_like(cut)
    is_valley[1:-1] = (strength[1:-1] < strength[:-2]) & (strength[1:-1] <= strength[2:])
    is_valley[edges[1:] - 1] = False  # what comes after a review's last word is not its neighbour
    cut |= is_valley
    counts = np.diff(edges)
    own = np.where(positive, contribution, -contribution)
    faintest, least = (
        np.repeat(share * np.add.reduceat(values, edges[:-1]) / counts, counts)
        for share, values in ((FAINTEST, strength), (LEAST, np.abs(contribution)))
    )
    kept = np.flatnonzero((strength >= faintest) & (own > least))
    piece = np.cumsum(cut)[kept]
    begins = np.diff(piece, prepend=-1) != 0
    ends = np.append(begins[1:], True) if len(begins) else begins
    return kept[begins], kept[ends] + 1


def smoothed(values: Doubles, edges: Ints) -> Doubles:
    """Values averaged over neighbours in the same review with the weights of a Gaussian: float64[W].

    The weights of neighbours beyond an end are given to the others.

    Args:
        values, edges: as in `phrases`.
    """
    kernel = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SIGMA) ** 2)
    counts = np.diff(edges)
    # Between reviews there is room for the kernel, so that none reaches into its neighbour.
    place = np.arange(len(values)) + np.repeat(REACH * np.arange(1, len(counts) + 1), counts)
    apart = np.zeros(len(values) + REACH * (len(counts) + 1))
    apart[place] = values
    weight = np.full(len(values), kernel.sum())
    for distance in range(REACH):
        beyond, inside = kernel[: REACH - distance].sum(), counts > distance
        weight[edges[:-1][inside] + distance] -= beyond
        weight[edges[1:][inside] - 1 - distance] -= beyond
    return np.asarray(np.convolve(apart, kernel, "same")[place] / weight)
