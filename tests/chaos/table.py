"""What many faults came to: a line a kind, as Markdown; and the faults themselves as JSON, to be added up."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.chaos.trials import Struck

HEAD = (
    "fault",
    "times",
    "during scoring",
    "continued, exit 0",
    "exit 1 or 2, with a message",
    "killed",
    "byte-identical in the end",
    "rows lost",
    "rows duplicated",
    "slowest end, s",
)


def markdown(struck: Sequence[Struck]) -> str:
    """The table, with a last line for all."""
    kinds = list(dict.fromkeys(one.fault for one in struck))
    rows = [_cells(kind, [one for one in struck if one.fault == kind]) for kind in sorted(kinds)]
    rows.append(_cells(f"all, {len(kinds)} kinds", struck))
    lines = [HEAD, ("---", *["--:"] * (len(HEAD) - 1)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(name: str, struck: Sequence[Struck]) -> tuple[str, ...]:
    told = [one for one in struck if one.code in (1, 2)]
    killed = [one for one in struck if one.code is not None and one.code < 0]
    numbers = (
        len(struck),
        sum(one.midway for one in struck),
        sum(one.code == 0 for one in struck),
        len(told),
        len(killed),
        sum(one.identical for one in struck),
        sum(one.lost for one in struck),
        sum(one.doubled for one in struck),
    )
    return (name, *map(str, numbers), f"{max((one.end_s for one in struck), default=0.0):.1f}")


def save(struck: Iterable[Struck], path: Path) -> None:
    """Writes the faults to `path`, as a JSON list."""
    path.write_text(json.dumps([dataclasses.asdict(one) for one in struck], indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> list[Struck]:
    """The inverse of `save`."""
    return [
        Struck(**{**fields, "problems": tuple(fields["problems"])})
        for fields in json.loads(path.read_text(encoding="utf-8"))
    ]
