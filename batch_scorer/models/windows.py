"""Reviews cut into windows, and what the network says of the windows put together again.

A review of more words than the network reads at a time is read window by window, each scored as a review of its own.
Whatever the network says of a review (logit, attention, contributions) is the mean over its windows, weighted by their
words: `logit = bias + sum of contributions` stays exact, since both sides are averaged alike.

Shapes: N reviews, M windows in all, M >= N.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import START, Ids, Tokenizer

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def in_words(settings: Mapping[str, Any]) -> str:
    """What a model reads of a review, in words.

    Args:
        settings: with `max_words` and, where there are windows, `max_windows`, as in manifests.

    Example:
        >>> in_words({"max_words": 499, "max_windows": 64})
        'all words of a review up to the last 31,936, 499 at a time'
    """
    at_once, windows = settings["max_words"], settings.get("max_windows", 1)
    if windows == 1:
        which = "first" if settings.get("long_texts") == "first" else "last"
        return f"the {which} {at_once:,} words of a review"
    return f"all words of a review up to the last {at_once * windows:,}, {at_once:,} at a time"


@dataclass(frozen=True)
class Windows:
    """The windows of N reviews, review by review, in the order of the text.

    Args:
        ids: M sequences of int32, as `Tokenizer.windows` gives them.
        review: int64[M], which review each belongs to, ascending.
        n_words: int64[M], words in each.
        n_reviews: N; each has at least one window.

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

    @staticmethod
    def of(tokenizer: Tokenizer, reviews: Iterable[Sequence[str]]) -> Windows:
        """The windows of reviews, of which each is given by its words, as `Tokenizer.words` gives them."""
        reviews = list(reviews)
        return Windows.join([tokenizer.windows(tokens) for tokens in reviews], [len(x) for x in reviews], tokenizer)

    @staticmethod
    def join(ids: Sequence[list[Ids]], n_tokens: npt.ArrayLike, tokenizer: Tokenizer) -> Windows:
        """The windows of N reviews together.

        Args:
            ids: of each review, as `Tokenizer.windows` gives them.
            n_tokens: [N], words in each review.
        """
        counts = np.array([len(windows) for windows in ids], np.int64)
        if isinstance(tokenizer.pattern, Splitting):  # never in windows; what is read depends on which words are known
            n_words = np.array([len(x) - (x[:1] == START).sum() for (x,) in ids], np.int64)
            return Windows([x for (x,) in ids], np.arange(len(ids)), n_words, len(ids))
        used = np.minimum(n_tokens, tokenizer.max_words * tokenizer.max_windows).astype(np.int64)
        review = np.repeat(np.arange(len(ids)), counts)
        place, n, k = np.arange(len(review)) - (np.cumsum(counts) - counts)[review], used[review], counts[review]
        n_words = (place + 1) * n // k - place * n // k  # as in `window_bounds`
        return Windows([window for windows in ids for window in windows], review, n_words, len(ids))

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Windows:
        """The windows of the reviews where `chosen`, bool[N], is true, which are counted from 0 again."""
        kept = chosen[self.review]
        ids = [self.ids[i] for i in np.flatnonzero(kept)]
        renumbered = (np.cumsum(chosen) - 1)[self.review[kept]]
        return Windows(ids, renumbered, self.n_words[kept], int(np.count_nonzero(chosen)))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def is_one_each(self) -> bool:
        """Whether no review has more than one window."""
        return len(self.ids) == self.n_reviews

    @cached_property
    def share(self) -> Doubles:
        """float64[M]: the share of its review's words that a window has; exactly 1 where it is the only one."""
        words = np.bincount(self.review, weights=self.n_words, minlength=self.n_reviews)[self.review]
        return np.divide(self.n_words, words, out=np.ones(len(self)), where=words > 0)

    @cached_property
    def words_after(self) -> Ints:
        """int64[M]: how many words of its review are read after a window."""
        read = np.bincount(self.review, weights=self.n_words, minlength=self.n_reviews).astype(np.int64)
        return np.asarray(np.cumsum(read)[self.review] - np.cumsum(self.n_words))

    def pool(self, values: Doubles) -> Doubles:
        """The means over the windows of each review, weighted by their words, added up in the order of the text.

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
