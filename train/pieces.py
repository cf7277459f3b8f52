"""Texts -> pieces of words and their log probabilities, for models whose ids are pieces (Unigram, Kudo 2018).

Candidates are the merges of byte-pair encoding (Sennrich et al. 2016), on characters. Their probabilities come from the
best segmentation of every word, counted again and again; whatever the corpus loses least by goes, until few enough are
left. All counts are whole numbers and every order is fixed, so that the same texts give the same pieces and scores. The
trainer of the package `tokenizers` adds up fractions in an order of its own, and gives other scores each time.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from batch_scorer.models.subwords import WORD_START, unigram
from batch_scorer.models.tokenizer import RESERVED
from batch_scorer.models.units import found, is_run, joined, looked_up

LONGEST = 16  # characters of a piece, a word's start mark included
LONGEST_KANJI = 6  # of a piece with ideographs or hiragana, of which words have few
CANDIDATES = 4  # times as many as are kept
COVERAGE = 0.9995  # of all characters, by the alphabet; as a character seen once or twice tells nothing
COHESION = 0.5
KEPT = 0.75  # of the pieces, in each round
ROUNDS = 2  # of counting, before each cut and at the end
UNSEEN = 0.5  # for the count of a letter that only occurs in longer pieces

_BATCH = 10_000
_kanji = re.compile(r"[\u3005-\u3007\u3041-\u309f\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]").search


@dataclass(frozen=True)
class Pieces:
    """V pieces, the reserved tokens first, then by how often they occur, ties in alphabetical order.

    Args:
        scores: the log probability of each, to six decimals; 0 for the reserved tokens.
    """

    vocabulary: list[str]
    scores: list[float]


def learn(texts: Iterable[str], size: int) -> Pieces:
    """The pieces of the words of `texts`: at most `size` ids, fewer if the texts have few words.

    Args:
        size: maximum of V. Up to half of it may be single characters, the most frequent ones.

    Raises:
        ArtifactError: the package `tokenizers` is not installed.
    """
    words = count_words(texts)
    letters = alphabet(words, (size - len(RESERVED)) // 2)
    candidates = _candidates(words, letters, CANDIDATES * size)
    scores = _scored(_cohesive(candidates, words), letters)
    while True:
        for _ in range(ROUNDS):
            counts = _count(scores, words)
            scores = _scored(counts, letters)
        if len(scores) <= size - len(RESERVED):
            break
        scores = _cut(scores, counts, letters, max(size - len(RESERVED), int(KEPT * len(scores))))
    ranked = sorted(scores, key=lambda piece: (-counts[piece], piece))
    return Pieces([*RESERVED, *ranked], [*(0.0 for _ in RESERVED), *(scores[piece] for piece in ranked)])


def count_words(texts: Iterable[str]) -> dict[str, int]:
    """How often each word occurs, with its start mark, and each run without: in alphabetical order."""
    raw = Counter(itertools.chain.from_iterable(map(found, texts)))
    words: Counter[str] = Counter()
    for word, count in raw.items():
        words[looked_up(word) if is_run(word) else WORD_START + looked_up(word)] += count
    return dict(sorted(words.items()))


def alphabet(words: Mapping[str, int], most: int) -> list[str]:
    """The most frequent characters that make up `COVERAGE` of all, `most` of them at the most, in order."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    total, covered, letters = counts.total(), 0, list[str]()
    for character, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        if covered >= COVERAGE * total or len(letters) >= most:
            break
        letters.append(character)
        covered += count
    return sorted({*letters, WORD_START})


