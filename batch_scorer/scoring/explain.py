"""Explain: attention and contributions -> the words behind each score, with their places in the text.

The split is exact: ``logit = bias + sum(top_contributing.contribution) + rest_contribution``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.network import probability
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import spans
from batch_scorer.schema import TOKEN, Rejection
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.score import Scored, ScoredBatch

Floats = npt.NDArray[np.float32]
Spans = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]


@dataclass(frozen=True)
class Explained:
    """N reviews, scored and explained, in the order of the input.

    Args:
        encoded: the reviews that were scored.
        logit: float32[N].
        top_attended, top_contributing: N lists of `schema.TOKEN`, best first.
        rest_contribution: float32[N], what everything adds that is not in `top_contributing`.
        rejected: all records of the chunk that were not scored, whichever stage rejected them.
    """

    encoded: Encoded
    logit: Floats
    top_attended: pa.ListArray
    top_contributing: pa.ListArray
    rest_contribution: Floats
    rejected: list[Rejection]

    def __len__(self) -> int:
        return len(self.logit)

    def columns(self, artifact: Artifact) -> dict[str, pa.Array]:
        """The columns of `predictions` that follow from text and model alone, in the order of the contract.

        Args:
            artifact: the model that scored them.

        Returns:
            Name -> N values, from `probability` to `rest_contribution`, and `model_id`.
        """
        p = probability(self.logit, artifact.temperature)
        # Compared in double precision, as a reader of the file would compare it.
        positive = p.astype(np.float64) >= artifact.threshold
        n_tokens, used = self.encoded.n_tokens, self.encoded.n_tokens_used
        return {
            "probability": pa.array(p),
            "logit": pa.array(self.logit),
            "predicted_label": pa.array(np.where(positive, "positive", "negative"), pa.string()),
            "n_tokens": pa.array(n_tokens),
            "n_tokens_used": pa.array(used),
            "truncated": pa.array(n_tokens > used),
            "oov_rate": pa.array((self.encoded.oov_words / used).astype(np.float32)),
            "top_attended": self.top_attended,
            "top_contributing": self.top_contributing,
            "rest_contribution": pa.array(self.rest_contribution),
            "model_id": pa.repeat(pa.scalar(artifact.model_id), len(self)),
        }


def explain(scored: Scored, top_k: int) -> Explained:
    """Explains a chunk; its batches are scored on the way, and only what is listed of each is kept.

    Args:
        top_k: words in each list at most; 0 lists none.

    Raises:
        EngineError: as in `score.score_ids`.
    """
    lists, rejected = _Lists(scored.encoded, top_k), [*scored.encoded.rejected]
    for batch in scored.batches:
        if isinstance(batch, Rejection):
            rejected.append(batch)
        else:
            lists.add(batch)
    done = lists.done
    encoded = scored.encoded.rows(done)
    places = [spans(text) for text in encoded.texts] if lists.top_k else []
    return Explained(
        encoded,
        lists.logit[done],
        _tokens(encoded, lists.attended.rows(done), places),
        _tokens(encoded, lists.contributing.rows(done), places),
        lists.rest[done],
        rejected,
    )


@dataclass
class _Top:
    """For N reviews up to K words each, best first; what lies beyond a review's words is unused."""

    place: npt.NDArray[np.int32]  # [N, K], counted from the last word: 1 is the last
    attention: Floats  # [N, K]
    contribution: Floats  # [N, K]

    @staticmethod
    def empty(reviews: int, top_k: int) -> _Top:
        shape = (reviews, top_k)
        return _Top(np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    def rows(self, chosen: npt.NDArray[np.bool_]) -> _Top:
        return _Top(self.place[chosen], self.attention[chosen], self.contribution[chosen])


class _Lists:
    """What is kept of each scored batch of one chunk of N reviews.

    Attributes:
        top_k: K, as asked for, or the number of words of the longest review.
        logit, rest: float32[N].
        done: bool[N], which reviews were in a batch so far.
    """

    def __init__(self, encoded: Encoded, top_k: int) -> None:
        reviews = len(encoded.ids)
        self._used = encoded.n_tokens_used
        self.top_k = min(top_k, int(self._used.max(initial=0)))
        self.attended = _Top.empty(reviews, self.top_k)
        self.contributing = _Top.empty(reviews, self.top_k)
        self.logit = np.zeros(reviews, np.float32)
        self.rest = np.zeros(reviews, np.float32)
        self.done = np.zeros(reviews, np.bool_)

    def add(self, batch: ScoredBatch) -> None:
        rows, scores = batch.rows, batch.scores
        self.logit[rows] = scores.logit
        self.done[rows] = True
        rest = scores.contribution
        if self.top_k:
            is_word = _word_mask(scores, self._used[rows])
            attention = scores.attention.astype(np.float32)
            contribution = scores.contribution.astype(np.float32)
            for top, strength in ((self.attended, attention), (self.contributing, np.abs(contribution))):
                chosen = _strongest(strength, is_word, self.top_k)  # [K, B]
                wide = (rows, slice(None, len(chosen)))
                top.place[wide] = (len(attention) - chosen).T
                top.attention[wide] = np.take_along_axis(attention, chosen, axis=0).T
                top.contribution[wide] = np.take_along_axis(contribution, chosen, axis=0).T
            # `chosen` is now that of the contributions; where a review has fewer words than K it holds padding.
            listed = np.arange(len(chosen))[:, None] < self._used[rows]
            rest = rest.copy()
            np.put_along_axis(rest, chosen, np.where(listed, 0.0, np.take_along_axis(rest, chosen, axis=0)), axis=0)
        self.rest[rows] = rest.sum(axis=0)


def _tokens(encoded: Encoded, top: _Top, places: list[Spans]) -> pa.ListArray:
    """The words of `top` as N lists of `schema.TOKEN`.

    Args:
        places: where the words of each text start and end; none are needed where K is 0.
    """
    top_k = top.place.shape[1]
    used = np.minimum(encoded.n_tokens_used, top_k)
    listed = np.arange(top_k) < used[:, None]  # [N, K]
    positions = encoded.n_tokens[:, None] - top.place
    tokens, starts, ends = [], [], []
    if places:
        for text, (start, end), row, count in zip(encoded.texts, places, positions, used, strict=True):
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
        pa.array(top.attention[listed]),
        pa.array(top.contribution[listed]),
    ]
    offsets = np.concatenate([[0], np.cumsum(used)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(TOKEN)))


def _word_mask(scores: Scores, n_tokens_used: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """bool[T, B]: which positions hold words. The start mark and the padding come before them."""
    length = len(scores.attention)
    return np.arange(length)[:, None] >= length - n_tokens_used


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
