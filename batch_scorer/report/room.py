"""How much of what comes from data has room in a page: each string is cut, and all reviews together have a budget.

A corpus may hold anything: words of a megabyte, kept columns by the hundred. The page stays a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from batch_scorer.report.findings import LISTS, ListedWord, Review

# Characters.
TOKEN, NAME, VALUE, MESSAGE, TEXT = 60, 200, 200, 300, 6_000
KEY = 1_000  # of an id or a source, as long as reviews are looked for by them
KEPT_COLUMNS = 20
WORDS = 60  # of one list of a review

# Bytes of JSON in the page.
TEXTS_BYTES = 2_500_000
REVIEWS_BYTES = 1_300_000  # without their texts
_WORD_BYTES, _REVIEW_BYTES, _PAIR_BYTES = 75, 350, 10  # what numbers and punctuation take

_ESCAPED = re.compile("[\x00-\x1f\x7f\"'\\\\<>&\u2028\u2029]")


def cut(text: str, characters: int) -> str:
    """`text`, or its beginning and a mark."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def cut_sql(expression: str, characters: int) -> str:
    """`cut` in SQL, of an expression that is text."""
    return f"if(length({expression}) > {characters}, left({expression}, {characters - 1}) || '…', {expression})"


def page_bytes(text: str) -> int:
    """What a text takes as a JSON string in a page, whichever characters are escaped there, at most."""
    return len(text.encode("utf-8", "replace")) + 5 * len(_ESCAPED.findall(text)) + 2


def fit(reviews: Sequence[Review], texts_bytes: int = TEXTS_BYTES) -> tuple[tuple[Review, ...], int]:
    """The reviews as they have room in a page, and how many of them go without the text that they had.

    Each has the same share of the room for ids, kept values and words. Texts are given room in turns: to the first
    of each list, then to the second of each.
    """
    allowance = REVIEWS_BYTES // max(len(reviews), 1)
    fitted = [_fitted(review, allowance) for review in reviews]
    room, shown = texts_bytes, set[int]()
    for i in _in_turns(reviews):
        size = page_bytes(fitted[i].text or "")
        if size <= room:
            room -= size
            shown.add(i)
    lost = sum(review.text is not None for i, review in enumerate(fitted) if i not in shown)
    return tuple(
        review if i in shown else replace(review, text=None, is_cut=False) for i, review in enumerate(fitted)
    ), lost


def _in_turns(reviews: Sequence[Review]) -> Iterator[int]:
    """The index of each review once: the first of each list, the second of each, and so on."""
    lists = ([i for i, review in enumerate(reviews) if name in review.lists] for name in LISTS)
    yield from dict.fromkeys(i for turn in zip_longest(*lists) for i in turn if i is not None)


def _fitted(review: Review, allowance: int) -> Review:
    text, is_cut = review.text, review.is_cut
    if text is not None and len(text) > TEXT:
        text, is_cut = text[:TEXT], True
    review = replace(
        review, record_id=cut(review.record_id, NAME), source=cut(review.source, NAME), text=text, is_cut=is_cut
    )
    characters, words = VALUE, 2 * WORDS
    while _bytes(review) > allowance and (characters > 10 or words > 2):
        characters, words = max(characters // 2, 10), max(words // 2, 2)
        kept = tuple((cut(name, characters), cut(value, characters)) for name, value in review.kept)
        record_id, source = cut(review.record_id, 2 * characters), cut(review.source, 2 * characters)
        review = replace(_with_words(review, words), kept=kept, record_id=record_id, source=source)
    return review


def _bytes(review: Review) -> int:
    strings = [review.record_id, review.source, *(s for pair in review.kept for s in pair)]
    tokens = sum(page_bytes(word.token) + _WORD_BYTES for word in review.words)
    return sum(map(page_bytes, strings)) + tokens + _PAIR_BYTES * len(review.kept) + _REVIEW_BYTES


def _with_words(review: Review, count: int) -> Review:
    """The review with its `count` foremost words; what the others contribute goes into the rest."""

    def place(word: ListedWord) -> tuple[int, bool]:
        ranks = [rank for rank in (word.contributing_rank, word.attended_rank) if rank is not None]
        return min(ranks), word.contributing_rank is None

    chosen = set(sorted(review.words, key=place)[:count])
    if len(chosen) == len(review.words):
        return review
    gone = sum(w.contribution for w in review.words if w not in chosen and w.contributing_rank is not None)
    return replace(review, words=tuple(w for w in review.words if w in chosen), rest=review.rest + gone)
