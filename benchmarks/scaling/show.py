"""Shows the results of the simulation, as the Markdown tables of docs/scaling.md and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scaling.costs import default_rows

Cells = list[list[str]]
CORPORA = ("reviews", "reviews per shard", "shards", "vCPUs", "no trouble, min", "usual, min", "slowest, min",
           "vCPU-hours", "cost", "relative to scoring alone")  # fmt: skip
WORKERS = ("vCPUs", "shards per vCPU", "min", "vCPU-hours", "cost", "starting", "idle", "relative to scoring alone")
LIMITS = ("reviews", "shards", "plan, MB", "read plan, s", "markers, MB", "one poll, s", "names of parts, s",
          "sum and manifest, s", "memory for it, MB", "manifest, MB")  # fmt: skip


def corpora_cells(results: Mapping[str, Any]) -> Cells:
    """A line per corpus, in the order of `CORPORA`."""
    cells = []
    for line in results["corpora"]:
        alike, usual = line["alike"], line["usual"]
        cells.append([
            _count(usual["reviews"]), f"{usual['rows']:,}", f"{usual['shards']:,}", str(usual["workers"]),
            _minutes(alike["seconds"]), _minutes(usual["seconds"]), _minutes(usual["slowest_seconds"]),
            f"{usual['vcpu_hours']:,.1f}", f"{usual['cost']:,.2f}", f"{usual['over_ideal']:.2f}",
        ])  # fmt: skip
    return cells


def worker_cells(results: Mapping[str, Any]) -> Cells:
    """A line per number of workers, in the order of `WORKERS`."""
    return [
        [
            f"{case['workers']:,}", f"{case['shards'] / case['workers']:,.1f}", _minutes(case["seconds"]),
            f"{case['vcpu_hours']:,.1f}", f"{case['cost']:,.2f}", f"{case['starting']:.0%}", f"{case['idle']:.0%}",
            f"{case['over_ideal']:.2f}",
        ]
        for case in results["workers"]
    ]  # fmt: skip


def size_cells(results: Mapping[str, Any]) -> Cells:
    """A line per shard size: the time relative to the best size of the column, with the planner's choice in bold."""
    sizes = sorted({case["rows"] for column in results["sizes"] for case in column})
    cells = [[f"{rows:,}"] for rows in sizes]
    for column in results["sizes"]:
        best = min(case["seconds"] for case in column)
        ratios = {case["rows"]: f"{case['seconds'] / best:.2f}" for case in column}
        chosen = default_rows(column[0]["reviews"])
        ratios[chosen] = f"**{ratios[chosen]}**"
        for line, rows in zip(cells, sizes, strict=True):
            line.append(ratios.get(rows, ""))
    return cells


def trouble_cells(results: Mapping[str, Any]) -> Cells:
    """A line per kind of trouble: minutes at each shard size, and losses and idle time at the default size."""
    cells = []
    for name, cases in results["troubles"].items():
        (default,) = (case for case in cases if case["rows"] == default_rows(case["reviews"]))
        cells.append([
            name, *(_minutes(case["seconds"]) for case in cases), str(default["lost"]),
            f"{default['lost_time']:.1%}", f"{default['idle']:.1%}", f"{default['over_ideal']:.2f}",
        ])  # fmt: skip
    return cells


def limit_cells(results: Mapping[str, Any]) -> Cells:
    """A line per corpus, in the order of `LIMITS`."""
    return [
        [
            _count(line["reviews"]), f"{line['shards']:,}", f"{line['plan_mb']:,.2f}", f"{line['read_plan_s']:,.1f}",
            f"{line['markers_mb']:,.1f}", f"{line['poll_s']:,.1f}", f"{line['parts_s']:,.1f}", f"{line['fold_s']:,.1f}",
            f"{line['fold_mb']:,.1f}", f"{line['manifest_mb']:,.1f}",
        ]
        for line in results["limits"]
    ]  # fmt: skip


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """Each table as Markdown, by its title."""
    pools = [f"{_count(c[0]['reviews'])} on {c[0]['workers']}" for c in results["sizes"]]
    sizes = [f"{case['rows']:,} per shard, min" for case in results["troubles"]["none"]]
    trouble = ("trouble", *sizes, "shards lost", "time lost", "idle", "relative to scoring alone")
    return {
        "corpora": _markdown(CORPORA, corpora_cells(results)),
        "workers": _markdown(WORKERS, worker_cells(results)),
        "shard size": _markdown(("reviews per shard", *pools), size_cells(results)),
        "trouble": _markdown(trouble, trouble_cells(results)),
        "limits": _markdown(LIMITS, limit_cells(results)),
    }


def _markdown(headings: Sequence[str], lines: Cells) -> str:
    rules = ["---", *["---:"] * (len(headings) - 1)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [headings, rules, *lines])


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f}"


def _count(reviews: int) -> str:
    return f"{reviews:,}"


def save_figure(results: Mapping[str, Any], path: Path) -> None:
    """Draws time and cost against workers, and time against shard size, as an SVG file."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from train.evaluate.figures import BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, WIDTH, save, styled

    @styled
    def drawn(data: Mapping[str, Any]) -> Figure:
        figure = Figure((WIDTH, 3.4), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2)
        workers = data["workers"]
        counts, minutes = [case["workers"] for case in workers], [case["seconds"] / 60 for case in workers]
        hours = [case["vcpu_hours"] for case in workers]
        left.plot(counts, minutes, "o-", color=BLUE, label="minutes")
        left.plot(counts, hours, "s--", color=ORANGE, label="vCPU-hours")
        left.set_title(f"{workers[0]['reviews']:,} reviews", loc="left")
        left.set(xlabel="vCPUs", xscale="log", yscale="log")
        left.xaxis.set_major_locator(FixedLocator([4, 16, 64, 400, 2_000]))
        left.legend(fontsize=8)
        marks = zip((SKY, BLUE, GREY, RED, GREEN, PINK), "os^DvX", strict=True)
        for column, (colour, mark) in zip(data["sizes"], marks, strict=False):
            best = min(case["seconds"] for case in column)
            right.plot([c["rows"] for c in column], [c["seconds"] / best for c in column], f"{mark}-", color=colour,
                       label=f"$10^{{{len(str(column[0]['reviews'])) - 1}}}$ on {column[0]['workers']}")  # fmt: skip
        right.set_title("time relative to the best shard size", loc="left")
        right.set(xlabel="reviews per shard", xscale="log", ylim=(0.95, 2.5))
        right.xaxis.set_major_locator(FixedLocator([1_000, 10_000, 100_000, 1_000_000]))
        lines = right.get_legend_handles_labels()
        figure.legend(
            *lines, loc="outside lower center", ncols=6, fontsize=8, title="reviews, on vCPUs", title_fontsize=8
        )
        plain = FuncFormatter(lambda value, _: f"{value:,.0f}")
        for axes in (left, right):
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(plain)
        left.yaxis.set_major_formatter(plain)
        return figure

    save(drawn(results), path)
