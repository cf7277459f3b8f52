"""Text -> words -> ids: one rule, shared by training, scoring and offsets.

Words are the matches of ``[\\w']+`` in the text, with ``<br />`` read as white space, lower-cased one by one. Models of
format 2 may have `APOSTROPHES` as their pattern: the typographic apostrophe then belongs to a word too, and is looked
up as the plain one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from batch_scorer.models.splitting import SKIPPED, Splitting

Rule = str | Splitting  # what a word is: one of `PATTERNS`, or the rules of a tokenizer of Keras
Ids = npt.NDArray[np.int32]  # of one review: int32[n]
PAD, START, OOV = 0, 1, 2
RESERVED = ("<pad>", "<start>", "<oov>")  # no word can equal one: `<` and `>` are not word characters
PATTERN = r"[\w']+"
APOSTROPHES = "[\\w'\u2019]+"
PATTERNS = (PATTERN, APOSTROPHES)
LINE_BREAK = "<br />"
MAX_IDS = 500
MAX_WORDS = MAX_IDS - 1  # and the start mark

_BLANK = " " * len(LINE_BREAK)  # of the same length, so that offsets are valid in the original text
_TYPOGRAPHIC, _PLAIN = "\u2019", "'"
_letter_or_digit = re.compile(r"[^\W_]").search

# Latin letters and common punctuation, by far the most common case, need no regular expression: one table lower-cases
# words and blanks the rest. Not U+0130, which becomes longer, nor U+0250 to U+1FFF, other scripts, not all as simple.
_simple = re.compile(r"[\u0000-\u012f\u0131-\u024f\u2000-\u206f]*\Z")


@dataclass(frozen=True)
class _Rule:
    """A pattern, and its table over the characters below U+2070."""

    word: re.Pattern[str]
    is_word: npt.NDArray[np.bool_]
    table: str

    @staticmethod
    def of(pattern: str) -> _Rule:
        word = re.compile(pattern)
        is_word = np.array([bool(word.match(chr(c))) for c in range(0x2070)])
        table = "".join(chr(c).lower()[0] if is_word[c] else " " for c in range(0x2070))
        return _Rule(word, is_word, table.replace(_TYPOGRAPHIC, _PLAIN))


_rules = {pattern: _Rule.of(pattern) for pattern in PATTERNS}


def words(text: str, pattern: Rule = PATTERN) -> list[str]:
    """The words of `text`, in order, as they are looked up: in lower case, with plain apostrophes.

    Args:
        pattern: one of `PATTERNS`, or the rules of a tokenizer of Keras, which then say how words are looked up.

    Example:
        >>> words("It\u2019s GOOD"), words("It\u2019s GOOD", APOSTROPHES)
        (['it', 's', 'good'], ["it's", 'good'])
    """
    if isinstance(pattern, Splitting):
        return pattern.words(text)
    if text.isascii() or _simple.match(text):
        return simple_words(text, pattern)
    rule, text = _rules[pattern], text.replace(LINE_BREAK, _BLANK)
    # Lower-casing the whole text first would be wrong: the Greek final sigma depends on what follows the word, and some
    # letters (U+0130) become longer, so that words and offsets would no longer match.
    return [word.lower().replace(_TYPOGRAPHIC, _PLAIN) for word in rule.word.findall(text)]


def has_words(text: str) -> bool:
    """Whether `words` finds any with a letter or a digit: `_` and `'` alone are none, though models have ids for them.

    By any pattern, and without the time that it takes to find all words.

    Example:
        >>> has_words("?! <br /> ... ___ '"), has_words("?! well")
        (False, True)
    """
    return _letter_or_digit(text.replace(LINE_BREAK, _BLANK)) is not None


def spans(text: str, pattern: Rule = PATTERN) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Where the words of `text` start and end, in code points.

    Args:
        pattern: one of `PATTERNS`.

    Returns:
        starts, ends: int32[N] each, N being ``len(words(text, pattern))``; ``text[starts[i]:ends[i]].lower()`` is word
        i, but for typographic apostrophes, and for what the rules of a tokenizer of Keras delete.
    """
    if isinstance(pattern, Splitting):
        return pattern.spans(text)
    if text.isascii() or _simple.match(text):
        return simple_spans(text, pattern)
    text = text.replace(LINE_BREAK, _BLANK)
    places = np.array([match.span() for match in _rules[pattern].word.finditer(text)], np.int32).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def simple_words(text: str, pattern: str) -> list[str]:
    """As `words`, of Latin letters and common punctuation, such as ASCII."""
    return text.replace(LINE_BREAK, _BLANK).translate(_rules[pattern].table).split()