def _candidates(words: Mapping[str, int], letters: Sequence[str], size: int) -> list[str]:
    """Merges of byte-pair encoding, and the letters: at most `size`."""
    unigram(RESERVED, [0.0] * len(RESERVED))  # says what to do where the package is missing
    from tokenizers import Tokenizer, models, trainers

    model = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        initial_alphabet=list(letters),
        limit_alphabet=len(letters),
        max_token_length=LONGEST,
        show_progress=False,
    )
    with _one_thread():
        model.train_from_iterator(_batches(words, set(letters)), trainer=trainer)
    return sorted(json.loads(model.to_str())["model"]["vocab"])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps the package from starting threads, after which it would warn in each process that is forked from this one.

    The result does not depend on them.
    """
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _batches(words: Mapping[str, int], letters: set[str]) -> Iterator[list[str]]:
    """Each word as often as it occurs, without the characters that are not `letters`."""
    spread = itertools.chain.from_iterable(
        itertools.repeat(part, count)
        for word, count in words.items()
        for part in "".join(c if c in letters else " " for c in word).split()
    )
    while batch := list(itertools.islice(spread, _BATCH)):
        yield batch


def _cohesive(candidates: Sequence[str], words: Mapping[str, int]) -> dict[str, int]:
    """How often each candidate occurs; of scripts without blanks, of those that hold together.

    There, merges do not end where words do: the more often a corpus repeats itself, the longer its pieces would be,
    up to whole sentences. What is listed of a text should be a word, so wherever a piece could be cut, the rarer of the
    two parts has to be beside the other in `COHESION` of its occurrences.
    """
    cuts = {
        piece: [(piece[:at], piece[at:]) for at in range(1, len(piece)) if len(joined([piece[:at], piece[at:]])) == 2]
        for piece in candidates
        if is_run(piece)
    }
    parts = {part for pairs in cuts.values() for pair in pairs for part in pair}
    counts = _occurrences(sorted(parts.union(candidates)), words)
    return {
        piece: counts[piece]
        for piece in candidates
        if not (len(piece) > LONGEST_KANJI and _kanji(piece))
        and all(counts[piece] >= COHESION * min(counts[a], counts[b]) for a, b in cuts.get(piece, ()))
    }


def _occurrences(candidates: Sequence[str], words: Mapping[str, int]) -> dict[str, int]:
    """How often each candidate occurs in the words, overlapping ones too."""
    counts = dict.fromkeys(candidates, 0)
    for word, count in words.items():
        for start in range(len(word)):
            for end in range(start + 1, min(start + LONGEST, len(word)) + 1):
                if (piece := word[start:end]) in counts:
                    counts[piece] += count
    return counts


def _scored(counts: Mapping[str, int], letters: Sequence[str]) -> dict[str, float]:
    """Log probabilities by count; what never occurs is left out, unless it is a letter. In alphabetical order."""
    kept = {piece: float(count) for piece, count in counts.items() if count} | {
        letter: float(counts.get(letter, 0)) or UNSEEN for letter in letters
    }
    total = sum(kept.values())
    return {piece: round(math.log(count / total), 6) for piece, count in sorted(kept.items())}


def _count(scores: Mapping[str, float], words: Mapping[str, int]) -> dict[str, int]:
    """How often each piece occurs in the best segmentation of the words."""
    segment = _segmenter(scores)
    counts = dict.fromkeys(scores, 0)
    for word, count in words.items():
        for piece in segment(word):
            if piece in counts:  # not a character outside the alphabet
                counts[piece] += count
    return counts


def _segmenter(scores: Mapping[str, float]) -> Callable[[str], list[str]]:
    model = unigram([*RESERVED, *scores], [*(0.0 for _ in RESERVED), *scores.values()])
    return lambda word: [piece.value for piece in model.tokenize(word)]


def _cut(scores: Mapping[str, float], counts: Mapping[str, int], letters: Sequence[str], size: int) -> dict[str, float]:
    """The letters, and those pieces without which the log probability of the corpus falls most: `size` in all."""
    loss = {
        piece: counts[piece] * (score - _without(piece, scores)) for piece, score in scores.items() if len(piece) > 1
    }
    ranked = sorted(loss, key=lambda piece: (-round(loss[piece], 6), piece))
    chosen = {*letters, *ranked[: max(0, size - len(letters))]}
    return {piece: score for piece, score in scores.items() if piece in chosen}


def _without(piece: str, scores: Mapping[str, float]) -> float:
    """The log probability of the best way to write a piece by others."""
    best = [0.0, *(-math.inf for _ in piece)]
    for end in range(1, len(piece) + 1):
        for start in range(end):
            if end - start < len(piece) and (score := scores.get(piece[start:end])) is not None:
                best[end] = max(best[end], best[start] + score)
    return best[-1]
