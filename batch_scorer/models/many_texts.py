"""Many texts at a time: the words of all of them, where these are, and their ids, found in one pass.

Of a text of thirty words, the calls that find its words take longer than the work that they do. So texts are joined,
and what was found is divided again. What comes out is what `Tokenizer` gives of each text by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import START, Tokenizer, simple_spans, simple_words
from batch_scorer.models.units import Places
from batch_scorer.models.windows import Read

TOGETHER = 1 << 15  # characters that are joined, or one longer text: what is found of them stays in the cache
_BETWEEN = "\n"  # belongs to no word, nor to a line break of HTML


class TextRead(NamedTuple):
    """What is read of one text.

    Args:
        n_words: how many words it has.
        read: its windows, as `Tokenizer.read` gives them.
        places: where its words start and end.
    """

    n_words: int
    read: Read
    places: Places


def read_many(texts: Sequence[str], tokenizer: Tokenizer) -> Iterator[TextRead | None]:
    """What is read of each text, in order; None: it has to be read by itself.

    That is so of texts other than ASCII, among which all would be read as slowly, and of all texts if the tokenizer
    is not one of words by a pattern.

    Example:
        >>> tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good"])
        >>> first, second = read_many(["Very good!", "\u6700\u9ad8"], tokenizer)
        >>> first.n_words, first.read[0][0].tolist(), [ends.tolist() for ends in first.places], second
        (2, [1, 2, 3], [[0, 5], [4, 9]], None)
    """
    if type(tokenizer) is not Tokenizer or isinstance(tokenizer.pattern, Splitting):
        yield from itertools.repeat(None, len(texts))
        return
    start = 0
    while start < len(texts):
        stop, characters = start, 0
        while stop < len(texts) and (stop == start or characters + len(texts[stop]) <= TOGETHER):
            characters += len(texts[stop])
            stop += 1
        group = texts[start:stop]
        found = _read([text for text in group if text.isascii()], tokenizer, tokenizer.pattern)
        yield from (next(found) if text.isascii() else None for text in group)
        start = stop


def _read(texts: Sequence[str], tokenizer: Tokenizer, pattern: str) -> Iterator[TextRead]:
    if not texts:
        return
    joined = _BETWEEN.join(texts)
    words, (starts, ends) = simple_words(joined, pattern), simple_spans(joined, pattern)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + len(_BETWEEN)
    begins = np.cumsum(lengths) - lengths
    edges = np.append(np.searchsorted(starts, begins), len(starts))  # of the texts, in words
    n_words = np.diff(edges)
    by_text = np.repeat(begins, n_words).astype(np.int32)
    starts, ends = starts - by_text, ends - by_text
    # The start marks stand before the words of each text.
    ids = np.full(len(words) + len(texts), START, np.int32)
    is_word = np.ones(len(ids), np.bool_)
    is_word[edges[:-1] + np.arange(len(texts))] = False
    ids[is_word] = tokenizer.ids_of(words)
    longest = min(tokenizer.max_words, tokenizer.max_ids - 1)
    bounds = edges.tolist()
    for i, (first, last) in enumerate(itertools.pairwise(bounds)):
        places = starts[first:last], ends[first:last]
        if last - first <= longest:
            read: Read = [ids[first + i : last + i + 1]], None
        else:
            read = tokenizer.read(words[first:last])
        yield TextRead(last - first, read, places)
