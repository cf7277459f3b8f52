"""Words of a new kind of text: which join the vocabulary, and the embeddings that they start with.

Shapes: V ids, K of them new, E embedding values.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from batch_scorer.models.network import Doubles, Floats
from batch_scorer.models.subwords import SubwordTokenizer
from batch_scorer.models.tokenizer import OOV, Ids, Tokenizer

NEIGHBOURS = 5  # words on either side of a word that say what it is like
FEWEST_WORDS = 500  # that the map below is fitted to
RIDGE = 10.0
DOUBT = 3.0  # how often a word has to occur for its neighbours to count as much as not knowing it


def grown(tokenizer: Tokenizer, texts: Iterable[str], most: int, least_count: int) -> Tokenizer:
    """The tokenizer with the frequent words of `texts` that it does not know, at the end of its vocabulary.

    One whose ids are pieces of words stays as it is: it has pieces for any word of its script.

    Args:
        most: how many words are added at most.
        least_count: how often a word has to occur.
    """
    if isinstance(tokenizer, SubwordTokenizer):
        return tokenizer
    known = {*tokenizer.vocabulary, *tokenizer.aliases}
    seen = Counter(word for text in texts for word in tokenizer.words(text) if word not in known)
    frequent = [word for word in seen if seen[word] >= least_count]
    frequent.sort(key=lambda word: (-seen[word], word))
    return dataclasses.replace(tokenizer, vocabulary=[*tokenizer.vocabulary, *frequent[:most]])


def with_new_words(embedding: Floats, tokenizer: Tokenizer, texts: Sequence[Ids]) -> Floats:
    """Embeddings of a grown vocabulary: float32[V + K, E].

    A new word gets the embedding that its neighbours suggest: the mean embedding of the known words around all its
    occurrences, mapped linearly to the word's own; the map is fitted by least squares to the known words of the same
    texts (à la carte embedding, Khodak et al. 2018, section 3). With few occurrences it stays near the unknown word's
    embedding, as which it has been read so far.

    Args:
        embedding: float32[V, E] of the words that were known.
        tokenizer: with the grown vocabulary.
        texts: all texts of the new kind, labelled or not, as ids of the grown vocabulary, int32[n] each.
    """
    size, known = len(tokenizer.vocabulary), len(embedding)
    unknown = embedding[OOV].astype(np.float64)
    around, count = _neighbours(embedding, size, texts)
    out = np.concatenate([embedding, np.tile(embedding[OOV], (size - known, 1))]).astype(np.float32)
    fitted = np.flatnonzero((count[:known] > 0) & (np.arange(known) > OOV))
    if len(fitted) >= FEWEST_WORDS and size > known:
        weight = np.log1p(count[fitted])[:, None]
        x, y = around[fitted], embedding[fitted].astype(np.float64) - unknown
        mapped = np.linalg.solve(x.T @ (weight * x) + RIDGE * np.eye(x.shape[1]), x.T @ (weight * y))  # [E, E]
        trust = (count[known:] / (count[known:] + DOUBT))[:, None]
        out[known:] = unknown + trust * (around[known:] @ mapped)
    return out


def _neighbours(embedding: Floats, size: int, texts: Sequence[Ids]) -> tuple[Doubles, Doubles]:
    """For each id, the mean embedding of the known words around it, [V + K, E], and how often it has any, [V + K]."""
    around, count = np.zeros((size, embedding.shape[1])), np.zeros(size)
    for ids in texts:
        is_known = (ids > OOV) & (ids < len(embedding))
        values = np.where(is_known[:, None], embedding[np.where(is_known, ids, 0)], 0.0)  # [n, E]
        sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
        numbers = np.concatenate([[0], np.cumsum(is_known)])
        place = np.arange(len(ids))
        low, high = np.maximum(place - NEIGHBOURS, 0), np.minimum(place + NEIGHBOURS + 1, len(ids))
        near = sums[high] - sums[low] - values
        n = numbers[high] - numbers[low] - is_known
        has = n > 0
        np.add.at(around, ids[has], near[has] / n[has, None])
        np.add.at(count, ids[has], 1.0)
    return around / np.maximum(count, 1)[:, None], count