def simple_spans(text: str, pattern: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """As `spans`, of such a text."""
    text = text.replace(LINE_BREAK, _BLANK)
    encoding, unit = ("ascii", np.uint8) if text.isascii() else ("utf-16-le", np.dtype("<u2"))
    inside = np.zeros(len(text) + 2, np.bool_)
    inside[1:-1] = _rules[pattern].is_word[np.frombuffer(text.encode(encoding), unit)]
    edges = np.flatnonzero(inside[1:] != inside[:-1]).astype(np.int32)
    return edges[0::2], edges[1::2]


def window_bounds(n_words: int, max_words: int, max_windows: int) -> list[tuple[int, int]]:
    """Where the windows of a review begin and end: N words in k = ceil(N / max_words) parts of nearly the same length.

    Args:
        n_words: how many the review has. N is at most max_words * max_windows: only that many are read, the last ones.

    Returns:
        k pairs, counted from the first word that is read: part i is ``[i * N // k, (i + 1) * N // k)``. A review
        without words has one empty part.

    Example:
        >>> window_bounds(7, max_words=3, max_windows=64)
        [(0, 2), (2, 4), (4, 7)]
    """
    n = min(n_words, max_words * max_windows)
    k = max(1, -(-n // max_words))
    return [(i * n // k, (i + 1) * n // k) for i in range(k)]


@dataclass(frozen=True)
class Tokenizer:
    """Turns text into words, and words into ids by a vocabulary.

    Args:
        vocabulary: the token of each id, the three reserved ones first.
        max_words: how many words of a review are read at a time: the *last* ones, since reviews end with their verdict.
        max_ids: the most ids that are read at a time. If `max_words` is as large, as in the notebook's variant, a
            review of that many words loses its start mark, as with `keras.utils.pad_sequences`.
        aliases: words that share the id of another, as they are looked up -> id. They go before the vocabulary.
        pattern: what a word is, one of `PATTERNS` or the rules of a tokenizer of Keras, which also say whether there
            is a start mark, what becomes of unknown words, and which words of a long review are read.
        max_windows: how many times `max_words` are read of a longer review; 1 reads its last words only.
    """

    vocabulary: Sequence[str]
    max_words: int = MAX_WORDS
    max_ids: int = MAX_IDS
    aliases: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    pattern: Rule = field(default=PATTERN, kw_only=True)
    max_windows: int = field(default=1, kw_only=True)
    _id_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {token: i for i, token in enumerate(self.vocabulary) if i > OOV}
        object.__setattr__(self, "_id_of", {**known, **self.aliases})

    def words(self, text: str) -> list[str]:
        """The words of `text`, as `words` gives them."""
        return words(text, self.pattern)

    def spans(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Where the words of `text` start and end, as `spans` gives them."""
        return spans(text, self.pattern)

    def words_and_spans(
        self, text: str
    ) -> tuple[list[str], tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None]:
        """As `words`, with what `spans` gives where finding the words has told it already."""
        return self.words(text), None

    def last_words(self, tokens: Sequence[str]) -> Sequence[str]:
        """The last of `tokens`, as many as are read at a time."""
        return tokens[-self.max_words :]

    def n_used(self, n_words: int) -> int:
        """How many words are read of a review of `n_words`."""
        return min(n_words, self.max_words * self.max_windows)

    def ids(self, tokens: Sequence[str]) -> Ids:
        """The start mark and the ids of the last `max_words` of `tokens`, cut to the last `max_ids`: int32[n].

        This is what training reads. It is all that scoring reads where `max_windows` is 1; else see `windows`.
        """
        if isinstance(self.pattern, Splitting):
            marks, unknown = (START,) * self.pattern.start_mark, SKIPPED if self.pattern.drops_unknown else OOV
            read = itertools.chain(marks, map(self._id_of.get, tokens, itertools.repeat(unknown)))
            return self.pattern.cut(np.fromiter(read, np.int32, len(marks) + len(tokens)), self.max_ids)
        used = tokens[-self.max_words :]
        ids = itertools.chain((START,), map(self._id_of.get, used, itertools.repeat(OOV)))
        return np.fromiter(ids, np.int32, 1 + len(used))[-self.max_ids :]

    def ids_of(self, tokens: Sequence[str]) -> Ids:
        """The id of each of `tokens`, where every word has one: int32[n]."""
        return np.fromiter(map(self._id_of.get, tokens, itertools.repeat(OOV)), np.int32, len(tokens))

    def has_words(self, text: str) -> bool:
        """Whether `words` finds any with a letter or a digit."""
        return self.pattern.has_words(text) if isinstance(self.pattern, Splitting) else has_words(text)

    def windows(self, tokens: Sequence[str]) -> list[Ids]:
        """What is read of a review, window by window (`window_bounds`), each with its own start mark: int32[n] each."""
        if self.max_windows == 1 or len(tokens) <= self.max_words:
            return [self.ids(tokens)]
        used = tokens[-self.n_used(len(tokens)) :]
        return [self.ids(used[a:b]) for a, b in window_bounds(len(used), self.max_words, self.max_windows)]

    def read(self, tokens: Sequence[str]) -> tuple[list[Ids], list[Ids] | None]:
        """As `windows`, and how many ids each word of a window has: int32 each; None where every word has one."""
        return self.windows(tokens), None


def build_vocabulary(
    texts: Iterable[str], size: int, pattern: str = PATTERN
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The `size` - 3 most frequent words of `texts`, ties in alphabetical order, after the reserved tokens.

    Args:
        pattern: one of `PATTERNS`.

    Returns:
        vocabulary: list[size] of tokens, or fewer if the texts have fewer words.
        counts: int64[len(vocabulary)], how often each id occurs when the texts are encoded in full.
    """
    seen: dict[str, int] = {}
    reviews = 0
    for text in texts:
        reviews += 1
        for word in words(text, pattern):
            seen[word] = seen.get(word, 0) + 1
    ranked = sorted(seen, key=lambda word: (-seen[word], word))
    kept = ranked[: size - len(RESERVED)]
    unknown = sum(seen[word] for word in ranked[len(kept) :])
    return [*RESERVED, *kept], np.array([0, reviews, unknown, *(seen[word] for word in kept)], np.int64)
