"""Reviews -> the data of the page's script: compact, and rounded so that each review's sum adds up as it is shown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from batch_scorer.report.findings import LEAST_CERTAIN, MOST_NEGATIVE, MOST_POSITIVE, MOST_SURPRISING, Findings, Review

TITLES = {
    MOST_POSITIVE: "Most positive",
    MOST_NEGATIVE: "Most negative",
    LEAST_CERTAIN: "Least certain",
    MOST_SURPRISING: "Most surprising",
}
ALL = "all"
UNIT = 1000  # figures of a sum are shown in thousandths

_IN_JSON = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def lists(reviews: Sequence[Review]) -> list[tuple[str, str, int]]:
    """The lists that hold any review, and one of all: name, title, how many."""
    numbers = {name: sum(name in review.lists for review in reviews) for name in TITLES}
    found = [(name, TITLES[name], number) for name, number in numbers.items() if number]
    return [*found, (ALL, "All of these", len(reviews))]


def as_json(findings: Findings) -> str:
    """What the script shows, as JSON that may stand in a `<script>`: nothing in it ends or begins anything there."""
    data = {
        "bias": round(findings.bias * UNIT),
        "temperature": round(findings.temperature, 3),
        "maxWords": findings.max_words,
        "reviews": [_review(review, findings.bias) for review in findings.reviews],
    }
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def thousandths(bias: float, terms: Sequence[float], logit: float) -> list[int]:
    """The terms in thousandths, so that with bias and logit, each rounded, they add up: ``bias + sum(terms) = logit``.

    What rounding leaves over goes to the terms that it moved most, a thousandth each (largest remainders). Where that
    is not enough the terms did not add up before, and are only rounded.
    """
    rounded = [round(term * UNIT) for term in terms]
    left = round(logit * UNIT) - round(bias * UNIT) - sum(rounded)
    if abs(left) <= len(terms):
        step = 1 if left > 0 else -1
        order = sorted(range(len(terms)), key=lambda at: step * (rounded[at] - terms[at] * UNIT))
        for at in order[: abs(left)]:
            rounded[at] += step
    return rounded


def _review(review: Review, bias: float) -> dict[str, Any]:
    """One review. A word is a list: token, position, start, end, attention, contribution and the two ranks, or 0."""
    contributing = [word for word in review.words if word.contributing_rank is not None]
    *shown, rest = thousandths(bias, [*(word.contribution for word in contributing), review.rest], review.logit)
    figures = dict(zip((id(word) for word in contributing), shown, strict=True))
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
        "listed": [
            [
                word.token,
                word.position,
                word.char_start,
                word.char_end,
                float(f"{word.attention:.3g}"),
                figures.get(id(word), round(word.contribution * UNIT)),
                word.contributing_rank or 0,
                word.attended_rank or 0,
            ]
            for word in review.words
        ],
        "rest": rest,
        "kept": [list(pair) for pair in review.kept],
        "text": review.text,
        "isCut": review.is_cut,
    }
