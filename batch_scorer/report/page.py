"""Findings -> the HTML of the report: one self-contained file that makes no network requests.

Every string from the data is escaped for its context: by Jinja in markup and attributes, as JSON for the script, which
turns it into text nodes. A Content-Security-Policy allows only the page's own style sheet and script, by hash.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from importlib import resources
from itertools import pairwise
from math import isfinite
from typing import Any

from markupsafe import Markup

from batch_scorer import __version__
from batch_scorer.escape import counted, visible
from batch_scorer.report import charts, group_data, group_page, page_data
from batch_scorer.report.findings import Drift, Findings, WordTotal
from batch_scorer.report.quality_findings import Slice

SURE, UNSURE = (0.05, 0.95), (0.4, 0.6)  # probabilities outside of the first are sure, inside of the second unsure

# Control characters, and invisible ones that reverse or hide text. Joiners, which emoji and some scripts need, are not
# among them. page.js has the same set.
INVISIBLE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f"
)


def render(findings: Findings) -> bytes:
    """The whole page of a report, as UTF-8."""
    return fill(
        _resource("page.html"),
        page_data.as_json(
            *(findings.reviews, findings.bias, findings.max_words, findings.other_ids, findings.commands.look_up),
            group_data.pack(findings.groups),
        ),
        f=findings,
        groups=group_page.shown(findings),
        sections=_sections(findings),
        identities=[identity for identity in (findings.run, findings.reference) if identity],
        score=_score(findings),
        drift=[_drift(drift, "the training data") for drift in findings.drift],
        drift_reference=[_drift(drift, "the reference run") for drift in findings.drift_reference],
        positive_words=_bars(findings.positive_words),
        negative_words=_bars(findings.negative_words),
        has_numbers=any(w.token.isdecimal() for w in (*findings.positive_words, *findings.negative_words)),
        changed_words=_changes(findings.changed_words),
        reliability=_reliability(findings),
        slices=slice_rows(findings.quality.slices) if findings.quality else None,
        lists=page_data.lists(findings.reviews),
    )


def fill(template: str, data: str, **values: Any) -> bytes:
    """A self-contained page in the layout of a report, as UTF-8.

    Args:
        template: Jinja, which extends `layout.html` and may import from `parts.html`.
        data: the JSON that `page.js` reads, as `page_data.as_json` gives it.
        values: what the template shows; `sections` are pairs of the id of a section and its title.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_resource),
    )
    environment.filters |= {
        "number": lambda number: f"{number:,}",
        "percent": percent,
        "signed": signed,
        "psi": lambda psi: f"{psi:.2f}" if isfinite(psi) else "unknown",
        "markup": to_markup,
        "plain": visible,
        "moment": _moment,
    }
    css, js = (_resource(name) for name in ("page.css", "page.js"))
    page = environment.from_string(template).render(
        version=__version__, policy=_policy(css, js), css=Markup(css), js=Markup(js), data=Markup(data), **values
    )
    return page.strip().encode("utf-8", "replace") + b"\n"


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage, such as `6.1%`."""
    return f"{share:.{digits}%}" if isfinite(share) else "unknown"


def signed(number: float | None, digits: int = 1) -> str:
    """A number with its sign, using the true minus sign, which is as wide as a plus."""
    return "" if number is None else f"{number:+,.{digits}f}".replace("-", "\u2212")


def to_markup(text: object) -> Markup:
    """Text as markup, with each `INVISIBLE` character spelled out as its code point, such as U+202E."""
    parts = re.split(f"([{INVISIBLE}])", str(text))
    return Markup("").join(
        Markup('<span class="control">U+{}</span>').format(f"{ord(part):04X}") if at % 2 else part
        for at, part in enumerate(parts)
    )


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(css: str, js: str) -> str:
    style, script = (b64encode(sha256(text.encode()).digest()).decode() for text in (css, js))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _moment(finished: str) -> str:
    try:
        return datetime.fromisoformat(finished).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return visible(finished)


def _sections(f: Findings) -> list[tuple[str, str]]:
    every = (
        ("figures", "At a glance", True),
        ("groups", "What moved" if f.groups and f.groups.over else "Groups", f.groups),
        ("score", "Scores", True),
        ("training", "Training data", f.drift),
        ("reference", "Reference run", f.drift_reference),
        ("words", "Words", f.positive_words or f.negative_words or f.changed_words),
        ("quality", "Quality", f.quality),
        ("reviews", "Reviews", f.reviews),
        ("rejected", "Rejected", f.rejected),
        ("reading", "How to read this", True),
    )
    return [(name, title) for name, title, has_content in every if has_content]


def _score(f: Findings) -> dict[str, Any]:
    bins, total = charts.bins(replace(f.score, other=())), max(sum(f.score.run), 1)
    ranges = [*pairwise(f.score.edges), (f.score.edges[-1], 1.0)][: len(bins)]
    inner = sum(n for (low, high), n in zip(ranges, f.score.run, strict=True) if UNSURE[0] <= low and high <= UNSURE[1])
    outer = sum(n for (low, high), n in zip(ranges, f.score.run, strict=True) if high <= SURE[0] or low >= SURE[1])
    sentence = (
        f"{percent(outer / total)} of the reviews have a probability below {SURE[0]} or of at least {SURE[1]}; "
        f"{percent(inner / total)} are between {UNSURE[0]} and {UNSURE[1]}, where the model is unsure."
    )
    label = f"Histogram of the probabilities of {counted(total, 'review')}. {sentence}"
    wide, narrow = (
        Markup(charts.score_chart(f.score, f.threshold, width, label)) for width in (charts.WIDE, charts.NARROW)
    )
    return {"bins": bins, "sentence": sentence, "wide": wide, "narrow": narrow}


def _drift(drift: Drift, other: str) -> dict[str, Any]:
    title = {"score": "Scores", "length": "Length", "unknown words": "Unknown words"}.get(drift.name, drift.name)
    label = f"{title} of this run as bars and of {other} as a line: {drift.grade}. The numbers are below."
    bins = charts.bins(drift.histogram, words=drift.name == "length")
    return {"drift": drift, "title": title, "bins": bins, "svg": Markup(charts.drift_chart(drift, label))}


def _bars(words: Sequence[WordTotal]) -> dict[str, Any] | None:
    if not words:
        return None
    largest = max(max(abs(word.contribution), abs(word.reference or 0)) for word in words) or 1
    rows = []
    for word in words:
        same_sign = word.reference is not None and word.reference * word.contribution >= 0
        mark = round(min(98.8, abs(word.reference or 0) / largest * 100), 1) if same_sign else None
        is_number = word.token.isdecimal()
        rows.append(
            {
                "word": word,
                "is_number": is_number,
                "width": round(abs(word.contribution) / largest * 100, 1),
                "mark": mark,
            }
        )
    with_reference = any(word.reference is not None for word in words)
    return {"rows": rows, "with_reference": with_reference, "digits": digits_of(largest)}


def digits_of(largest: float) -> int:
    """How many decimals to show of figures whose largest is this."""
    return 0 if largest >= 1000 else 1 if largest >= 100 else 2


def _changes(words: Sequence[WordTotal]) -> dict[str, Any]:
    changes = [word.contribution - (word.reference or 0) for word in words]
    largest = max(map(abs, changes), default=0) or 1
    rows = [
        {
            "word": word,
            "change": change,
            "start": round(50 + min(change, 0) / largest * 50, 1),
            "width": round(abs(change) / largest * 50, 1),
        }
        for word, change in zip(words, changes, strict=True)
    ]
    return {"rows": rows, "digits": digits_of(max((abs(word.contribution) for word in words), default=0))}


def _reliability(f: Findings) -> Markup | None:
    if f.quality is None:
        return None
    points = [point for point in f.quality.reliability if point.reviews]
    label = f"Reliability diagram: expected calibration error {percent(f.quality.ece)}. The numbers are below."
    return Markup(charts.reliability_chart(points, label)) if points else None


@dataclass(frozen=True)
class SliceRows:
    """Slices as they are drawn, between the lowest share that is shown and 1, in percent of the width."""

    floor: float
    rows: list[dict[str, Any]]


def slice_rows(slices: Sequence[Slice]) -> SliceRows | None:
    """What `slice_table` in `parts.html` draws; None without slices."""
    if not slices:
        return None
    floor = min(int(one.low * 10) for one in slices) / 10

    def position(share: float) -> float:
        return round(min(1.0, max(0.0, (share - floor) / (1 - floor))) * 97.6, 1)

    rows = [
        {
            "slice": one,
            "low": position(one.low),
            "wide": round(position(one.high) - position(one.low), 1),
            "at": position(one.accuracy),
        }
        for one in slices
    ]
    return SliceRows(floor, rows)
