"""Made-up groups for tests of the page of a report: ferries over 19 months, three of which moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np

from batch_scorer.analysis.apart import ApartWord
from batch_scorer.analysis.statistics import difference, proportion
from batch_scorer.report.findings import MOVERS, Findings
from batch_scorer.report.group_findings import Group, Grouping, Mover, Overview
from tests.findings import review_of

MONTHS = tuple(f"{2023 + at // 12}-{at % 12 + 1:02d}-01" for at in range(2, 21))
NAMES = tuple(f"{date.fromisoformat(month):%B %Y}" for month in MONTHS)
FINISHED = len(MONTHS) - 1
# Two for each ferry that moved.
TEXTS = (
    "The morning ferry was cancelled for the third time this month, and the refund has still not come. An awful, "
    "pointless way to start a day.",
    "Cancelled at the gate, after an hour in a tedious queue. Nobody could say who pays the refund.",
    "The engine is so loud now that you cannot talk on the upper deck. An awful noise, all the way.",
    "Since winter the engine has shaken the whole cabin. What was a pleasant hour is tedious and dull.",
    "They opened a small café on board, and the crew is lovely. What a charming way to cross!",
    "The café alone is worth the trip: warm rolls, a superb view and a funny crew.",
)
PLACES = ("Old Harbour", "North Quay", "Saint Elm", "Far Island", "Lighthouse", "Mill Bay", "Grey Point", "Long Sound")


def _group(rng: np.random.Generator, value: str, size: int, share: float, moves: tuple[int, float] | None) -> Group:
    reviews = rng.poisson(size / len(MONTHS), len(MONTHS))
    reviews[-1] //= 3
    shares = np.full(len(MONTHS), share)
    if moves:
        shares[moves[0] :] += moves[1]
    positive = rng.binomial(reviews, shares)
    recent = 4

    def rate(low: int, high: int) -> float:
        return float(positive[low:high].sum() / max(reviews[low:high].sum(), 1))

    return Group(
        value,
        proportion(int(positive.sum()), int(reviews.sum())),
        tuple(reviews.tolist()),
        tuple(positive.tolist()),
        rate(FINISHED - recent, FINISHED) - rate(0, FINISHED - recent),
        1e-9 if moves else 0.5,
        moves is not None,
    )


def _mover(group: Group, since: int, words: Sequence[tuple[str, float, float]], examples: tuple[int, ...]) -> Mover:
    ends = ((0, since), (since, FINISHED))
    before, now = (proportion(sum(group.positives[a:b]), sum(group.reviews[a:b])) for a, b in ends)
    apart = tuple(
        ApartWord(text, round(share * 200), share, before_share, before_share / 2, 9.0 - at)
        for at, (text, share, before_share) in enumerate(words)
    )
    low, high = difference(before, now)
    return Mover(
        "ferry", group, NAMES[since], since, before, now, low, high, 0.741, 0.738, group.p or 0.0, apart, examples
    )


def overview(groups: int = 60, hostile: Sequence[str] = ()) -> Overview:
    """Ferries, three of which moved; `hostile` are the names of further ones, and words of those that moved."""
    rng = np.random.default_rng(4)
    moves = {0: (13, -0.24), 3: (9, -0.17), 5: (15, 0.15)}
    listed = [
        _group(rng, f"{PLACES[at % 8]} {at // 8 + 1}", 4_000 // (at + 2) + 30, rng.uniform(0.68, 0.8), moves.get(at))
        for at in range(groups)
    ]
    listed += [_group(rng, name, 40, 0.7, None) for name in hostile]
    extra = [(name, 0.1, 0.01) for name in hostile[:2]]
    words = (
        [("cancelled", 0.31, 0.04), ("refund", 0.19, 0.02), ("queue", 0.12, 0.03), *extra],
        [("engine", 0.22, 0.03), ("noise", 0.14, 0.04)],
        [("café", 0.26, 0.02), ("crew", 0.17, 0.08)],
    )
    movers = tuple(
        _mover(listed[at], moves[at][0], words[number], (number * 2 + 1, number * 2 + 2))
        for number, at in enumerate(moves)
    )
    grouping = Grouping("ferry", tuple(listed), tested=len(listed), moved=len(movers))
    everyone = Group(
        "",
        proportion(sum(g.positive.count for g in listed), sum(g.positive.reviews for g in listed)),
        tuple(sum(g.reviews[at] for g in listed) for at in range(len(MONTHS))),
        tuple(sum(g.positives[at] for g in listed) for at in range(len(MONTHS))),
    )
    return Overview(
        (grouping,), movers, "travelled", "month", NAMES, MONTHS, is_unfinished=True, recent=4, undated=12, all=everyone
    )


def with_groups(
    findings: Findings, groups: int = 60, hostile: Sequence[str] = (), title: str | None = None
) -> Findings:
    """The findings with groups, whose examples come after the reviews."""
    rng = np.random.default_rng(8)
    examples = (
        replace(review_of(f"t{at:03d}", text, rng, (MOVERS,)), ranks=(at + 1,), truth=None)
        for at, text in enumerate(TEXTS)
    )
    return replace(findings, reviews=(*findings.reviews, *examples), groups=overview(groups, hostile), title=title)
