"""What stands between two words of a review: the end of a sentence, the end of a clause, or neither.

A rule of our own in the spirit of Unicode's (UAX 29), for reviews as people type them, all words of many reviews at
once; docs/decisions/0038-sentences.md says why. Only full stops, commas, quotes, line breaks and so on are looked at.

Shapes: W words of several reviews, C characters of their texts, G gaps between words in which something stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import LINE_BREAK
from batch_scorer.models.units import Places

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.unsignedinteger]

# Kinds of characters, each a bit.
_STOP, _TERM, _ELLIPSIS, _COMMA, _MARK, _LINE, _TAG, _HYPHEN = (1 << i for i in range(8))
_KINDS = {
    _STOP: ".",
    _TERM: "!?\u203c\u203d\u2047\u2048\u2049\u3002\uff01\uff1f\uff0e\uff61\u061f\u06d4\u0964\u0965\u0589\u2029",
    _ELLIPSIS: "\u2026",
    _COMMA: ",;:\u3001\uff0c\uff1b\uff1a\u060c\u061b",
    _MARK: '()[]{}"\u00ab\u00bb\u201c\u201d\u201e\u2013\u2014\u2015\u2022\u300c\u300d\u300e\u300f\uff08\uff09',
    _LINE: "\n",
    _TAG: "<",
    _HYPHEN: "-",
}
_LOWER, _UPPER, _DIGIT = 1, 2, 4
_TABLE = 1 << 16  # characters beyond are of no kind
_PACKED = 8  # letters of a word that is compared with a list

# Before a name: no sentence ends here. Elsewhere, one does if a capital follows; before a number, none.
_TITLES = "mr mrs ms dr prof st capt lt sgt gen col cpl rev hon gov sen rep messrs mme mlle mt ft vs dir feat"
_SHORT = "etc inc ltd co corp jr sr approx dept est esq al cf ca max min ed eds aka ie eg bros dist orig pres sec"
_NUMBERED = "no nos vol ch chap ep pt fig p pp art sect s"
# What begins a sentence rather than a name, after initials ("the U.S. It was", but "J. K. Rowling").
_STARTERS = (
    "the it this that these those i i'm i've i'd i'll he she they we you it's there here but and so if my his her our "
    "what when while who why how in on at as for with not no a an one all its yet then also overall"
)


class Gaps(NamedTuple):
    """Of each word, whether something begins with it; with the first word of a review, both do."""

    new_sentence: Bools  # [W]
    new_clause: Bools  # [W], every new sentence among them


def gaps(texts: Sequence[str], places: Sequence[Places]) -> Gaps:
    """Finds where sentences and clauses begin.

    Args:
        texts: of N reviews.
        places: where the words that count start and end in each, in code points; neighbours in the text, W in all.

    Example:
        >>> text = "Mr. Smith was great... as in the U.S. version! but it cost 3.5 million, alas"
        >>> found = gaps([text], [spans(text)])
        >>> [word for word, new in zip(words(text), found.new_sentence) if new]
        ['mr', 'but']
    """
    counts = np.array([len(start) for start, _ in places], np.int64)
    new_sentence = np.zeros(int(counts.sum()), np.bool_)
    if not len(new_sentence):
        return Gaps(new_sentence, new_sentence.copy())
    offsets = np.repeat(np.cumsum([0, *map(len, texts[:-1])]), counts)
    starts, ends = (np.concatenate([pair[side] for pair in places]) + offsets for side in (0, 1))
    new_sentence[(np.cumsum(counts) - counts)[counts > 0]] = True
    found = _between(_codes(texts), starts, ends, new_sentence)
    new_clause = new_sentence.copy()
    new_sentence[found.word[_ends_sentence(found)]] = True
    numbered = found.word[_is_numbering(found, new_sentence)]
    new_sentence[numbered] = False
    new_clause[found.word[_ends_clause(found)]] = True
    return Gaps(new_sentence, new_clause | new_sentence)


class _Between(NamedTuple):
    """G gaps in which something stands, each with the word before it and the one after it."""

    codes: Codes  # [C]
    word: Ints  # the number of the word after
    bits: npt.NDArray[np.uint8]  # the kinds of what stands there
    stops: Ints  # how many full stops
    lines: Ints  # how many line feeds
    start: Ints  # where the word before starts, and ends
    end: Ints
    after: Ints  # where the word after starts, and ends
    after_end: Ints
    case: npt.NDArray[np.uint8]  # of the first letter after
    chained: Bools  # whether nothing but a full stop stands before the word before, as before the S of U.S.

    def rows(self, chosen: Ints) -> _Between:
        """Some of the gaps."""
        return _Between(self.codes, *(column[chosen] for column in self[1:]))  # type: ignore[arg-type]

    def has(self, kinds: int) -> Bools:
        return np.asarray(self.bits & kinds, np.bool_)

    @property
    def is_one(self) -> Bools:
        """Whether the gap is a single character, without a blank."""
        return np.asarray(self.after - self.end == 1)


def _codes(texts: Sequence[str]) -> Codes:
    joined = "".join(texts)
    with suppress(UnicodeEncodeError):
        return np.frombuffer(joined.encode("latin-1"), np.uint8)
    codes = np.frombuffer(joined.encode("utf-16-le"), np.uint16)
    if len(codes) == len(joined):  # otherwise there are characters that take two
        return codes
    return np.minimum(np.frombuffer(joined.encode("utf-32-le"), np.uint32), _TABLE - 1)


@cache
def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The kind of each character, and its case."""
    kind, case = np.zeros(_TABLE, np.uint8), np.zeros(_TABLE, np.uint8)
    for bit, characters in _KINDS.items():
        kind[list(map(ord, characters))] = bit
    for code, character in enumerate(map(chr, range(_TABLE))):
        if character.isalnum():
            case[code] = _LOWER * character.islower() + _UPPER * character.isupper() + _DIGIT * character.isdigit()
    return kind, case


