"""The groups of a report -> compact rows for the page's script, all of them within a budget."""

from __future__ import annotations

import json
from typing import Any

from batch_scorer.report.budget import cut, page_bytes
from batch_scorer.report.group_findings import Group, Grouping, Overview

NAME = 60  # characters of a group in a table
POINTS = 60  # of a course
BYTES = 900_000  # of all rows
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # shares from 0 to 1; a dot is none
_SMALLEST = 60  # bytes that are kept for each of the rows to come


def pack(overview: Overview | None) -> list[dict[str, Any]]:
    """The groups as the page's script reads them: movers first, then those with most reviews, in at most `BYTES`.

    A row is a list: name, reviews, positive ones, course (a digit of base 64 per period), change in thousandths, and
    whether it moved. Rows that do not fit lose their courses; what still does not fit is left out, and counted.
    """
    if overview is None:
        return []
    left = BYTES // len(overview.groupings)
    return [_packed(grouping, overview, left) for grouping in overview.groupings]


def _packed(grouping: Grouping, overview: Overview, left: int) -> dict[str, Any]:
    rows: list[list[Any]] = []
    for group in sorted(grouping.groups, key=lambda group: not group.has_moved):
        row = _row(group)
        size = page_bytes(row[0]) + len(json.dumps(row[1:])) + 3
        remaining = len(grouping.groups) - len(rows)
        if size > left - _SMALLEST * remaining and not group.has_moved:
            size, row[3] = size - len(row[3]), ""
        if size > left:
            break
        left -= size
        rows.append(row)
    return {"column": cut(grouping.column, NAME), "rows": rows, "missing": len(grouping.groups) - len(rows)}


def _row(group: Group) -> list[Any]:
    change = None if group.change is None else round(group.change * 1000)
    positive = group.positive
    return [
        cut(group.value, NAME), positive.reviews, positive.count, _course(group), change, int(group.has_moved)
    ]  # fmt: skip


def _course(group: Group) -> str:
    digits = []
    for x, n in merged(group):
        digits.append("." if not n else _DIGITS[round(x / n * (len(_DIGITS) - 1))])
    return "".join(digits)


def merged(group: Group) -> list[tuple[int, int]]:
    """Positive reviews and reviews of each period, neighbours being merged until there are at most `POINTS`."""
    pairs = list(zip(group.positives, group.reviews, strict=True))
    step = -(-len(pairs) // POINTS)
    return [
        (sum(x for x, _ in pairs[at : at + step]), sum(n for _, n in pairs[at : at + step]))
        for at in range(0, len(pairs), step or 1)
    ]
