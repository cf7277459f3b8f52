"""How figures and slices are written for people, the same in tables and in charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RANKINGS = {
    "contribution": "contribution",
    "attention": "attention",
    "integrated_gradients": "integrated gradients",
    "leave_one_out": "leave-one-out",
    "random": "random",
}


def length_name(line: Mapping[str, Any]) -> str:
    """A slice by number of words: `100-199`, or `500+` for the last."""
    return f"{line['low']}+" if line["high"] is None else f"{line['low']}-{line['high'] - 1}"


def oov_name(line: Mapping[str, Any]) -> str:
    """A slice by share of unknown words: `5-7.5 %`, or `15+ %` for the last."""
    low = f"{100 * line['low']:g}"
    return f"{low}+ %" if line["high"] is None else f"{low}-{100 * line['high']:g} %"


def interval(measured: Mapping[str, Any], name: str = "value", digits: int = 3) -> str:
    """A figure with its 95 % interval: `0.903 (0.894 to 0.911)`.

    Args:
        name: key of the figure. The keys of its ends are `low` and `high` for `value`, `mean` and `median`, otherwise
            `NAME_low` and `NAME_high`.
    """
    low, high = ("low", "high") if name in ("value", "mean", "median") else (f"{name}_low", f"{name}_high")
    return f"{measured[name]:.{digits}f} ({measured[low]:.{digits}f} to {measured[high]:.{digits}f})"


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage: `1.5 %`."""
    return f"{100 * share:.{digits}f} %"


def code(text: str) -> str:
    """A text as Markdown shows code, whatever it holds."""
    return f"`{text.replace('`', chr(39))}`"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table. A heading that starts with `#` makes its column a right-aligned one, for numbers."""
    names = [name.removeprefix("#") for name in head]
    rules = ["---:" if name.startswith("#") else "---" for name in head]
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [names, rules, *cells])


def unread(settings: Mapping[str, Any]) -> str:
    """What a model does not read of a review, as a sentence; `settings` as in `windows.in_words`."""
    at_once, windows = settings["max_words"], settings.get("max_windows", 1)
    if windows == 1:
        return f"Only the last {at_once:,} words are read."
    return f"Words before the last {at_once * windows:,} are not read."
