"""Histograms and quality of a run -> charts as static SVG, drawn by Vega-Lite.

Colours are CSS variables of the page (`var(--pos)`), so that charts follow its light and dark schemes. Charts contain
numbers and wording of our own only: no string from the data gets into one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from batch_scorer.analysis.statistics import proportion
from batch_scorer.report.findings import Drift, Histogram
from batch_scorer.report.quality_findings import Reliability

if TYPE_CHECKING:
    import altair as alt

WIDE, NARROW = 640, 300  # widths of the plots in pixels; the narrow one fits a phone, axis included
SQUARE = 260
LABELS = 8  # labels on an axis, at most
FEWEST_BINS = 6  # shown for unknown words: most corpora fill only a few of the twenty
AXES = {"score": "probability of positive", "length": "words per review", "unknown words": "share of unknown words"}


@dataclass(frozen=True)
class Bin:
    """A bin as in the table below a chart: counts and shares of this run, and of what it is compared with, if any."""

    name: str
    run: int
    run_share: float
    other: int | None
    other_share: float | None


def bins(histogram: Histogram, words: bool = False) -> list[Bin]:
    """The bins of a histogram, with their names and shares.

    Args:
        words: whether the histogram counts words, so that bins are named by the first and last number in them.
    """
    runs, others = sum(histogram.run), sum(histogram.other)
    return [
        Bin(
            _name(histogram.edges, at, words),
            count,
            count / max(runs, 1),
            histogram.other[at] if others else None,
            histogram.other[at] / others if others else None,
        )
        for at, count in enumerate(histogram.run)
    ]


def score_chart(histogram: Histogram, threshold: float, width: int, label: str) -> str:
    """The distribution of probabilities; a bar has the colour of the label that the threshold gives its reviews."""
    import altair as alt

    histogram_bins = bins(histogram)
    middles = [low + (high - low) / 2 for low, high in _ranges(histogram.edges, len(histogram_bins))]
    rows = [
        {
            "from": at,
            "to": at + 1,
            "share": row.run_share,
            "colour": "var(--pos)" if middle >= threshold else "var(--neg)",
        }
        for at, (row, middle) in enumerate(zip(histogram_bins, middles, strict=True))
    ]
    bars = (
        inline(rows)
        .mark_rect(xOffset=0.5, x2Offset=-0.5)
        .encode(
            x=_edges_axis(histogram.edges, len(rows), "negative  ←  probability of positive  →  positive"),
            x2="to:Q",
            y=_share_axis(),
            y2=alt.datum(0),
            color=alt.Color("colour:N", scale=None),
        )
    )
    below = sum(1 for low, _ in _ranges(histogram.edges, len(rows)) if low < threshold)
    low, high = _ranges(histogram.edges, len(rows))[max(below - 1, 0)]
    at = max(below - 1, 0) + (threshold - low) / ((high - low) or 1)
    rule = inline([{"at": at}]).mark_rule(color="var(--ink)", strokeDash=[4, 3]).encode(x=alt.X("at:Q"))
    return svg_of(alt.layer(bars, rule), width, 180, label)


def drift_chart(drift: Drift, label: str) -> str:
    """The run as bars, what it is compared with as a line; both as shares of their own reviews."""
    import altair as alt

    histogram = drift.histogram
    drawn = bins(histogram)
    if drift.name == "unknown words":
        filled = [at for at, row in enumerate(drawn) if row.run or row.other]
        drawn = drawn[: max([FEWEST_BINS, *(at + 1 for at in filled)])]
    rows = [{"from": at, "to": at + 1, "share": row.run_share} for at, row in enumerate(drawn)]
    bars = (
        inline(rows)
        .mark_rect(color="var(--bar)", xOffset=0.5, x2Offset=-0.5)
        .encode(
            x=_edges_axis(histogram.edges, len(rows), AXES.get(drift.name, drift.name)),
            x2="to:Q",
            y=_share_axis(),
            y2=alt.datum(0),
        )
    )
    shares = [row.other_share for row in drawn if row.other_share is not None]
    if not shares:
        return svg_of(bars, NARROW, 140, label)
    steps = [{"from": at, "share": share} for at, share in enumerate([*shares, shares[-1]])]
    line = (
        inline(steps)
        .mark_line(color="var(--ink)", strokeWidth=1.75, interpolate="step-after")
        .encode(x=alt.X("from:Q"), y=alt.Y("share:Q"))
    )
    return svg_of(alt.layer(bars, line), NARROW, 140, label)


def reliability_chart(reliability: Sequence[Reliability], label: str) -> str:
    """Predicted probability against the share that is actually positive, with 95 % intervals; the diagonal is ideal."""
    import altair as alt

    rows = []
    for point in reliability:
        positive = proportion(round(point.positive * point.reviews), point.reviews)
        rows.append(
            {
                "from": point.probability,
                "share": point.positive,
                "low": positive.low,
                "high": positive.high,
                "reviews": point.reviews,
            }
        )
    unit = alt.Scale(domain=[0, 1], nice=False)
    axis: dict[str, Any] = {"values": [0, 0.25, 0.5, 0.75, 1], "grid": True}
    x = alt.X("from:Q", scale=unit, axis=alt.Axis(title="mean probability", format=".2f", **axis))
    y = alt.Y("share:Q", scale=unit, axis=alt.Axis(title="actually positive", format=".0%", **axis))
    ends = [{"from": 0, "share": 0}, {"from": 1, "share": 1}]
    ideal = inline(ends).mark_line(color="var(--muted)", strokeDash=[4, 3], strokeWidth=1)
    points = inline(rows)
    size = alt.Size("reviews:Q", scale=alt.Scale(domainMin=0, range=[12, 160]), legend=None)
    layers = alt.layer(
        ideal.encode(x=x, y=y),
        points.mark_rule(color="var(--accent)", strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q", scale=unit), y2="high:Q"),
        points.mark_point(color="var(--accent)", filled=True, opacity=1).encode(x=x, y=y, size=size),
    )
    return svg_of(layers, SQUARE, SQUARE, label)


def inline(rows: list[dict[str, Any]]) -> alt.Chart:
    import altair as alt

    return alt.Chart(alt.InlineData(values=rows))


def _ranges(edges: Sequence[float], count: int) -> list[tuple[float, float]]:
    """Lower and upper edge of each bin; an open last bin is taken to be as wide as the one before it."""
    ends = list(edges[1 : count + 1])
    if len(ends) < count:
        ends.append(edges[-1] + (edges[-1] - edges[-2] if len(edges) > 1 else 1))
    return list(zip(edges[:count], ends, strict=True))


def _name(edges: Sequence[float], at: int, words: bool) -> str:
    last = at + 1 == len(edges)
    if words:
        return f"{edges[at]:,.0f} or more" if last else f"{edges[at]:,.0f} to {edges[at + 1] - 1:,.0f}"
    return f"{edges[at]:.2f} and above" if last else f"{edges[at]:.2f} to {edges[at + 1]:.2f}"


def _edges_axis(edges: Sequence[float], count: int, title: str) -> alt.X:
    """An axis of bins that are equally wide on the screen, whatever their edges; every n-th edge is labelled."""
    import altair as alt

    ends = [low for low, _ in _ranges(edges, count)]
    words = edges[-1] > 1
    if not words:
        ends.append(_ranges(edges, count)[-1][1])  # shares end at 1; numbers of words are open-ended
    every = next(n for n in (1, 2, 4, 5, 8, 10, 20, 50, 100) if len(ends) / n <= LABELS)
    names = {at: f"{edge:,.0f}" if words else f"{edge:.2f}" for at, edge in enumerate(ends) if at % every == 0}
    return alt.X(
        "from:Q",
        scale=alt.Scale(domain=[0, count], nice=False),
        axis=alt.Axis(
            values=list(names),
            labelExpr=f"({json.dumps(names)})[datum.value]",
            labelFlush=False,
            title=title,
            grid=False,
        ),
    )


def _share_axis() -> alt.Y:
    import altair as alt

    return alt.Y("share:Q", axis=alt.Axis(format=".0%", tickCount=4, domain=False, ticks=False, title=None))


def svg_of(chart: Any, width: int, height: int, label: str) -> str:
    """The chart as an `<svg>` for a page, with `label` for screen readers."""
    text = {"labelColor": "var(--muted)", "titleColor": "var(--muted)", "labelFontSize": 12, "titleFontSize": 12}
    lines = {"gridColor": "var(--rule)", "domainColor": "var(--muted)", "tickColor": "var(--muted)"}
    configured = (
        chart.properties(width=width, height=height)
        .configure(aria=False, background="transparent", padding={"left": 2, "right": 14, "top": 6, "bottom": 2})
        .configure_view(stroke=None)
        .configure_axis(titleFontWeight="normal", tickSize=4, labelPadding=5, titlePadding=7, **text, **lines)
    )
    buffer = StringIO()
    configured.save(buffer, format="svg")
    svg = buffer.getvalue()
    inside = svg[svg.index(">") + 1 :]
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("Vega drew no viewBox")
    w, h = box.groups()
    opening = (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" viewBox="0 0 {w} {h}" width="{w}" height="{h}">'
    )
    # Vega describes each bar to screen readers; the label and the table below the chart do that better.
    return opening + re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", inside)