def _between(codes: Codes, starts: Ints, ends: Ints, first: Bools) -> _Between:
    """What stands between words of the same review."""
    kind, case = _tables()
    if codes.itemsize == 1:  # several times as fast as to index
        kinds = np.frombuffer(codes.tobytes().translate(kind[:256].tobytes()), np.uint8)
    else:
        kinds = kind[codes]
    at = np.flatnonzero(kinds != 0)
    what, word = kinds[at], np.searchsorted(starts, at, side="right")
    inside = (word > 0) & (at < ends[word - 1])
    if inside.any():  # the words of some models hold punctuation: what they begin and end with is taken off
        begin, end, number = starts[word - 1], ends[word - 1], np.arange(len(at))
        leads = inside & (at - begin == number - np.searchsorted(at, begin)) & (at + 1 < end)
        trails = inside & (end - at == np.searchsorted(at, end) - number) & (at > begin)
        starts, ends = starts.copy(), ends.copy()
        np.maximum.at(starts, word[leads] - 1, at[leads] + 1)
        np.minimum.at(ends, word[trails] - 1, at[trails])
        inside &= ~trails
    counts = (word > 0) & (word < len(starts)) & ~inside
    counts[counts] &= ~first[word[counts]]
    at, what, word = at[counts], what[counts], word[counts]
    tags = np.flatnonzero(what == _TAG)
    is_tag = np.ones(len(tags), np.bool_)
    for shift, letter in enumerate(LINE_BREAK):
        is_tag &= codes[np.minimum(at[tags] + shift, len(codes) - 1)] == ord(letter)
    what[tags[~is_tag]] = _MARK
    runs = np.flatnonzero(np.diff(word, prepend=-1)) if len(word) else np.zeros(0, np.int64)
    after = word[runs]
    before = after - 1
    chained = ~first[before] & (starts[before] - ends[before - 1] == 1) & (codes[starts[before] - 1] == ord("."))

    def count(bit: int) -> Ints:
        return np.add.reduceat((what == bit).astype(np.int64), runs) if len(runs) else np.zeros(0, np.int64)

    bits = np.bitwise_or.reduceat(what, runs) if len(runs) else what[:0]
    return _Between(
        codes, after, bits, count(_STOP), count(_LINE), starts[before], ends[before], starts[after], ends[after],
        case[codes[starts[after]]], chained,
    )  # fmt: skip


