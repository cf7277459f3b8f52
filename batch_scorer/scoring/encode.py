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
    """N reviews, each with a word at least.

    Args:
        reviews: N rows, as in `read.Chunk`.
        texts: N texts.
        ids: N sequences of int32: the start mark, unless the tokenizer cuts it off, and the words used.
        n_tokens, n_tokens_used, oov_words, foreign_words: int32[N]: words found, used, used but not in the vocabulary,
            and found in another script than Latin.
    """

    reviews: pa.Table
    texts: list[str]
    ids: list[Ids]
    n_tokens: Ints
    n_tokens_used: Ints
    oov_words: Ints
    foreign_words: Ints

    def rows(self, chosen: npt.NDArray[np.intp]) -> Encoded:
        """The reviews at the indices `chosen`."""
        return Encoded(
            self.reviews.take(pa.array(chosen)),
            [self.texts[i] for i in chosen],
            [self.ids[i] for i in chosen],
            self.n_tokens[chosen],
            self.n_tokens_used[chosen],
            self.oov_words[chosen],
            self.foreign_words[chosen],
        )


def encode(chunk: Chunk, tokenizer: Tokenizer) -> tuple[Encoded, list[Rejection]]:
    """Tokenizes a chunk."""
    ids = []
    n_tokens, foreign = (np.empty(len(chunk.texts), np.int32) for _ in range(2))
    for i, text in enumerate(chunk.texts):
        found = words(text)
        n_tokens[i], foreign[i] = len(found), foreign_words(text, found)
        ids.append(tokenizer.ids(found))
    used = np.minimum(n_tokens, tokenizer.max_words).astype(np.int32)
    unknown = np.array([np.count_nonzero(x == OOV) for x in ids], np.int32)
    encoded = Encoded(chunk.reviews, chunk.texts, ids, n_tokens, used, unknown, foreign)
    if n_tokens.all():
        return encoded, []
    wordless = np.flatnonzero(n_tokens == 0)
    message = "no letter or digit, and so no word, in the text"
    rejected = [rejection(encoded, int(i), "no_words", message) for i in wordless]
    return encoded.rows(np.flatnonzero(n_tokens)), rejected


def rejection(encoded: Encoded, index: int, code: str, message: str) -> Rejection:
    """Review `index` as a rejection."""
    row = encoded.reviews.slice(index, 1)
    source, offset, record_id = (row[name][0].as_py() for name in ("source", "offset", "record_id"))
    return Rejection(source, offset, record_id, code, message, encoded.texts[index])
