"""Reviews that repeat one another, word for word or nearly: each review gets the number of the first of its kind.

**Repeats** have the same words in the same order, whatever their case, punctuation and white space. **Near repeats**
share at least half of all runs of three words that either has (Jaccard index of the two sets, Broder 1997); reviews of
fewer than ten words are not compared like that, since they are alike by chance. Repeats of a repeat count.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import words

RUN, ALIKE, MIN_WORDS = 3, 0.5, 10
# Pairs are found by MinHash (Broder 1997) and judged by their runs themselves. Two hashes have to agree in one of so
# many bands, so that a pair at the limit is missed once in 10,000 times, and one with 0.6 once in a million.
BANDS, PER_BAND = 32, 2
_PROMISING = 0.3  # share of hashes in agreement below which a pair is not looked at: by far not half of the runs
_BLOCK = 2_000  # reviews hashed at a time

Numbers = npt.NDArray[np.uint32]  # the words of one review: uint32[n]
Ints = npt.NDArray[np.int64]
_Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Duplicates:
    """Which of N reviews repeat one another.

    Args:
        same: int64[N], the first review with the same words; its own number for the first one.
        near: int64[N], likewise the first one of those that repeat each other, word for word or nearly.
    """

    same: Ints
    near: Ints


class _NumberOf(dict[str, int]):
    """The number of each word. Two words share one by chance, once in four billion pairs."""

    def __missing__(self, word: str) -> int:
        self[word] = number = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return number


def numbered(texts: Sequence[str]) -> list[Numbers]:
    """The words of texts as numbers, in lower case and without what is between them."""
    number_of = _NumberOf()
    tokens = (words(text) for text in texts)
    return [np.fromiter(map(number_of.__getitem__, review), np.uint32, len(review)) for review in tokens]


def find_duplicates(reviews: Sequence[Numbers]) -> Duplicates:
    """Finds repeats and near repeats among N reviews, in time that grows with N and not with its square.

    The result depends on the reviews alone. 25,000 of 230 words each take a few seconds.

    Args:
        reviews: their words, as numbers; the same word has the same number.
    """
    first: dict[bytes, int] = {}
    same = np.array([first.setdefault(review.tobytes(), i) for i, review in enumerate(reviews)], np.int64)
    compared = [i for i in np.unique(same).tolist() if len(reviews[i]) >= MIN_WORDS]
    leader = list(range(len(reviews)))

    def leader_of(i: int) -> int:
        while leader[i] != i:
            leader[i] = i = leader[leader[i]]
        return i

    if compared:
        runs: dict[int, _Hashes] = {}
        for a, b in _candidates([reviews[i] for i in compared]):
            one, other = leader_of(compared[a]), leader_of(compared[b])
            if one == other:
                continue
            for i in (a, b):
                if i not in runs:
                    runs[i] = np.unique(_runs(reviews[compared[i]]))
            if _jaccard(runs[a], runs[b]) >= ALIKE:
                leader[max(one, other)] = min(one, other)
    return Duplicates(same, np.array([leader_of(i) for i in same.tolist()], np.int64))


def _candidates(reviews: Sequence[Numbers]) -> Iterator[tuple[int, int]]:
    """Pairs that may be near repeats, each once, in order."""
    signatures = np.concatenate([_signatures(reviews[at : at + _BLOCK]) for at in range(0, len(reviews), _BLOCK)])
    found = list[Ints]()
    for band in range(BANDS):
        pair = signatures[:, band * PER_BAND : (band + 1) * PER_BAND].astype(np.uint64)
        key = pair[:, 0] << np.uint64(32) | pair[:, 1]
        order = np.argsort(key, kind="stable")
        alike = np.flatnonzero(key[order][1:] == key[order][:-1]) + 1
        # With the one before it, and with the first of the bucket: not with all of them, which would be a square.
        starts = np.maximum.accumulate(np.where(np.isin(np.arange(len(order)), alike), 0, np.arange(len(order))))
        for partner in (alike - 1, starts[alike]):
            found.append(order[partner].astype(np.int64) * len(reviews) + order[alike])
    pairs = np.unique(np.concatenate(found))
    for at in range(0, len(pairs), 100_000):
        a, b = np.divmod(pairs[at : at + 100_000], len(reviews))
        promising = (signatures[a] == signatures[b]).mean(axis=1) >= _PROMISING
        yield from zip(a[promising].tolist(), b[promising].tolist(), strict=True)


def _signatures(reviews: Sequence[Numbers]) -> Numbers:
    """The MinHash of each review's runs of words: uint32[N, BANDS * PER_BAND]."""
    runs = np.concatenate([_runs(review) for review in reviews])
    starts = np.cumsum([0, *(len(review) - RUN + 1 for review in reviews[:-1])])
    out = np.empty((len(reviews), BANDS * PER_BAND), np.uint32)
    for column, factor in enumerate(_mixed(np.arange(1, BANDS * PER_BAND + 1, dtype=np.uint64)) | np.uint64(1)):
        lowest = np.minimum.reduceat(runs * factor, starts)
        out[:, column] = lowest >> np.uint64(16)  # the highest bits of the least values are all the same
    return out


def _runs(review: Numbers) -> _Hashes:
    """A hash of each run of `RUN` words: uint64[n - RUN + 1]."""
    hashed, out = _mixed(review.astype(np.uint64)), np.zeros(len(review) - RUN + 1, np.uint64)
    for at in range(RUN):
        out = _mixed(out + hashed[at : at + len(out)])
    return out


def _mixed(x: _Hashes) -> _Hashes:
    """SplitMix64 (Steele et al. 2014): numbers that differ little become numbers that differ in half of their bits."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _jaccard(a: _Hashes, b: _Hashes) -> float:
    """The share of the runs of two reviews that both have; each review's are sorted and unique."""
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / (len(a) + len(b) - both)
