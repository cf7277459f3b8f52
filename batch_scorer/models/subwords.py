"""Words -> the ids of their pieces, by a Unigram model (Kudo 2018) that the artefact stores as pieces and scores.

Text becomes words as in `units`; a word becomes the most probable sequence of pieces, which the package `tokenizers`
finds. A run of a script without blanks is divided into its pieces first, and each is a word of its own from then on.
`tokenizers` is imported when such a model is loaded, and only then.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import Any

import numpy as np

from batch_scorer.errors import ArtifactError
from batch_scorer.escape import install
from batch_scorer.models.tokenizer import APOSTROPHES, OOV, START, Ids, Tokenizer, spans, words
from batch_scorer.models.units import Places, composed, found_without_runs, has_runs, is_run, joined, looked_up, matches
from batch_scorer.models.windows import piece_windows

WORD_START = "\u2581"  # begins the first piece of a word, not that of a unit of a run

_REMEMBERED, _SHORT = 65_536, 64  # words kept with their pieces; longer ones seldom occur twice

# Where every character is one of these, `words` finds by one table what `units` finds by regular expressions.
_simple = re.compile(r"[\u0000-\u012f\u0131-\u024f\u2000-\u200b\u200e-\u206f]*\Z")


class _Remembered(dict[str, Any]):
    """What `find` says of a word, remembered for as many short words as fit."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, word: str) -> Any:
        answer = self._find(word)
        if len(word) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[word] = answer
        return answer


