"""What the terminal shows: a plan, rows of a table, and the pieces of cards and summaries.

Everything that comes from data passes through `safe` and is printed as `Text`, which rich does not search for markup.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from batch_scorer.escape import safe
from batch_scorer.schema import ERROR_CODES

if TYPE_CHECKING:  # `explain` shows a review at once, and has no use for what plans and runs need
    from batch_scorer.planning.plan import Plan
    from batch_scorer.runners.dataflow import Pool
    from batch_scorer.runners.estimate import DataflowEstimate, Estimate

LABEL_WIDTH = 15
WIDE = 60  # columns, from which tables are shown in full
_USUAL_WIDTH, _WIDEST = 80, 1_000
_BLOCKS, _ASCII_BLOCKS = " ▁▂▃▄▅▆▇█", " _.-:=+*#"


def console(quiet: bool = False) -> Console:
    """Standard output, as a terminal of any width, which leaves `[red]` and `:heart:` in a name alone.

    Letters that its encoding lacks are shown as question marks.

    Args:
        quiet: print nothing.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    terminal = False if quiet else None  # no animation if nobody sees it
    made = Console(quiet=quiet, force_terminal=terminal, soft_wrap=True, markup=False, emoji=False, highlight=False)
    if not 0 < made.width <= _WIDEST:  # as COLUMNS has it
        made.width = _USUAL_WIDTH if made.width < 1 else _WIDEST
    return made


def row(console: Console, label: str, text: Text | str, fold: bool = True) -> None:
    """A line of a labelled list; in a terminal that is too narrow, it continues on the next line.

    Args:
        fold: False for what people will copy.
    """
    text = Text(safe(text)) if isinstance(text, str) else text
    folds = fold and console.is_terminal
    lines = text.wrap(console, max(console.width - LABEL_WIDTH, 20)) if folds else [text]
    for at, line in enumerate(lines):
        line.rstrip()
        console.print(Text(f"  {'' if at else label}".ljust(LABEL_WIDTH), "dim").append_text(line))


def notes(console: Console, manifest: Mapping[str, Any]) -> None:
    """Warnings and notices of a run."""
    for style, kind in (("bold yellow", "warning"), ("yellow", "notice")):
        for said in manifest[f"{kind}s"]:
            _folded(console, Text.assemble((kind, style), " ", safe(said)))


def _folded(console: Console, text: Text) -> None:
    for line in text.wrap(console, console.width) if console.is_terminal else [text]:
        line.rstrip()
        console.print(line)


def plan_card(console: Console, output: str, plan: Plan) -> None:
    """What a run would read, and where it would write."""
    rows = []
    for found in plan.inputs:
        counts = found["formats"].items()  # by names, which do not tell lines of JSON from other JSON
        formats = ", ".join(f"{count:,} {'JSON' if name == 'jsonl' else name}" for name, count in counts)
        rows.append(("input", f"{found['input']}  {formats}, {found['bytes'] / 1e6:,.1f} MB"))
    rows += [("notice", notice) for notice in plan.notices]
    kept = ", ".join(
        f"{kept.name} as {field.name} ({field.type})"
        for kept, field in zip(plan.fields.kept, plan.fields.kept_schema, strict=True)
    )
    rows += [
        ("text", plan.fields.text),
        ("id", plan.fields.id or "source#offset"),
        ("kept", kept or "nothing"),
        ("output", output),
    ]
    card(console, "plan", rows)


def damage(console: Console, files: Sequence[tuple[str, str]]) -> None:
    """Files that a run could not read, each with the reason."""
    from batch_scorer.runs.rejections import Unreadable, by_file

    sentences, more = by_file([Unreadable(*file) for file in files])
    for sentence in sentences:
        _folded(console, Text.assemble(("unreadable", "yellow"), " ", safe(sentence)))
    for sentence in more:
        _folded(console, Text(sentence))


def estimate_line(console: Console, estimate: Estimate) -> None:
    """How long a run would take."""
    from batch_scorer.runners.result import duration

    processes = "process" if estimate.processes == 1 else "processes"
    said = (
        f"about {duration(estimate.total_s)} on this machine: {estimate.start_s:,.0f} s to start, then "
        f"{estimate.reviews_per_s:,.0f} reviews/s in {estimate.processes} {processes}{_cost(estimate.cost)}"
    )
    _folded(console, Text(said))


