"""Encode: a chunk of reviews -> the ids that the model reads; reviews without words are rejected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.models.tokenizer import OOV, Ids, Tokenizer, foreign_words, words
from batch_scorer.schema import Rejection
from batch_scorer.scoring.read import Chunk

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Encoded:
    """N reviews with at least one word each, in the order of the input.

    Args:
        reviews: N rows, as in `read.Chunk`.
        texts: N texts.
        ids: N sequences of int32: the start mark, unless the tokenizer cuts it off, and the words used.
        n_tokens, n_tokens_used, oov_words, foreign_words: int32[N]: words in the text; those used; those used but not
            in the vocabulary; those in a script other than Latin.
        rejected: the chunk's rejections, then one for each review without words.
    """

    reviews: pa.Table
    texts: list[str]
    ids: list[Ids]
    n_tokens: Ints
    n_tokens_used: Ints
    oov_words: Ints
    foreign_words: Ints
    rejected: list[Rejection]

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Encoded:
        """The reviews where `chosen`, bool[N], is true; all the rejections."""
        if chosen.all():
            return self
        indices = np.flatnonzero(chosen)
        return Encoded(
            self.reviews.take(pa.array(indices)),
            [self.texts[i] for i in indices],
            [self.ids[i] for i in indices],
            self.n_tokens[indices],
            self.n_tokens_used[indices],
            self.oov_words[indices],
            self.foreign_words[indices],
            self.rejected,
        )

    def rejection(self, index: int, code: str, message: str) -> Rejection:
        """Review `index` as a rejection."""
        row = self.reviews.slice(index, 1)
        source, offset, record_id = (row[name][0].as_py() for name in ("source", "offset", "record_id"))
        return Rejection(source, offset, record_id, code, message, self.texts[index])


def encode(chunk: Chunk, tokenizer: Tokenizer) -> Encoded:
    """Tokenizes a chunk."""
    ids = []
    n_tokens, foreign = (np.empty(len(chunk.texts), np.int32) for _ in range(2))
    for i, text in enumerate(chunk.texts):
        tokens = words(text)
        n_tokens[i], foreign[i] = len(tokens), foreign_words(text, tokens)
        ids.append(tokenizer.ids(tokens))
    used = np.minimum(n_tokens, tokenizer.max_words).astype(np.int32)
    unknown = np.array([np.count_nonzero(x == OOV) for x in ids], np.int32)
    encoded = Encoded(chunk.reviews, chunk.texts, ids, n_tokens, used, unknown, foreign, [*chunk.rejected])
    message = "no letter or digit, and so no word, in the text"
    encoded.rejected.extend(encoded.rejection(int(i), "no_words", message) for i in np.flatnonzero(n_tokens == 0))
    return encoded.rows(n_tokens > 0)
