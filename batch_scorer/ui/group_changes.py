"""How groups changed between two runs -> the table that a terminal shows."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.compare.group_result import GroupChange, GroupChanges
from batch_scorer.escape import safe

_WORDS = 3


def show_groups(console: Console, groups: GroupChanges, rows: int) -> None:
    """Prints the groups that moved, and the largest of the others, `rows` of them."""
    shown = groups.groups[:rows]
    if not shown:
        return
    several = len({change.column for change in groups.groups}) > 1
    table = Table(title="groups: share positive", title_justify="left", title_style="bold", box=None)
    for name, justify in (("", "left"), ("reviews A", "right"), ("B", "right"), ("A", "right"), ("B", "right")):
        table.add_column(name, justify=justify, no_wrap=bool(name), overflow="fold")  # type: ignore[arg-type]
    table.add_column("change", justify="right", no_wrap=True)
    table.add_column("", justify="left", overflow="fold")
    for change in shown:
        name = f"{safe(change.column, 30)}: {safe(change.value, 40)}" if several else safe(change.value, 40)
        table.add_row(
            Text(name, "bold" if change.moved else ""),
            f"{change.a.reviews:,}",
            f"{change.b.reviews:,}",
            f"{change.a.share:.1%}",
            f"{change.b.share:.1%}",
            f"{100 * change.change:+.1f}",
            Text(_remark(change), "" if change.moved else "dim"),
        )
    console.print()
    console.print(table)
    more = len(groups.groups) - len(shown)
    if more:
        console.print(Text(f"and {more:,} more; --rows shows more of them, --json and --output all", "dim"))


def _remark(change: GroupChange) -> str:
    flips = ""
    if change.to_positive is not None and change.to_negative is not None:
        flips = f"{change.to_positive:,} to positive, {change.to_negative:,} to negative"
    if not change.moved:
        return flips
    words = ", ".join(safe(word.text, 20) for word in change.words[:_WORDS])
    return "; ".join(part for part in ("moved", words, flips) if part)
