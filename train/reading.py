"""Texts -> the tokenizer that reads them: a vocabulary of words, or of pieces of words, and which words share an id."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from batch_scorer.models.subwords import WORD_START, SubwordTokenizer
from batch_scorer.models.tokenizer import PATTERN, RESERVED, START, Tokenizer, build_vocabulary, words
from batch_scorer.models.units import PIECES
from train.keras_files import FIRST_RANK, with_unused
from train.material.word_classes import WordClass, aliases, tied_counts
from train.pieces import learn

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """How texts are read.

    Args:
        max_words, max_ids, pattern, max_windows: of the tokenizer.
        ties: the classes of words that share an id.
        subwords: whether ids are of pieces of words; the pattern is then `units.PIECES`, whatever it is here.
        words_of: a tokenizer of the same kind whose vocabulary is taken as it is, instead of that of the texts.
    """

    max_words: int
    max_ids: int
    pattern: str = PATTERN
    max_windows: int = 1
    ties: Sequence[WordClass] = ()
    subwords: bool = False
    words_of: Tokenizer | None = None


def tokenizer_from(
    texts: Sequence[str], id_count: int, reading: Reading, as_keras: bool = False
) -> tuple[Tokenizer, Counts]:
    """The tokenizer for `texts`, and how often each id occurs in them before words share ids: int64[V].

    Args:
        id_count: maximum of V.
        as_keras: whether the word of rank r (from 1) gets the id r + 3, as in Keras' data, rather than r + 2.
    """
    if reading.subwords:
        return _of_pieces(texts, id_count, reading)
    if reading.words_of:
        vocabulary = list(reading.words_of.vocabulary)
        counts = word_counts(vocabulary, texts, reading.pattern)
    else:
        vocabulary, counts = build_vocabulary(texts, id_count - as_keras, reading.pattern)
    if as_keras:
        vocabulary, counts = with_unused(vocabulary), np.insert(counts, FIRST_RANK, 0)
    tokenizer = Tokenizer(
        vocabulary,
        reading.max_words,
        reading.max_ids,
        aliases=aliases(reading.ties, vocabulary, counts),
        pattern=reading.pattern,
        max_windows=reading.max_windows,
    )
    return tokenizer, counts


def _of_pieces(texts: Sequence[str], id_count: int, reading: Reading) -> tuple[SubwordTokenizer, npt.NDArray[np.int64]]:
    """A tokenizer of the pieces that `texts` have, and how often each id occurs in them before words share ids."""
    given = reading.words_of
    found = given if isinstance(given, SubwordTokenizer) else learn(texts, id_count)
    plain = SubwordTokenizer(
        found.vocabulary,
        reading.max_words,
        reading.max_ids,
        pattern=PIECES,
        max_windows=reading.max_windows,
        scores=found.scores,
    )
    counts = id_counts(plain, texts)
    return replace(plain, aliases=aliases(reading.ties, words_of(plain), counts)), counts


def words_of(tokenizer: Tokenizer) -> Sequence[str]:
    """The word that each id stands for by itself; where ids are of pieces, empty for those that begin no word."""
    if not isinstance(tokenizer, SubwordTokenizer):
        return tokenizer.vocabulary
    plain = replace(tokenizer, aliases={})
    words = (piece.removeprefix(WORD_START) if piece[0] == WORD_START else "" for piece in tokenizer.vocabulary)
    return [word if word and plain.pieces(word) == (i,) else "" for i, word in enumerate(words)]


def word_counts(vocabulary: Sequence[str], texts: Sequence[str], pattern: str) -> Counts:
    """How often each word of a vocabulary occurs in texts, and how often none of them, as `build_vocabulary` counts."""
    seen = Counter(itertools.chain.from_iterable(words(text, pattern) for text in texts))
    counts = np.array([seen[word] for word in vocabulary], np.int64)
    counts[: len(RESERVED)] = 0, len(texts), seen.total() - counts[len(RESERVED) :].sum()
    return counts


def id_counts(tokenizer: SubwordTokenizer, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """How often each id occurs when texts are encoded in full: int64[V]."""
    words = Counter(itertools.chain.from_iterable(map(tokenizer.words, texts)))
    counts = np.zeros(len(tokenizer.vocabulary), np.int64)
    counts[START] = len(texts)
    for word, count in words.items():
        for i in tokenizer.pieces(word):
            counts[i] += count
    return counts


def shared_counts(tokenizer: Tokenizer, counts: Counts, texts: Sequence[str]) -> Counts:
    """How often each id occurs, words that share one taken together: int64[V].

    Args:
        counts: int64[V], from before words shared ids.
        texts: what they were counted in.
    """
    if isinstance(tokenizer, SubwordTokenizer):  # a piece that a word gives up may still be part of longer words
        return id_counts(tokenizer, texts) if tokenizer.aliases else counts
    return tied_counts(counts, tokenizer.vocabulary, tokenizer.aliases)