def no_estimate(console: Console, is_here: bool) -> None:
    """Why nothing is said of the time of a job, which would run here or elsewhere."""
    said = "none of the first records can be scored, so nothing tells how long a run would take; the same command with "
    limited = "--limit 100 instead of --dry-run" + ("" if is_here else ", and without its options for Beam,")
    _folded(console, Text.assemble(("warning", "yellow"), " ", said, limited, " says why"))


def estimate_on_dataflow(console: Console, pool: Pool, estimate: DataflowEstimate) -> None:
    """How long a run on Dataflow would take, what it would cost, and the assumptions behind both."""
    from batch_scorer.runners.estimate import VCPU_SHARE
    from batch_scorer.runners.result import duration

    workers, vcpus = pool.workers_max, pool.workers_max * pool.vcpus_each
    console.print(
        f"about {duration(estimate.total_s)} on Dataflow: {workers:,} {safe(pool.machine)} "
        f"{'worker' if workers == 1 else 'workers'}, {vcpus:,} vCPUs; {estimate.vcpu_hours:,.1f} vCPU-hours"
        f"{_cost(estimate.cost)}",
        highlight=False,
    )
    console.print(
        f"  assumed: a vCPU, which is a hyperthread, does {VCPU_SHARE:.0%} of the work of a process here "
        f"({estimate.here_per_s:,.0f} reviews/s), and workers take {duration(estimate.start_s)} to start",
        highlight=False,
    )


def _cost(cost: float | None) -> str:
    return "" if cost is None else f", {cost:,.2f} at the given price"


def card(console: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """Names and values under a title."""
    table = Table(title=Text(safe(title), "bold"), show_header=False, box=None, title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(safe(value)))
    console.print(table)


def results(console: Console, rows: list[dict[str, Any]], title: str) -> None:
    """Some predictions: id, score, and if there is room the words that weighed most, coloured by sign."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    for name, justify in (("record_id", "left"), ("label", "left"), ("P(positive)", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    wide, id_width = console.width >= WIDE, min(28, max(console.width - 26, 8))
    if wide:
        table.add_column("words that weighed most")
    for row in rows:
        words = Text(" ").join(_word(token) for token in row["top_contributing"][:4])
        label = Text(safe(row["predicted_label"], 20), "green" if row["predicted_label"] == "positive" else "red")
        identity = Text(safe(row["record_id"], id_width, keep_end=True))
        table.add_row(identity, label, f"{row['probability']:.3f}", *([words] if wide else []))
    console.print(table)


def _word(token: Mapping[str, Any]) -> Text:
    colour = "green" if token["contribution"] >= 0 else "red"
    return Text.assemble((safe(token["token"], 20), colour), f" {token['contribution']:+.2f}")


def error_counts(console: Console, counts: Mapping[tuple[str, str], int]) -> None:
    """Rejected records by stage and code, and if there is room what the code means."""
    table = Table(title="rejected", title_justify="left", title_style="bold", box=None)
    wide = console.width >= WIDE
    for name in ("stage", "code", "records", "meaning")[: 4 if wide else 3]:
        table.add_column(name, justify="right" if name == "records" else "left", no_wrap=name != "meaning")
    for (stage, code), count in sorted(counts.items()):
        _, meaning = ERROR_CODES.get(code, ("", ""))
        table.add_row(Text(safe(stage)), Text(safe(code)), f"{count:,}", *([meaning] if wide else []))
    console.print(table)


def bars(console: Console, counts: Sequence[int]) -> str:
    """A histogram on one line, one block per bin; every bin that is not empty is visible."""
    can_write = _BLOCKS.encode(console.encoding, "ignore").decode(console.encoding) == _BLOCKS
    blocks = _BLOCKS if can_write else _ASCII_BLOCKS
    most = max(counts) or 1
    return "".join(blocks[-(-count * (len(blocks) - 1) // most)] for count in counts)
