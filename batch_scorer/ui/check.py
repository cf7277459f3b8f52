"""The outcome of `check` -> a table for a terminal, or one JSON object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.check.result import Checked
from batch_scorer.escape import counted, safe


def to_json(checked: Checked) -> dict[str, Any]:
    """The outcome as one JSON object (`schemas/check.json`)."""
    document = asdict(checked)
    return {**document, "ok": not checked.broken, "exit_code": checked.exit_code}


def show(console: Console, checked: Checked) -> None:
    """Prints the verdict, then each measure with its limit: the broken ones first."""
    broken = len(checked.broken)
    verdict = (
        Text(f"{counted(broken, 'limit')} broken", "bold red") if broken else Text("within all limits", "bold green")
    )
    console.print(Text.assemble(verdict, f": run {safe(checked.run_id)} against {checked.against}"))
    table = Table(box=None, pad_edge=False)
    for name, justify in (("", "left"), ("measure", "left"), ("value", "right"), ("limit", "right"), ("what", "left")):
        table.add_column(name, justify=justify, no_wrap=name in ("measure", "value", "limit"), overflow="fold")  # type: ignore[arg-type]
    for measure in checked.measures:
        table.add_row(
            Text("broken", "bold red") if measure.broken else Text("ok", "green"),
            Text(measure.name),
            Text(_number(measure.value)),
            Text("off" if measure.limit is None else _number(measure.limit), "dim"),
            Text(safe(measure.sentence)),
        )
    console.print(table)
    for note in checked.notes:
        console.print(Text.assemble(("note", "yellow"), " ", safe(note)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 1 else f"{value:.3g}"
