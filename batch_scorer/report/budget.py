"""Reviews -> reviews that fit into a page: each string has a maximum length, all reviews together a budget in bytes.

A corpus may hold anything, such as words of a megabyte or hundreds of kept columns; the page has to stay small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from batch_scorer.report.findings import LISTS, MOVERS, ListedWord, Review

# Characters, at most.
TOKEN, NAME, VALUE, MESSAGE, TEXT = 60, 200, 200, 300, 6_000
KEPT_COLUMNS = 20
WORDS = 60  # in one list of a review

# Bytes of JSON in the page.
TEXTS_BYTES = 2_500_000
REVIEWS_BYTES = 1_700_000  # without their texts
IDS_BYTES = 450_000  # of the other reviews, whose ids alone can be searched for
PHRASES = 5  # of a review
_WORD_BYTES, _REVIEW_BYTES, _PAIR_BYTES, _PHRASE_BYTES = 75, 370, 10, 40  # numbers and punctuation of each
_CHANGE_BYTES, _COLOUR_BYTES = 8, 10  # of a part that was deleted, and of a word that is coloured
_SHORTEST = 12  # characters that remain of any string, at least

_ESCAPED = bytes(range(32)) + b"\x7f\"'\\<>&"


def cut(text: str, characters: int) -> str:
    """`text`, cut to so many characters, the last of them an ellipsis."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def page_bytes(text: str) -> int:
    """The most bytes that a text can take as a JSON string in a page, whichever characters are escaped there."""
    data = text.encode("utf-8", "replace")
    escaped = len(data) - len(data.translate(None, _ESCAPED)) + text.count("\u2028") + text.count("\u2029")
    return len(data) + 5 * escaped + 2


def fit(reviews: Sequence[Review], texts_bytes: int | None = None) -> tuple[tuple[Review, ...], int]:
    """The reviews cut to fit into a page, and how many of them lost their text.

    Every review gets an equal share of the budget for ids, kept values and words. The budget for texts goes round the
    lists: first to the first review of each list, then to the second of each.

    Args:
        texts_bytes: the budget for all texts; None is `TEXTS_BYTES`.
    """
    allowance = REVIEWS_BYTES // max(len(reviews), 1)
    fitted = [_fitted(review, allowance) for review in reviews]
    budget, with_text = TEXTS_BYTES if texts_bytes is None else texts_bytes, set[int]()
    for i in _round_robin(reviews):
        size = page_bytes(fitted[i].text or "") + _COLOUR_BYTES * len(coloured(fitted[i]))
        if size <= budget:
            budget -= size
            with_text.add(i)
    lost = sum(review.text is not None for i, review in enumerate(fitted) if i not in with_text)
    return tuple(
        review if i in with_text else replace(review, text=None, is_cut=False) for i, review in enumerate(fitted)
    ), lost


def coloured(review: Review) -> list[tuple[int, int, float]]:
    """The words of a review that was scored again which its text on the page shows."""
    if review.measured is None or review.text is None:
        return []
    return [word for word in review.measured.words if word[1] <= len(review.text)]


def _round_robin(reviews: Sequence[Review]) -> Iterator[int]:
    """The index of each review, once: the first of each list, the second of each, and so on."""
    lists = ([i for i, review in enumerate(reviews) if name in review.lists] for name in (*LISTS, MOVERS))
    yield from dict.fromkeys(i for turn in zip_longest(*lists) for i in turn if i is not None)


def _fitted(review: Review, allowance: int) -> Review:
    text, is_cut = review.text, review.is_cut
    if text is not None and len(text) > TEXT:
        text, is_cut = text[:TEXT], True
    review = replace(
        review, record_id=cut(review.record_id, NAME), source=cut(review.source, NAME), text=text, is_cut=is_cut
    )
    limits = {"names": NAME, "kept": VALUE, "words": 2 * WORDS}
    while True:
        sizes = _sizes(review)
        reducible = [name for name, limit in limits.items() if limit > 3]
        if sum(sizes.values()) <= allowance - _fixed(review) or not reducible:
            return review
        largest = max(reducible, key=lambda name: sizes[name])
        limits[largest] //= 2
        review = _SHORTER[largest](review, limits[largest])


def _fixed(review: Review) -> int:
    """Bytes of what is not shortened."""
    phrases, changes = len(review.phrases), 0
    if review.measured is not None:
        phrases, changes = phrases + len(review.measured.sentences), len(review.measured.changes)
    return _REVIEW_BYTES + _PHRASE_BYTES * phrases + _CHANGE_BYTES * changes


def _sizes(review: Review) -> dict[str, int]:
    """Bytes of each part that can be shortened."""
    return {
        "names": page_bytes(review.record_id) + page_bytes(review.source),
        "kept": sum(page_bytes(name) + page_bytes(value) + _PAIR_BYTES for name, value in review.kept),
        "words": sum(page_bytes(word.token) + _WORD_BYTES for word in review.words),
    }


def _with_names(review: Review, limit: int) -> Review:
    characters = max(limit, _SHORTEST)
    return replace(review, record_id=cut(review.record_id, characters), source=cut(review.source, characters))


def _with_kept(review: Review, limit: int) -> Review:
    """The first kept columns, cut: 20 of them at 200 characters, 10 at 100."""
    columns = review.kept[: limit * KEPT_COLUMNS // VALUE]
    return replace(review, kept=tuple((cut(name, limit), cut(value, limit)) for name, value in columns))


def _with_words(review: Review, limit: int) -> Review:
    """The `limit` words of the best rank; the contributions of the others go into the rest."""

    def rank(word: ListedWord) -> tuple[int, bool]:
        ranks = [r for r in (word.contributing_rank, word.attended_rank) if r is not None]
        return min(ranks), word.contributing_rank is None

    best = set(sorted(review.words, key=rank)[:limit])
    dropped = sum(w.contribution for w in review.words if w not in best and w.contributing_rank is not None)
    words = (replace(w, token=cut(w.token, max(limit, _SHORTEST))) for w in review.words if w in best)
    return replace(review, words=tuple(words), rest=review.rest + dropped)


_SHORTER = {"names": _with_names, "kept": _with_kept, "words": _with_words}
