"""Explain: attention and contributions -> the words behind each score, with their places in the text.

The split is exact: ``logit = bias + sum(top_contributing.contribution) + rest_contribution``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import spans
from batch_scorer.schema import TOKEN
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.score import ScoredBatch


@dataclass
class _Lists:
    """For N reviews up to K words each, best first; what lies beyond a review's words is unused."""

    place: npt.NDArray[np.int32]  # [N, K], counted from the last word: 1 is the last
    attention: npt.NDArray[np.float32]  # [N, K]
    contribution: npt.NDArray[np.float32]  # [N, K]

    @staticmethod
    def empty(reviews: int, top_k: int) -> _Lists:
        shape = (reviews, top_k)
        return _Lists(np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))


class Explanation:
    """Collects the explanation of one chunk, batch by batch.

    Args:
        encoded: the chunk, N reviews.
        top_k: words in each list at most; 0 computes none.
    """

    def __init__(self, encoded: Encoded, top_k: int) -> None:
        reviews = len(encoded.ids)
        self._encoded = encoded
        self._top_k = min(top_k, int(encoded.n_tokens_used.max(initial=0)))
        self._attended = _Lists.empty(reviews, self._top_k)
        self._contributing = _Lists.empty(reviews, self._top_k)
        self.logit = np.zeros(reviews, np.float32)
        self.rest = np.zeros(reviews, np.float32)

    def add(self, batch: ScoredBatch) -> None:
        """Takes in one scored batch."""
        rows, scores = batch.rows, batch.scores
        self.logit[rows] = scores.logit
        rest = scores.contribution
        if self._top_k:
            is_word = _word_mask(scores, self._encoded.n_tokens_used[rows])
            attention = scores.attention.astype(np.float32)
            contribution = scores.contribution.astype(np.float32)
            for lists, strength in ((self._attended, attention), (self._contributing, np.abs(contribution))):
                chosen = _strongest(strength, is_word, self._top_k)  # [K, B]
                wide = (rows, slice(None, len(chosen)))
                lists.place[wide] = (len(attention) - chosen).T
                lists.attention[wide] = np.take_along_axis(attention, chosen, axis=0).T
                lists.contribution[wide] = np.take_along_axis(contribution, chosen, axis=0).T
            # `chosen` is now that of the contributions; where a review has fewer words than K it holds padding.
            listed = np.arange(len(chosen))[:, None] < self._encoded.n_tokens_used[rows]
            rest = rest.copy()
            np.put_along_axis(rest, chosen, np.where(listed, 0.0, np.take_along_axis(rest, chosen, axis=0)), axis=0)
        self.rest[rows] = rest.sum(axis=0)

    def columns(self, chosen: npt.NDArray[np.intp]) -> dict[str, pa.Array]:
        """The columns logit, top_attended, top_contributing and rest_contribution of the reviews `chosen`."""
        columns = {"logit": pa.array(self.logit[chosen]), "rest_contribution": pa.array(self.rest[chosen])}
        texts = [self._encoded.texts[i] for i in chosen]
        nowhere = np.zeros(0, np.int32)
        found = [spans(text) if self._top_k else (nowhere, nowhere) for text in texts]
        used = np.minimum(self._encoded.n_tokens_used[chosen], self._top_k)
        n_tokens = self._encoded.n_tokens[chosen]
        for name, lists in (("top_attended", self._attended), ("top_contributing", self._contributing)):
            listed = np.arange(self._top_k) < used[:, None]  # [N, K]
            positions = n_tokens[:, None] - lists.place[chosen]
            tokens, starts, ends = [], [], []
            for text, (start, end), row, count in zip(texts, found, positions, used, strict=True):
                here = row[:count]
                first, last = start[here], end[here]
                tokens += [text[a:b].lower() for a, b in zip(first.tolist(), last.tolist(), strict=True)]
                starts.append(first)
                ends.append(last)
            fields = [
                pa.array(tokens, pa.string()),
                pa.array(positions[listed].astype(np.int32)),
                pa.array(np.concatenate(starts) if starts else [], pa.int32()),
                pa.array(np.concatenate(ends) if ends else [], pa.int32()),
                pa.array(lists.attention[chosen][listed]),
                pa.array(lists.contribution[chosen][listed]),
            ]
            offsets = np.concatenate([[0], np.cumsum(used)]).astype(np.int32)
            structs = pa.StructArray.from_arrays(fields, fields=list(TOKEN))
            columns[name] = pa.ListArray.from_arrays(pa.array(offsets), structs)
        return columns


def _word_mask(scores: Scores, n_tokens_used: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """bool[T, B]: which positions hold words. The start mark and the padding stand before them."""
    length = len(scores.attention)
    return np.arange(length)[:, None] >= length - n_tokens_used


def _strongest(strength: npt.NDArray[np.float32], is_word: npt.NDArray[np.bool_], top_k: int) -> npt.NDArray[np.int64]:
    """The positions of the `top_k` strongest words of each review, best first, ties by position.

    The bits of a float that is not negative sort as it does; with the position below them every key is unique,
    so that a partial sort cannot break a tie the wrong way.

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
