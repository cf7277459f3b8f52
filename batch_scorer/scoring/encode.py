"""Encode: a chunk of reviews -> the ids that the model reads, window by window; reviews without words are rejected.

A chunk of long reviews is encoded in several pieces: of what follows, everything that takes memory does so by window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.splitting import SKIPPED, Splitting
from batch_scorer.models.tokenizer import OOV, Ids, Rule, Tokenizer, foreign_words
from batch_scorer.models.windows import Windows
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
        pattern: what a word is, one of `tokenizer.PATTERNS` or the rules of a tokenizer of Keras.
        n_tokens, n_tokens_used, oov_words, foreign_words: int32[N]: words in the text; those used; those used but not
            in the vocabulary; those in a script other than Latin.
        rejected: the chunk's rejections, then one for each review without words.
    """

    reviews: pa.Table
    texts: list[str]
    windows: Windows
    pattern: Rule
    n_tokens: Ints
    n_tokens_used: Ints
    oov_words: Ints
    foreign_words: Ints
    rejected: list[Rejection]

    @property
    def n_seen(self) -> Ints:
        """int32[N]: the number of the last word that is read of each: all words, unless the first ones are read."""
        is_first = isinstance(self.pattern, Splitting) and self.pattern.reads_first
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
            self.pattern,
            self.n_tokens[indices],
            self.n_tokens_used[indices],
            self.oov_words[indices],
            self.foreign_words[indices],
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
    start, windows, ids, n_tokens, foreign, wordless = 0, 0, list[list[Ids]](), list[int](), list[int](), list[bool]()
    for text in chunk.texts:
        tokens = tokenizer.words(text)
        read = tokenizer.windows(tokens)
        if ids and windows + len(read) > PIECE_WINDOWS:
            yield _piece(chunk, start, ids, n_tokens, foreign, wordless, tokenizer)
            start, windows, ids, n_tokens, foreign, wordless = start + len(ids), 0, [], [], [], []
        windows += len(read)
        ids.append(read)
        n_tokens.append(len(tokens))
        foreign.append(foreign_words(text, tokens))
        wordless.append(not any(map(tokenizer.is_word, tokens)))
    yield _piece(chunk, start, ids, n_tokens, foreign, wordless, tokenizer)


def _piece(
    chunk: Chunk,
    start: int,
    ids: list[list[Ids]],
    n_tokens: list[int],
    foreign: list[int],
    wordless: list[bool],
    tokenizer: Tokenizer,
) -> Encoded:
    """The reviews of a chunk from number `start` on, as many as there are `ids`."""
    stop, windows = start + len(ids), Windows.join(ids, n_tokens, tokenizer)
    found = np.array(n_tokens, np.int32)
    used = np.bincount(windows.review, weights=windows.n_words, minlength=len(ids)).astype(np.int32)
    unknown = np.bincount(
        windows.review,
        weights=[np.count_nonzero((x == OOV) | (x == SKIPPED)) for x in windows.ids],
        minlength=len(ids),
    ).astype(np.int32)
    encoded = Encoded(
        chunk.reviews.slice(start, len(ids)),
        chunk.texts[start:stop],
        windows,
        tokenizer.pattern,
        found,
        used,
        unknown,
        np.array(foreign, np.int32),
        [*chunk.rejected] if start == 0 else [],
    )
    message = "no letter or digit, and so no word, in the text"
    nothing = np.array(wordless, np.bool_)
    encoded.rejected.extend(encoded.rejection(int(i), "no_words", message, True) for i in np.flatnonzero(nothing))
    return encoded.rows(~nothing)
