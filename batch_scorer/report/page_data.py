"""Reviews -> the JSON that the page's script reads: compact, and rounded so that each sum shown adds up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from batch_scorer.report.budget import coloured
from batch_scorer.report.findings import (
    LEAST_CERTAIN,
    MOST_NEGATIVE,
    MOST_POSITIVE,
    MOST_SURPRISING,
    MOVERS,
    ListedPhrase,
    Measured,
    Review,
)

TITLES = {
    MOST_POSITIVE: "Most positive",
    MOST_NEGATIVE: "Most negative",
    LEAST_CERTAIN: "Least certain",
    MOST_SURPRISING: "Most surprising",
    MOVERS: "Of groups that moved",
}
ALL = "all"
UNIT = 1000  # the terms of a sum are shown in thousandths
CHANGE_UNIT = 100_000  # of a probability: what is certain moves by little

_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def lists(reviews: Sequence[Review]) -> list[tuple[str, str, int]]:
    """The lists that are not empty, and one of all reviews: name, title, number of reviews."""
    counts = {name: sum(name in review.lists for review in reviews) for name in TITLES}
    filled = [(name, TITLES[name], count) for name, count in counts.items() if count]
    return [*filled, (ALL, "All of these", len(reviews))]


def as_json(
    reviews: Sequence[Review],
    bias: float,
    max_words: int,
    others: Sequence[str] | None = (),
    look_up: str = "",
    groups: Sequence[Mapping[str, Any]] = (),
) -> str:
    """What the script shows, as JSON that is safe inside a `<script>` element: no string in it can end the element.

    Args:
        bias: of the model, the part of each logit that comes from no word.
        max_words: the most words of a review that it reads at a time.
        others: the ids of the run's other reviews; None if they are not known.
        look_up: the command that shows one of these, without its id.
        groups: as `group_page.pack` gives them.
    """
    data: dict[str, Any] = {
        "bias": round(bias * UNIT),
        "maxWords": max_words,
        "reviews": [_review(review, bias) for review in reviews],
        # An id may hold anything but what separates them here.
        "others": None if others is None else "\0".join(name.replace("\0", "") for name in others),
        "lookUp": look_up,
    }
    if groups:
        data["groups"] = groups
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def thousandths(bias: float, terms: Sequence[float], logit: float) -> list[int]:
    """The terms in thousandths, rounded so that they still add up: ``bias + sum(terms) = logit``, each side rounded.

    The error of rounding is spread over the terms that it moved most, a thousandth each (largest remainder method). If
    that is not enough, the terms did not add up in the first place, and are only rounded.
    """
    rounded = [round(term * UNIT) for term in terms]
    missing = round(logit * UNIT) - round(bias * UNIT) - sum(rounded)
    if abs(missing) <= len(terms):
        step = 1 if missing > 0 else -1
        order = sorted(range(len(terms)), key=lambda at: step * (rounded[at] - terms[at] * UNIT))
        for at in order[: abs(missing)]:
            rounded[at] += step
    return rounded


def _review(review: Review, bias: float) -> dict[str, Any]:
    """One review. A word is a list: token, position, start, end, attention, contribution, two ranks (0 for none)."""
    contributing = [word for word in review.words if word.contributing_rank is not None]
    *contributions, rest = thousandths(bias, [*(word.contribution for word in contributing), review.rest], review.logit)
    rounded = dict(zip((id(word) for word in contributing), contributions, strict=True))
    return {
        "id": review.record_id,
        "source": review.source,
        "offset": review.offset,
        "lists": dict(zip(review.lists, review.ranks or [0] * len(review.lists), strict=True)),
        "probability": round(review.probability, 6),
        "logit": round(review.logit * UNIT),
        "label": review.label,
        "truth": review.truth,
        "words": review.n_tokens,
        "read": review.n_tokens_used,
        "unknown": round(review.oov_rate, 4),
        "temperature": round(review.temperature, 3),
        "listed": [
            [
                word.token,
                word.position,
                word.char_start,
                word.char_end,
                float(f"{word.attention:.3g}"),
                rounded.get(id(word), round(word.contribution * UNIT)),
                word.contributing_rank or 0,
                word.attended_rank or 0,
            ]
            for word in review.words
        ],
        "rest": rest,
        # Where it begins and ends, in characters and in words, and what it adds.
        **({"phrases": [_phrase(one) for one in review.phrases]} if review.phrases else {}),
        "kept": [list(pair) for pair in review.kept],
        "text": review.text,
        "isCut": review.is_cut,
        **({"unusual": review.unusual} if review.unusual else {}),
        **({"measured": _measured(review, review.measured)} if review.measured else {}),
        **({"notMeasured": review.not_measured} if review.not_measured else {}),
    }


def _phrase(one: ListedPhrase) -> list[int]:
    return [one.char_start, one.char_end, one.position, one.n_words, round(one.contribution * UNIT)]


def _measured(review: Review, measured: Measured) -> dict[str, Any]:
    """What scoring it again says: a change is 0 of no word left as an empty string, and null where nothing was deleted.

    The colours are three numbers per word: how far it begins behind the one before, its length, what it adds.
    """

    def change(one: Any) -> int | str | None:
        place = (one.char_start, one.char_end)
        if place not in measured.changes:
            return None
        moved = measured.changes[place]
        return "" if moved is None else round(moved * CHANGE_UNIT)

    colours, at = list[int](), 0
    for start, end, adds in coloured(review):
        colours += (start - at, end - start, round(adds * UNIT))
        at = end
    return {
        "words": [change(word) for word in review.words],
        "phrases": [change(phrase) for phrase in review.phrases],
        "sentences": [[*_phrase(one), change(one)] for one in measured.sentences],
        "colours": colours,
    }