def _ends_sentence(g: _Between) -> Bools:
    """bool[G]: whether a sentence ends in the gap."""
    is_lower, is_one = g.case == _LOWER, g.is_one
    ends = g.has(_TAG) | (g.lines > 1) | ((g.lines == 1) & ~is_lower)
    # `"What?" he asked`: quotes and brackets close before a sentence goes on. `P!nk`, `a?b=c`.
    goes_on = is_lower & (g.has(_MARK) | is_one)
    ends |= g.has(_TERM) & ~goes_on
    trails_off = (g.has(_ELLIPSIS) | (g.stops > 1)) & ~g.has(_TERM)
    ends |= trails_off & ~is_lower
    stop = (g.stops == 1) & ~g.has(_TERM | _ELLIPSIS) & ~goes_on & ~ends
    chosen = np.flatnonzero(stop)
    ends[chosen[_stop_ends(g.rows(chosen))]] = True
    return np.asarray(ends)


def _stop_ends(g: _Between) -> Bools:
    """Whether the only full stop in the gap ends a sentence: abbreviations, initials and decimals have one too."""
    _, case = _tables()
    length, is_upper, is_one = g.end - g.start, g.case == _UPPER, g.is_one
    before, first = _packed(g.codes, g.start, length), g.codes[g.start]
    after_length, starts_one = g.after_end - g.after, np.isin(g.codes[g.after], (ord("A"), ord("I")))
    # `movie.It`, but neither `3.5` nor `Ph.D.` nor `U.S.A.`
    without_blank = is_upper & (length > 1) & (case[g.codes[g.end - 1]] == _LOWER) & ((after_length > 1) | starts_one)
    ends = np.where(is_one, without_blank, True)
    ends &= ~np.isin(before, _list(_TITLES))
    ends &= ~np.isin(before, _list(_SHORT)) | is_upper
    ends &= ~np.isin(before, _list(_NUMBERED)) | (g.case != _DIGIT)
    is_letter = (length == 1) & ((case[first] & (_LOWER | _UPPER)) != 0) & ~is_one
    chained = is_letter & g.chained
    begins = np.isin(_packed(g.codes, g.after, after_length), _list(_STARTERS))
    ends &= ~chained | (is_upper & begins)
    is_initial = is_letter & ~chained & (case[first] == _UPPER) & (first != ord("I"))
    return np.asarray(ends & (~is_initial | begins))


def _is_numbering(g: _Between, new_sentence: Bools) -> Bools:
    """Whether the gap follows a number that begins a sentence, as in `1. The plot`: it goes with what follows."""
    _, case = _tables()
    length = g.end - g.start
    digits = (length <= 2) & (case[g.codes[g.start]] == _DIGIT) & (case[g.codes[g.end - 1]] == _DIGIT)
    return np.asarray(digits & new_sentence[g.word - 1] & (g.stops == 1) & ~g.has(_TAG | _LINE | _TERM))


def _ends_clause(g: _Between) -> Bools:
    """Whether something stands in the gap that a phrase does not reach across, a sentence's end aside."""
    plain = g.has(_MARK | _TERM | _ELLIPSIS) | (g.stops > 1)
    comma = g.has(_COMMA) & ~(g.is_one & (g.case == _DIGIT))  # `10,000`
    return np.asarray(plain | comma | (g.has(_HYPHEN) & ~g.is_one))


def _packed(codes: Codes, start: Ints, length: Ints) -> npt.NDArray[np.uint64]:
    """Words as numbers, in lower case: eight letters of ASCII each; 0 for others."""
    key, fits = np.zeros(len(start), np.uint64), length <= _PACKED
    for place in range(_PACKED):
        inside = fits & (place < length)
        code = codes[np.minimum(start + place, len(codes) - 1)]
        fits &= ~inside | (code < 128)
        key |= np.where(inside, code | 32, 0).astype(np.uint64) << np.uint64(8 * place)
    return np.where(fits, key, np.uint64(0))


@cache
def _list(words: str) -> npt.NDArray[np.uint64]:
    """The words of a list as `_packed` has them."""
    return np.array([int.from_bytes(word.encode("ascii"), "little") for word in words.split()], np.uint64)
