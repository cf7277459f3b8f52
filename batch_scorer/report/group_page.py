"""The groups of a report -> what its page shows: sentences, movers with their course as SVG, and the first rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from batch_scorer.escape import counted
from batch_scorer.report.findings import MOVERS, Findings, Review
from batch_scorer.report.group_data import merged
from batch_scorer.report.group_findings import Group, Grouping, Mover, Overview
from batch_scorer.report.sentences import how_many_moved

OPEN = 5  # movers that are not collapsed
STATIC_ROWS = 15  # of a table, for readers without JavaScript
SNIPPET = 240  # characters of an example
_WIDTH, _HEIGHT = 240, 100


def shown(findings: Findings) -> dict[str, Any] | None:
    """What `groups.html` shows; None without groups."""
    overview = findings.groups
    if overview is None:
        return None
    return {
        "overview": overview,
        "sentence": sentence(overview),
        "movers": [_mover(mover, overview, findings.reviews) for mover in overview.movers],
        "open": OPEN,
        "more": overview.moved - len(overview.movers),
        "tables": [_table(grouping, overview) for grouping in overview.groupings],
        "recent": f"last {counted(overview.recent, overview.unit)}" if overview.recent > 1 else f"last {overview.unit}",
    }


def sentence(overview: Overview) -> str:
    """How many groups moved, in a sentence."""
    if overview.over is None:
        return "Share of positive reviews of each group, with its 95% interval."
    return how_many_moved(overview)


def _table(grouping: Grouping, overview: Overview) -> dict[str, Any]:
    first = sorted(grouping.groups, key=lambda group: not group.has_moved)[:STATIC_ROWS]
    rows = [{"group": group, "course": small_course(group)} for group in first]
    return {"grouping": grouping, "rows": rows, "dated": bool(overview.periods)}


def small_course(group: Group) -> Markup:
    """The course of a group as a line, 0 to 100 %, as `page.js` draws it."""
    shares = [x / n if n else None for x, n in merged(group)]
    return Markup(
        '<svg class="course" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(_line(shares, 100, 20, "line"))


def _line(shares: Sequence[float | None], width: float, height: float, kind: str) -> Markup:
    """The shares as a path; where there is none, it is interrupted."""
    steps, is_open = [], False
    for at, share in enumerate(shares):
        if share is None:
            is_open = False
            continue
        x, y = _place(at, len(shares), width), height - share * height
        steps.append(f"{'L' if is_open else 'M'}{x:.1f} {y:.1f}")
        if not is_open and (at + 1 == len(shares) or shares[at + 1] is None):
            steps.append("h0")  # a single period is a dot
        is_open = True
    return Markup('<path class="{}" d="{}"/>').format(kind, " ".join(steps))


def _place(at: float, periods: int, width: float) -> float:
    return (at + 0.5) / max(periods, 1) * width


def _mover(mover: Mover, overview: Overview, reviews: Sequence[Review]) -> dict[str, Any]:
    by_rank = {
        review.ranks[review.lists.index(MOVERS)]: review
        for review in reviews
        if MOVERS in review.lists and len(review.ranks) == len(review.lists)
    }
    examples = [
        {"review": by_rank[rank], "rank": rank, "snippet": _snippet(by_rank[rank], [w.text for w in mover.words])}
        for rank in mover.examples
        if rank in by_rank
    ]
    return {
        "mover": mover,
        "svg": _big_course(mover, overview),
        "side": "neg" if mover.fell else "pos",
        "label": "negative" if mover.fell else "positive",
        "examples": examples,
        "periods": [
            (name, n, x / n if n else None)
            for name, n, x in zip(overview.periods, mover.group.reviews, mover.group.positives, strict=True)
        ],
    }


def _snippet(review: Review, words: Sequence[str]) -> str:
    """The text around the first of the words that occurs in it, or its listed words."""
    if review.text is None:
        return " … ".join(word.token for word in review.words)
    text = " ".join(review.text.replace("<br />", " ").split())
    lower = text.lower()
    at = next((found for word in words if (found := lower.find(word)) >= 0), 0)
    start = max(0, at - SNIPPET // 2)
    start = text.find(" ", start) + 1 if start else 0
    piece = text[start : start + SNIPPET]
    return f"{'… ' if start else ''}{piece}{' …' if start + SNIPPET < len(text) else ''}"


def _big_course(mover: Mover, overview: Overview) -> Markup:
    """The course of a mover: its periods, its level before and since, and all reviews as a dashed line."""
    periods = len(overview.periods)
    finished = periods - overview.is_unfinished
    width, height = _WIDTH, _HEIGHT
    edge = mover.since_index / periods * width
    shares = [x / n if n else None for x, n in zip(mover.group.positives, mover.group.reviews, strict=True)]
    everyone = overview.all
    others = [] if everyone is None else zip(everyone.positives, everyone.reviews, strict=True)
    side = "neg" if mover.fell else "pos"
    parts = [
        Markup('<rect class="since" x="{:.1f}" width="{:.1f}" height="{}"/>').format(
            edge, finished / periods * width - edge, height
        ),
        Markup('<path class="grid" d="{}"/>').format(" ".join(f"M0 {y}H{width}" for y in (0, height / 2, height))),
        _line([x / n if n else None for x, n in others], width, height, "all"),
        _line(shares[:finished], finished / periods * width, height, "line"),
        Markup('<path class="level" d="M0 {:.1f}H{:.1f}"/>').format(height * (1 - mover.before.share), edge),
        Markup('<path class="level {}" d="M{:.1f} {:.1f}H{:.1f}"/>').format(
            side, edge, height * (1 - mover.now.share), finished / periods * width
        ),
    ]
    if overview.is_unfinished and shares[-1] is not None:
        x, y = _place(periods - 1, periods, width), height * (1 - shares[-1])
        parts.append(Markup('<path class="unfinished" d="M{:.1f} {:.1f}h0"/>').format(x, y))
    label = (
        f"Share of positive reviews by {overview.unit}: {mover.before.share:.0%} before {mover.since}, "
        f"{mover.now.share:.0%} since. The numbers are below."
    )
    return Markup(
        '<svg class="big course" role="img" aria-label="{}" viewBox="0 -4 {} {}" preserveAspectRatio="none">{}</svg>'
    ).format(label, width, height + 8, Markup("").join(parts))
