"""How figures and slices are named for people, in tables and in drawings alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RANKINGS = {
    "contribution": "contribution",
    "attention": "attention",
    "integrated_gradients": "integrated gradients",
    "leave_one_out": "leave one out",
    "random": "random",
}


def length_name(line: Mapping[str, Any]) -> str:
    """A slice by words found: `100-199`, and `500+` for the last."""
    return f"{line['low']}+" if line["high"] is None else f"{line['low']}-{line['high'] - 1}"


def oov_name(line: Mapping[str, Any]) -> str:
    """A slice by the share of unknown words: `5-7.5 %`, and `15+ %` for the last."""
    low = f"{100 * line['low']:g}"
    return f"{low}+ %" if line["high"] is None else f"{low}-{100 * line['high']:g} %"


def interval(found: Mapping[str, Any], name: str = "value", digits: int = 3) -> str:
    """A figure with its 95 % interval: `0.903 (0.894 to 0.911)`.

    Args:
        name: key of the figure. Its ends are `low` and `high` for `value` and `median`, else `NAME_low`, `NAME_high`.
    """
    low, high = ("low", "high") if name in ("value", "median") else (f"{name}_low", f"{name}_high")
    return f"{found[name]:.{digits}f} ({found[low]:.{digits}f} to {found[high]:.{digits}f})"


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share as `1.5 %`."""
    return f"{100 * share:.{digits}f} %"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; a head that starts with `#` is a column of numbers, aligned to the right."""
    names = [name.removeprefix("#") for name in head]
    rules = ["---:" if name.startswith("#") else "---" for name in head]
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, rules, *cells])
