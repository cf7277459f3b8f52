"""Reviews cut into windows, and what the network says of the windows put together again.

A review of more words than the network reads at a time is read window by window, each scored as a review of its own.
Whatever the network says of a review (logit, attention, contributions) is the mean over its windows, weighted by their
ids: `logit = bias + sum of contributions` stays exact, since both sides are averaged alike. A word of several ids (of
pieces, see `subwords`) is in one window, and has the sum of what its ids have.

Shapes: N reviews, M windows in all, M >= N; B windows of a batch, T positions (padded on the left).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.protocol import Doubles, Scores
from batch_scorer.models.splitting import SKIPPED, Splitting
from batch_scorer.models.tokenizer import OOV, START, Ids, Tokenizer

Ints = npt.NDArray[np.int64]
Read = tuple[list[Ids], list[Ids] | None]  # of a review: its windows, and the ids of each word; None: one each


def in_words(settings: Mapping[str, Any]) -> str:
    """What a model reads of a review, in words.

    Args:
        settings: with `max_words` and, where there are windows, `max_windows`, as in manifests.

    Example:
        >>> in_words({"max_words": 499, "max_windows": 64})
        'all words of a review up to the last 31,936, 499 at a time'
    """
    at_once, windows = settings["max_words"], settings.get("max_windows", 1)
    units = "pieces of words" if settings.get("type") == "subwords" else "words"
    if windows == 1:
        which = "first" if settings.get("long_texts") == "first" else "last"
        return f"the {which} {at_once:,} {units} of a review"
    return f"all {units} of a review up to the last {at_once * windows:,}, {at_once:,} at a time"


def piece_windows(sizes: Sequence[int] | Ids, max_pieces: int, max_windows: int) -> list[tuple[int, int]]:
    """Where the windows of a review begin and end whose words have several ids each: no word is cut.

    As few windows as possible, filled from the end, say how far back the review is read. They are then made as even as
    whole words allow: each cut is at the last word that begins at or before piece ``i * N // k`` of the N that are
    read, as in `tokenizer.window_bounds`. Where a window would be too long by that, they stay as they were filled.

    Args:
        sizes: ids of each of n words, 1 to `max_pieces`.
        max_pieces: the most that a window holds.

    Returns:
        Pairs, counted in words: the first begins where reading begins, the last ends at n.

    Example:
        >>> piece_windows([2, 3, 1, 1, 2], max_pieces=4, max_windows=2), piece_windows([1] * 7, 3, 64)
        ([(2, 4), (4, 5)], [(0, 2), (2, 4), (4, 7)])
    """
    edges = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))])  # of words, in pieces
    filled, end = list[tuple[int, int]](), len(edges) - 1
    while end > 0 and len(filled) < max_windows:
        start = int(np.searchsorted(edges, edges[end] - max_pieces))
        filled.insert(0, (start, end))
        end = start
    if len(filled) < 2:
        return filled or [(0, 0)]
    total, k = edges[-1] - edges[end], len(filled)
    cuts = np.searchsorted(edges, edges[end] + np.arange(k + 1) * total // k, side="right") - 1
    held = np.diff(edges[cuts])
    is_even = bool(((held > 0) & (held <= max_pieces)).all())
    return list(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)) if is_even else filled


@dataclass(frozen=True)
class Windows:
    """The windows of N reviews, review by review, in the order of the text.

    Args:
        ids: M sequences of int32, as `Tokenizer.windows` gives them.
        review: int64[M], which review each belongs to, ascending.
        n_words: int64[M], words in each.
        n_reviews: N; each has at least one window.
        sizes: M sequences of int32, how many ids each word of a window has; None: every word has one.

    Example:
        >>> tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good"], max_words=2, max_windows=8)
        >>> windows = Windows.of(tokenizer, [["good"], ["good", "good", "bad"]])
        >>> [ids.tolist() for ids in windows.ids], windows.review.tolist()
        ([[1, 3], [1, 3], [1, 3, 2]], [0, 1, 1])
        >>> windows.pool(np.array([5.0, 3.0, 0.0])).tolist()
        [5.0, 1.0]
    """

    ids: list[Ids]
    review: Ints
    n_words: Ints
    n_reviews: int
    sizes: list[Ids] | None = None

    @staticmethod
    def of(tokenizer: Tokenizer, reviews: Iterable[Sequence[str]]) -> Windows:
        """The windows of reviews, of which each is given by its words, as `Tokenizer.words` gives them."""
        reviews = list(reviews)
        return Windows.join([tokenizer.read(tokens) for tokens in reviews], [len(x) for x in reviews], tokenizer)

    @staticmethod
    def join(read: Sequence[Read], n_tokens: npt.ArrayLike, tokenizer: Tokenizer) -> Windows:
        """The windows of N reviews together.

        Args:
            read: of each review, as `Tokenizer.read` gives it.
            n_tokens: [N], words in each review.
        """
        counts = np.array([len(windows) for windows, _ in read], np.int64)
        review = np.repeat(np.arange(len(read)), counts)
        ids = [window for windows, _ in read for window in windows]
        if isinstance(tokenizer.pattern, Splitting):  # never in windows; what is read depends on which words are known
            n_words = np.array([len(x) - (x[:1] == START).sum() for x in ids], np.int64)
            return Windows(ids, review, n_words, len(read))
        if any(sizes is not None for _, sizes in read):
            sizes = [window for _, windows in read for window in windows or ()]
            return Windows(ids, review, np.array([len(window) for window in sizes], np.int64), len(read), sizes)
        used = np.minimum(n_tokens, tokenizer.max_words * tokenizer.max_windows).astype(np.int64)
        place, n, k = np.arange(len(review)) - (np.cumsum(counts) - counts)[review], used[review], counts[review]
        n_words = (place + 1) * n // k - place * n // k  # as in `window_bounds`
        return Windows(ids, review, n_words, len(read))

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Windows:
        """The windows of the reviews where `chosen`, bool[N], is true, which are counted from 0 again."""
        kept = chosen[self.review]
        indices = np.flatnonzero(kept)
        renumbered = (np.cumsum(chosen) - 1)[self.review[kept]]
        sizes = None if self.sizes is None else [self.sizes[i] for i in indices]
        count = int(np.count_nonzero(chosen))
        return Windows([self.ids[i] for i in indices], renumbered, self.n_words[kept], count, sizes)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def is_one_each(self) -> bool:
        """Whether no review has more than one window."""
        return len(self.ids) == self.n_reviews

    @cached_property
    def n_ids(self) -> Ints:
        """int64[M]: ids of the words of each window, its start mark aside."""
        return self.n_words if self.sizes is None else np.array([sizes.sum() for sizes in self.sizes], np.int64)

    @cached_property
    def words_read(self) -> Ints:
        """int64[N]: words that are read of each review."""
        return self._per_review(self.n_words)

    @cached_property
    def ids_read(self) -> Ints:
        """int64[N]: ids that are read of each review; as many as words, but where words have several."""
        return self._per_review(self.n_ids)

    @cached_property
    def unknown_ids(self) -> Ints:
        """int64[N]: those of the ids that are read which stand for something unknown."""
        ends = np.cumsum([len(ids) for ids in self.ids], dtype=np.int64)
        unknown = np.cumsum(_unknown(np.concatenate([np.zeros(0, np.int32), *self.ids])))
        return self._per_review(np.diff(np.append(0, unknown)[np.append(0, ends)]))

    def _per_review(self, values: Ints) -> Ints:
        return np.bincount(self.review, weights=values, minlength=self.n_reviews).astype(np.int64)

    @cached_property
    def share(self) -> Doubles:
        """float64[M]: the share of its review's ids that a window has; exactly 1 where it is the only one."""
        read = self.ids_read[self.review]
        return np.divide(self.n_ids, read, out=np.ones(len(self)), where=read > 0)

    @cached_property
    def words_after(self) -> Ints:
        """int64[M]: how many words of its review are read after a window."""
        return np.asarray(np.cumsum(self.words_read)[self.review] - np.cumsum(self.n_words))

    def by_word(self, rows: npt.NDArray[np.integer], scores: Scores) -> Scores:
        """What the network says of the words of a batch, each the sum over its ids in their order.

        Args:
            rows: [B], the windows of the batch.
            scores: of their ids.

        Returns:
            Scores of [U, B]: the words of each window are its last, and what comes before its words (the start mark,
            and padding that counts) is added up in the position before them. The same `scores` where words have one id.
        """
        if self.sizes is None:
            return scores
        sizes, length = [self.sizes[row] for row in rows.tolist()], len(scores.attention)
        n_words = self.n_words[rows]
        units = 1 + int(n_words.max(initial=0))
        at = np.broadcast_to(units - 1 - n_words, scores.attention.shape).copy()  # [T, B], in units
        for column, (size, n) in enumerate(zip(sizes, n_words.tolist(), strict=True)):
            at[length - int(size.sum()) :, column] = np.repeat(np.arange(units - n, units), size)
        flat = (at * len(sizes) + np.arange(len(sizes))).ravel()

        def summed(values: Doubles) -> Doubles:
            out = np.bincount(flat, weights=values.ravel(), minlength=units * len(sizes))
            return np.asarray(out, np.float64).reshape(units, len(sizes))

        return Scores(scores.logit, summed(scores.attention), summed(scores.contribution))

    def known_words(self) -> npt.NDArray[np.bool_]:
        """Whether each word of all windows is known, none of its ids being unknown: bool[all words]."""
        known = [~_unknown(ids[len(ids) - n :]) for ids, n in zip(self.ids, self.n_ids.tolist(), strict=True)]
        joined = np.concatenate(known) if known else np.zeros(0, np.bool_)
        if self.sizes is None or not len(joined):
            return joined
        sizes = np.concatenate(self.sizes)
        return np.logical_and.reduceat(joined, np.cumsum(sizes) - sizes)

    def pool(self, values: Doubles) -> Doubles:
        """The means over the windows of each review, weighted by their ids, added up in the order of the text.

        Args:
            values: float64[M].

        Returns:
            float64[N]; for a review of one window, its value to the last bit.
        """
        return self.add_up(self.share * values)

    def add_up(self, values: Doubles) -> Doubles:
        """The sums over the windows of each review, in the order of the text: float64[M] -> float64[N]."""
        if self.is_one_each:
            return values
        first = np.searchsorted(self.review, np.arange(self.n_reviews))
        others = np.ones(len(self), np.bool_)
        others[first] = False
        sums = values[first]
        np.add.at(sums, self.review[others], values[others])  # one by one, unlike `reduceat`
        return sums


def _unknown(ids: Ids) -> npt.NDArray[np.bool_]:
    return np.asarray((ids == OOV) | (ids == SKIPPED))
