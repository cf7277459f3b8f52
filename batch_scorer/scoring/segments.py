"""The sentences of reviews and the phrases that decide, as columns: `sentences`, `top_spans` and what completes each.

Every number is a sum in double precision over the words of a segment, rounded once, and never a difference:
``logit = bias + sum(sentences.contribution) + start_contribution``, and likewise with `top_spans` and `spans_rest`.

Shapes: N reviews, W words that are read of them, S segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.protocol import Doubles, add_up
from batch_scorer.models.units import Places
from batch_scorer.schema import SPAN, SPANS, Segments, predictions_schema
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.gaps import gaps
from batch_scorer.scoring.phrases import phrases
from batch_scorer.scoring.score import ScoredBatch

Ints = npt.NDArray[np.int64]

_REVIEWS = 512  # at a time: what lies between their words fits into a processor's cache


class WordValues:
    """What each word of a piece has, gathered batch by batch: of N reviews in M windows, W words in all.

    Attributes:
        attention, contribution: float64[W], in the order of the text, weighted by the windows' shares.
        start: float64[M], what the start mark of a window adds, and padding that counts.
    """

    def __init__(self, encoded: Encoded) -> None:
        self._windows = encoded.windows
        self._first = np.cumsum(encoded.windows.n_words) - encoded.windows.n_words
        words = int(encoded.windows.n_words.sum())
        self.attention, self.contribution = np.zeros(words), np.zeros(words)
        self.start = np.zeros(len(encoded.windows))

    def add(self, batch: ScoredBatch) -> None:
        rows, scores = batch.rows, self._windows.by_word(batch.rows, batch.scores)
        share, n_words = self._windows.share[rows], self._windows.n_words[rows]
        length = len(scores.contribution)
        is_word = np.arange(length) >= length - n_words[:, None]  # [B, T]
        ends = np.cumsum(n_words)
        place = np.arange(int(n_words.sum())) + np.repeat(self._first[rows] - (ends - n_words), n_words)
        for target, values in ((self.attention, scores.attention), (self.contribution, scores.contribution)):
            by_review = np.ascontiguousarray(values.T) * share[:, None]
            target[place] = by_review[is_word]
        by_review[is_word] = 0.0
        self.start[rows] = add_up(by_review.T)

    def columns(
        self, done: npt.NDArray[np.bool_], encoded: Encoded, places: Sequence[Places], asked: Segments
    ) -> dict[str, pa.Array]:
        """The columns that are asked for, of the reviews that are done.

        Args:
            done: bool[all reviews of the piece].
            encoded: the N reviews that are done.
            places: where all words of each of them are.

        Returns:
            Name -> N values, in the order of the contract.
        """
        kept = np.repeat(done[self._windows.review], self._windows.n_words)
        attention, contribution = (
            values if done.all() else values[kept] for values in (self.attention, self.contribution)
        )
        start = self._windows.add_up(self.start)[done]
        used = encoded.n_tokens_used.astype(np.int64)
        first = encoded.n_seen - used
        edges = np.concatenate([[0], np.cumsum(used)])
        blocks: dict[str, list[pa.Array]] = {name: [] for name in asked.columns}
        for low in range(0, len(used), _REVIEWS):
            high = min(low + _REVIEWS, len(used))
            words = slice(edges[low], edges[high])
            numbers = zip(places[low:high], first[low:high].tolist(), used[low:high].tolist(), strict=True)
            read = [(begin[at : at + n], end[at : at + n]) for (begin, end), at, n in numbers]
            block = _Block(
                encoded.texts[low:high],
                read,
                first[low:high],
                edges[low : high + 1] - edges[low],
                attention[words],
                contribution[words],
                start[low:high],
            )
            for name, values in block.columns(asked).items():
                blocks[name].append(values)
        empty = predictions_schema(pa.schema([]), "", "", asked.columns).empty_table()
        return {name: pa.concat_arrays(some) if some else empty[name].chunk(0) for name, some in blocks.items()}


@dataclass(frozen=True)
class _Block:
    """Some reviews, and what their words have.

    Args:
        texts, places: of N reviews; of their words that are read, W in all.
        first: int64[N], the position of the first of these in the text.
        edges: int64[N + 1], where each review begins among the words, and W.
        attention, contribution: float64[W].
        start: float64[N], what everything else adds.
    """

    texts: Sequence[str]
    places: Sequence[Places]
    first: Ints
    edges: Ints
    attention: Doubles
    contribution: Doubles
    start: Doubles

    def columns(self, asked: Segments) -> dict[str, pa.Array]:
        begins, columns = gaps(self.texts, self.places), dict[str, pa.Array]()
        if asked.sentences:
            start = np.flatnonzero(begins.new_sentence)
            counts = np.add.reduceat(begins.new_sentence.astype(np.int64), self.edges[:-1])
            columns["sentences"] = self._lists(start, np.append(start[1:], self.edges[-1]), counts)
            columns["start_contribution"] = pa.array(self.start.astype(np.float32))
        if asked.spans:
            start, stop = phrases(self.contribution, begins.new_clause, self.edges)
            start, stop, counts = self._strongest(start, stop, asked.spans)
            others = self.contribution.copy()
            others[_inside(start, stop)] = 0.0
            columns["top_spans"] = self._lists(start, stop, counts)
            rest = np.add.reduceat(others, self.edges[:-1]) + self.start
            columns["spans_rest"] = pa.array(rest.astype(np.float32))
        return columns

    def _strongest(self, start: Ints, stop: Ints, most: int) -> tuple[Ints, Ints, Ints]:
        """The segments of each review by absolute contribution, as it is listed, ties by position; and how many."""
        review = np.searchsorted(self.edges, start, side="right") - 1
        strength = np.abs(_sums(self.contribution, start, stop).astype(np.float32))
        order = np.lexsort((-strength, review))  # stable: ties stay in the order of the text
        rank = np.arange(len(order)) - np.searchsorted(review, review)  # `review` is in order, before and after
        chosen = order[rank < most]
        return start[chosen], stop[chosen], np.bincount(review[chosen], minlength=len(self.first))

    def _lists(self, start: Ints, stop: Ints, counts: Ints) -> pa.ListArray:
        """Segments as N lists of `schema.SPAN`.

        Args:
            start, stop: int64[S], in words; review by review.
            counts: int64[N], segments of each review.
        """
        begin, end = (np.concatenate([pair[side] for pair in self.places]) for side in (0, 1))
        position = start + np.repeat(self.first - self.edges[:-1], counts)
        fields = [
            pa.array(begin[start]),
            pa.array(end[stop - 1]),
            pa.array(position.astype(np.int32)),
            pa.array((stop - start).astype(np.int32)),
            pa.array(_sums(self.contribution, start, stop).astype(np.float32)),
            pa.array(_sums(self.attention, start, stop).astype(np.float32)),
        ]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(SPAN)), SPANS)


def _sums(values: Doubles, start: Ints, stop: Ints) -> Doubles:
    """The sum over the words of each segment: float64[S]. Segments are disjoint, and none is empty."""
    order = np.argsort(start)
    bounds = np.stack([start[order], stop[order]], axis=1).ravel()
    sums = np.zeros(len(start))
    if len(start):
        # Every other slice is what lies between two segments; one that would begin at the end of all words is left out.
        sums[order] = np.add.reduceat(values, bounds[: -1 if bounds[-1] == len(values) else None])[::2]
    return sums


def _inside(start: Ints, stop: Ints) -> Ints:
    """The words of the segments."""
    sizes = stop - start
    return np.asarray(np.arange(int(sizes.sum())) + np.repeat(start - (np.cumsum(sizes) - sizes), sizes))