@dataclass(frozen=True)
class SubwordTokenizer(Tokenizer):
    """Turns text into words and the units of runs, and each of these into the ids of its pieces.

    `max_words` and `max_windows` count pieces; a window ends where a word does. Only a word of more than `max_words`
    pieces is cut: what comes after is not read. A word that has an alias is one id, that of the alias.

    Args:
        vocabulary: the piece of each id, after the three reserved tokens.
        scores: the log probability of each; those of the reserved tokens count for nothing.

    Raises:
        ArtifactError: the package `tokenizers` is not installed.

    Example:
        >>> pieces = ["<pad>", "<start>", "<oov>", "\u2581", "\u2581good", "ness", "最高", "です"]
        >>> tokenizer = SubwordTokenizer(pieces, scores=[0, 0, 0, -9, -3, -4, -3, -3])
        >>> tokenizer.words("Goodness! 最高です"), tokenizer.pieces("goodness")
        (['goodness', '最高', 'です'], (4, 5))
        >>> tokenizer.ids(tokenizer.words("Goodness! 最高です")).tolist()
        [1, 4, 5, 6, 7]
    """

    scores: Sequence[float] = field(kw_only=True)
    _forms: _Remembered = field(init=False, repr=False, compare=False)
    _pieces_of: _Remembered = field(init=False, repr=False, compare=False)
    _model: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_id_of", {})
        object.__setattr__(self, "_forms", _Remembered(looked_up))
        object.__setattr__(self, "_pieces_of", _Remembered(self._find))
        object.__setattr__(self, "_model", unigram(self.vocabulary, self.scores))

    def words(self, text: str) -> list[str]:
        """The words and the units of runs, as they are looked up: lower case, plain apostrophes, composed (NFC)."""
        return self.words_and_spans(text)[0]

    def spans(self, text: str) -> Places:
        """Where the words and units of `text` start and end, in code points of the text as it is."""
        if text.isascii() or _simple.match(text):
            return spans(text, APOSTROPHES)
        return self._units(text)[1]

    def words_and_spans(self, text: str) -> tuple[list[str], Places | None]:
        """As `words`, with what `spans` gives where finding the words has told it already."""
        if text.isascii() or _simple.match(text):
            return words(text, APOSTROPHES), None
        if has_runs(text):
            return self._units(text)
        return [self._forms[word] for word in found_without_runs(text)], None

    def _units(self, text: str) -> tuple[list[str], Places]:
        tokens, starts, ends = list[str](), list[int](), list[int]()
        is_composed = unicodedata.is_normalized("NFC", text)
        for match in matches(text):
            raw, (at, end) = match.group(), match.span()
            if match.lastindex is None:
                tokens.append(self._forms[raw])
                starts.append(at)
                ends.append(end)
                continue
            form, places = (raw, None) if is_composed else composed(raw)
            units = joined([piece.value for piece in self._model.tokenize(form)])
            edges = list(accumulate(map(len, units), initial=0 if places else at))
            if places:
                edges = [at + places[edge] for edge in edges]
            tokens += units
            starts += edges[:-1]
            ends += edges[1:]
        return tokens, (np.array(starts, np.int32), np.array(ends, np.int32))

    def pieces(self, word: str) -> tuple[int, ...]:
        """The ids of a word, or of a unit of a run, as `words` gives it: at least one."""
        return self._pieces_of[word]  # type: ignore[no-any-return]

    def _find(self, word: str) -> tuple[int, ...]:
        if word in self.aliases:
            return (self.aliases[word],)
        if is_run(word):
            return tuple(piece.id for piece in self._model.tokenize(word))[: self.max_words]
        found = self._model.tokenize(WORD_START + word)
        # A start mark by itself says nothing that the pieces after it do not, and would count as a known piece.
        return tuple(piece.id for piece in found if piece.value != WORD_START)[: self.max_words]

    def last_words(self, tokens: Sequence[str]) -> Sequence[str]:
        """The last of `tokens` that fit into one window."""
        sizes = [len(self._pieces_of[token]) for token in tokens]
        return tokens[piece_windows(sizes, self.max_words, 1)[0][0] :]

    def ids(self, tokens: Sequence[str]) -> Ids:
        """The start mark and the ids of as many of the last `tokens` as have at most `max_words` pieces: int32[n]."""
        return self._joined([self._pieces_of[token] for token in self.last_words(tokens)])

    def windows(self, tokens: Sequence[str]) -> list[Ids]:
        """What is read of a review, window by window (`windows.piece_windows`), each with its own start mark."""
        return self.read(tokens)[0]

    def read(self, tokens: Sequence[str]) -> tuple[list[Ids], list[Ids] | None]:
        """As `windows`, and how many ids each word of a window has."""
        pieces = list(map(self._pieces_of.__getitem__, tokens))
        sizes = np.fromiter(map(len, pieces), np.int32, len(pieces))
        if sizes.sum() <= self.max_words:
            return [self._joined(pieces)], [sizes]
        bounds = piece_windows(sizes, self.max_words, self.max_windows)
        return [self._joined(pieces[a:b]) for a, b in bounds], [sizes[a:b] for a, b in bounds]

    def _joined(self, pieces: Sequence[tuple[int, ...]]) -> Ids:
        return np.fromiter(chain((START,), chain.from_iterable(pieces)), np.int32)[-self.max_ids :]


def unigram(vocabulary: Sequence[str], scores: Sequence[float]) -> Any:
    """The model of `tokenizers` for these pieces. It runs in the calling thread, and starts no other.

    Raises:
        ArtifactError: the package is not installed.
    """
    try:
        from tokenizers.models import Unigram
    except ImportError:
        raise ArtifactError(
            "pieces of words are found by a package that is not installed",
            expected="the package tokenizers, which models of the type subwords need",
            fix=f"run `{install('subwords')}`, or use a model whose ids are words",
        ) from None
    return Unigram(list(zip(vocabulary, map(float, scores), strict=True)), OOV, False)


def tokenizer_of(
    vocabulary: Sequence[str],
    max_words: int,
    max_ids: int,
    *,
    aliases: Mapping[str, int],
    pattern: str,
    max_windows: int,
    scores: Sequence[float] | None,
) -> Tokenizer:
    """The tokenizer of a model whose ids are words, or pieces of words where these have `scores`."""
    settings: dict[str, Any] = {"aliases": aliases, "pattern": pattern, "max_windows": max_windows}
    if scores is None:
        return Tokenizer(vocabulary, max_words, max_ids, **settings)
    return SubwordTokenizer(vocabulary, max_words, max_ids, scores=scores, **settings)
