"""Encode: a chunk of reviews -> the ids that the model reads, window by window; reviews without words are rejected.

A chunk of long reviews is encoded in several pieces: of what follows, everything that takes memory does so by window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.many_texts import TextRead, read_many
from batch_scorer.models.scripts import COUNT, script_counts
from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import Tokenizer
from batch_scorer.models.units import Places
from batch_scorer.models.windows import Read, Windows
from batch_scorer.schema import Rejection
from batch_scorer.scoring.read import CHUNK_REVIEWS, Chunk

PIECE_WINDOWS = CHUNK_REVIEWS  # as many as there are where no review has more than one

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """N reviews with at least one word each, in the order of the input.

    Args:
        reviews: N rows, as in `read.Chunk`.
        texts: N texts.
        windows: what the model reads of them.
        tokenizer: what found the words.
        places: where the words of each text are, if finding them has told it; else None.
        n_tokens, n_tokens_used: int32[N]: words in the text; those used.
        n_ids, oov_ids: int32[N]: ids of the words used, one each unless ids are of pieces; unknown ones among them.
        scripts: int32[N, S], words in each of `scripts.SCRIPTS`, which are those other than Latin.
        rejected: the chunk's rejections, then one for each review without words.
    """

    reviews: pa.Table
    texts: list[str]
    windows: Windows
    tokenizer: Tokenizer
    places: list[Places | None]
    n_tokens: Ints
    n_tokens_used: Ints
    n_ids: Ints
    oov_ids: Ints
    scripts: Ints
    rejected: list[Rejection]

    @property
    def n_seen(self) -> Ints:
        """int32[N]: the number of the last word that is read of each: all words, unless the first ones are read."""
        rule = self.tokenizer.pattern
        is_first = isinstance(rule, Splitting) and rule.reads_first
        return self.n_tokens_used if is_first else self.n_tokens

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Encoded:
        """The reviews where `chosen`, bool[N], is true; all the rejections."""
        if chosen.all():
            return self
        indices = np.flatnonzero(chosen)
        return Encoded(
            self.reviews.take(pa.array(indices)),
            [self.texts[i] for i in indices],
            self.windows.rows(chosen),
            self.tokenizer,
            [self.places[i] for i in indices],
            self.n_tokens[indices],
            self.n_tokens_used[indices],
            self.n_ids[indices],
            self.oov_ids[indices],
            self.scripts[indices],
            self.rejected,
        )

    def rejection(self, index: int, code: str, message: str, is_empty: bool = False) -> Rejection:
        """Review `index` as a rejection."""
        row = self.reviews.slice(index, 1)
        source, offset, record_id = (row[name][0].as_py() for name in ("source", "offset", "record_id"))
        return Rejection(source, offset, record_id, code, message, self.texts[index], is_empty)


def encode(chunk: Chunk, tokenizer: Tokenizer) -> Iterator[Encoded]:
    """Tokenizes a chunk, in pieces of at most `PIECE_WINDOWS` windows, or of one review; the first has its rejections.

    Example:
        >>> from batch_scorer.scoring.read import read_texts
        >>> tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good"], max_words=2, max_windows=8)
        >>> (encoded,) = encode(next(read_texts(["Good!", "", "good or bad"])), tokenizer)
        >>> encoded.n_tokens.tolist(), encoded.windows.review.tolist(), encoded.rejected[0].code
        ([1, 3], [0, 1, 1], 'no_words')
    """
    start, windows, found = 0, 0, list[_Words]()
    for text, together in zip(chunk.texts, read_many(chunk.texts, tokenizer), strict=True):
        words = _words(text, tokenizer, together)
        if found and windows + len(words.read[0]) > PIECE_WINDOWS:
            yield _piece(chunk, start, found, tokenizer)
            start, windows, found = start + len(found), 0, []
        windows += len(words.read[0])
        found.append(words)
    yield _piece(chunk, start, found, tokenizer)


class _Words(NamedTuple):
    """The words of one text."""

    n_tokens: int
    read: Read
    places: Places | None
    scripts: Ints | None
    is_empty: bool


def _words(text: str, tokenizer: Tokenizer, found: TextRead | None) -> _Words:
    is_empty = not tokenizer.has_words(text)
    if found:  # all its letters are Latin
        return _Words(found.n_words, found.read, found.places, None, is_empty)
    tokens, places = tokenizer.words_and_spans(text)
    return _Words(len(tokens), tokenizer.read(tokens), places, script_counts(text, tokens), is_empty)


def _piece(chunk: Chunk, start: int, found: list[_Words], tokenizer: Tokenizer) -> Encoded:
    """The reviews of a chunk from number `start` on, as many as `found` says."""
    stop, n_tokens = start + len(found), np.array([words.n_tokens for words in found], np.int32)
    windows = Windows.join([words.read for words in found], n_tokens, tokenizer)
    scripts = np.zeros((len(found), COUNT), np.int32)
    for row, words in enumerate(found):
        if words.scripts is not None:
            scripts[row] = words.scripts
    encoded = Encoded(
        chunk.reviews.slice(start, len(found)),
        chunk.texts[start:stop],
        windows,
        tokenizer,
        [words.places for words in found],
        n_tokens,
        windows.words_read.astype(np.int32),
        windows.ids_read.astype(np.int32),
        windows.unknown_ids.astype(np.int32),
        scripts,
        [*chunk.rejected] if start == 0 else [],
    )
    message = "no letter or digit, and so no word, in the text"
    nothing = np.array([words.is_empty for words in found], np.bool_)
    encoded.rejected.extend(encoded.rejection(int(i), "no_words", message, True) for i in np.flatnonzero(nothing))
    return encoded.rows(~nothing)
