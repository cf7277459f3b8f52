"""The strongest words of reviews, by attention and by contribution, gathered batch by batch from their windows.

Shapes: N reviews, M windows, B windows of a batch, T positions (padded on the left), K words at most in a list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.protocol import Doubles, Scores, add_up
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.score import ScoredBatch

Floats = npt.NDArray[np.float32]


@dataclass
class TopWords:
    """For N reviews, or M windows, up to K words each, best first; what lies beyond their words is unused."""

    place: npt.NDArray[np.int32]  # [N, K], counted from the last word that is read of the review: 1 is the last
    attention: Floats  # [N, K]
    contribution: Doubles  # [N, K]

    @staticmethod
    def empty(rows: int, top_k: int) -> TopWords:
        shape = (rows, top_k)
        return TopWords(np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.float64))

    def rows(self, chosen: npt.NDArray[np.bool_]) -> TopWords:
        return TopWords(self.place[chosen], self.attention[chosen], self.contribution[chosen])


@dataclass(frozen=True)
class Found:
    """What there is to say of N reviews."""

    logit: Doubles  # [N]
    rest: Doubles  # [N], what is added by everything that is not in `contributing`
    attended: TopWords
    contributing: TopWords


class TopLists:
    """What is kept of each scored batch of one piece: of N reviews in M windows, no more than is needed to list words.

    Attributes:
        top_k: K, as asked for, or the number of words of the longest review.
    """

    def __init__(self, encoded: Encoded, top_k: int) -> None:
        self._windows, windows = encoded.windows, len(encoded.windows)
        self.top_k = min(top_k, int(encoded.n_tokens_used.max(initial=0)))
        per_window = min(top_k, int(encoded.windows.n_words.max(initial=0)))
        # Of windows, each number already weighted by the window's share of what is read of the review.
        self._attended, self._contributing = TopWords.empty(windows, per_window), TopWords.empty(windows, per_window)
        self._logit, self._rest = np.zeros(windows), np.zeros(windows)
        self._scored = np.zeros(windows, np.bool_)

    def done(self) -> npt.NDArray[np.bool_]:
        """bool[N]: the reviews of which every window was in a batch."""
        done = np.ones(self._windows.n_reviews, np.bool_)
        done[self._windows.review[~self._scored]] = False
        return done

    def add(self, batch: ScoredBatch) -> None:
        rows, scores = batch.rows, self._windows.by_word(batch.rows, batch.scores)
        share, n_words = self._windows.share[rows], self._windows.n_words[rows]
        self._logit[rows] = scores.logit * share
        self._scored[rows] = True
        rest = scores.contribution * share  # [T, B]
        if self.top_k:
            is_word = _word_mask(scores, n_words)
            attention = (scores.attention * share).astype(np.float32)
            for top, strength in ((self._attended, attention), (self._contributing, np.abs(rest).astype(np.float32))):
                chosen = _strongest(strength, is_word, top.place.shape[1])  # [K, B]
                wide = (rows, slice(None, len(chosen)))
                top.place[wide] = (len(attention) - chosen).T + self._windows.words_after[rows, None]
                top.attention[wide] = np.take_along_axis(attention, chosen, axis=0).T
                top.contribution[wide] = np.take_along_axis(rest, chosen, axis=0).T
            # `chosen` is now that of the contributions; where a window has fewer words than K it holds padding.
            listed = np.arange(len(chosen))[:, None] < n_words
            np.put_along_axis(rest, chosen, np.where(listed, 0.0, np.take_along_axis(rest, chosen, axis=0)), axis=0)
        self._rest[rows] = add_up(rest)

    def by_review(self) -> Found:
        """The windows of each review put together."""
        windows = self._windows
        logit, rest = windows.add_up(self._logit), windows.add_up(self._rest)
        if windows.is_one_each:
            return Found(logit, rest, self._attended, self._contributing)
        attended, _ = self._best(self._attended, self._attended.attention)
        strength = np.abs(self._contributing.contribution).astype(np.float32)
        contributing, others = self._best(self._contributing, strength)
        # What a window lists and its review does not is part of the review's rest.
        np.add.at(rest, *others)
        return Found(logit, rest, attended, contributing)

    def _best(self, top: TopWords, strength: Floats) -> tuple[TopWords, tuple[npt.NDArray[np.int64], Doubles]]:
        """The best words of each review among the best of its windows, by strength, ties by position.

        Args:
            strength: float32[M, K].

        Returns:
            [N, K], and what is left over: the review of each word, and its contribution.
        """
        windows = self._windows
        window, column = np.nonzero(np.arange(top.place.shape[1]) < windows.n_words[:, None])
        review, place = windows.review[window], top.place[window, column]
        order = np.lexsort((-place, -strength[window, column], review))
        window, column, review, place = window[order], column[order], review[order], place[order]
        rank = np.arange(len(review)) - np.searchsorted(review, review)  # within the review
        listed, best = rank < self.top_k, TopWords.empty(windows.n_reviews, self.top_k)
        at = (review[listed], rank[listed])
        best.place[at] = place[listed]
        best.attention[at] = top.attention[window, column][listed]
        best.contribution[at] = top.contribution[window, column][listed]
        return best, (review[~listed], top.contribution[window, column][~listed])


def _word_mask(scores: Scores, n_words: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """bool[T, B]: which positions hold words. The start mark and the padding come before them."""
    length = len(scores.attention)
    return np.arange(length)[:, None] >= length - n_words


def _strongest(strength: Floats, is_word: npt.NDArray[np.bool_], top_k: int) -> npt.NDArray[np.int64]:
    """The positions of the `top_k` strongest words of each review, best first, ties by position.

    The bits of a non-negative float sort as the float does; with the position below them every key is unique, so that
    a partial sort cannot break a tie the wrong way.

    Args:
        strength: float32[T, B], 0 or more.
        is_word: bool[T, B]; other positions come last.

    Returns:
        int64[min(K, T), B].
    """
    length = len(strength)
    bits = np.ascontiguousarray(strength.T).view(np.uint32).astype(np.uint64)  # [B, T]
    low = np.uint64(0xFFFFFFFF)
    keys = np.where(is_word.T, (bits << np.uint64(32)) | (low - np.arange(length, dtype=np.uint64)), np.uint64(0))
    if top_k < length:
        keys = np.partition(keys, length - top_k, axis=1)[:, length - top_k :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    return np.where(keys > 0, low - (keys & low), np.uint64(0)).astype(np.int64).T
