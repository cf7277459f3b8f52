"""What was found, as a table in the terminal, as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

HEADINGS = ("contender", "batch", "reviews/s", "range", "ratio", "range", "of\nlimit", "M per\nvCPU-h")


def cells(line: Mapping[str, Any]) -> list[str]:
    """A contender as text, in the order of `HEADINGS`."""
    rate, ratio = line["rate"], line["ratio"]
    return [
        line["name"],
        f"{line['batch_size']}",
        f"{rate['median']:,.0f}",
        f"{rate['low']:,.0f}-{rate['high']:,.0f}",
        f"{ratio['median']:.2f}",
        f"{ratio['low']:.2f}-{ratio['high']:.2f}",
        f"{line['share_of_limit']:.0%}",
        f"{line['reviews_per_vcpu_hour'] / 1e6:.2f}",
    ]


def _processes(found: Mapping[str, Any]) -> str:
    return (
        "1 process of one thread" if found["processes"] == 1 else f"{found['processes']} processes of one thread each"
    )


def table(found: Mapping[str, Any]) -> Table:
    """The contenders, one a row."""
    title = f"{found['reviews']:,} reviews of {found['mean_length']:.0f} ids on average, {found['rounds']} rounds"
    made = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for place, heading in enumerate(HEADINGS):
        made.add_column(heading, justify="right" if place else "left", no_wrap=bool(place))  # the name may wrap
    for line in found["contenders"]:
        made.add_row(*cells(line))
    return made


def notes(found: Mapping[str, Any]) -> list[str]:
    """One sentence each: the limit, exactness, the batch sizes that were tried, and who was left out."""
    limit = found["limit"]
    said = [
        f"Limit of float32: {limit['operations'] / 1e6:.1f} million operations a review at "
        f"{limit['operations_per_second'] / 1e9:.0f} GFLOP/s ({limit['by']}) allow "
        f"{limit['reviews_per_second']:,.0f} reviews/s."
    ]
    off = ", ".join(f"{line['name']} {line['logit_off']:.0e}" for line in found["contenders"])
    said.append(f"Largest difference of a logit from the network in float64, of {found['checked']} reviews: {off}.")
    for line in found["contenders"]:
        if line["tried"]:
            tried = ", ".join(f"{rate:,.0f} at {size}" for size, rate in line["tried"].items())
            said.append(f"Batch sizes tried for {line['name']}: {tried}.")
    said += [f"Left out: {line['name']}: {line['why']}." for line in found["left_out"]]
    return said


def markdown(found: Mapping[str, Any]) -> str:
    """The table as Markdown, with how it was measured."""
    lines = [
        [heading.replace("\n", " ") for heading in HEADINGS],
        ["---", *["---:"] * (len(HEADINGS) - 1)],
        *map(cells, found["contenders"]),
    ]
    machine = found["machine"]
    flags = ", ".join(machine["flags"]) or "unknown"
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    first = found["contenders"][0]["name"]
    note = f"""
{found["reviews"]:,} reviews ({found["data"]}; {found["mean_length"]:.0f} ids on average) with the model
{found["model_id"]}; {_processes(found)}. Medians of {found["rounds"]} rounds, in which
the contenders took turns; *range*: least to most. *Ratio*: to {first}, in the same round. *Of limit*: share of what
float32 products alone would allow. *M per vCPU-h*: million reviews an hour and process. Each contender computes the
logit and the attention of every word; loading and compiling are not counted.

Machine: {machine["processor"]}, {machine["cores"]} cores; {flags}. Versions: {versions}.

"""
    told = "".join(f"* {sentence}\n" for sentence in notes(found))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + note + told


def save_figure(found: Mapping[str, Any], path: Path) -> None:
    """Draws the rates as bars, with their range and the limit, into an SVG file.

    Args:
        found: as `scoring.json` holds it.
    """
    from matplotlib.figure import Figure

    from train.evaluate.figures import BLUE, ORANGE, SKY, WIDTH, save, styled

    @styled
    def rates(data: Mapping[str, Any]) -> Figure:
        lines = list(reversed(data["contenders"]))
        figure = Figure((WIDTH, 1.1 + 0.33 * len(lines)), layout="constrained", facecolor="white")
        axes = figure.subplots()
        medians = [line["rate"]["median"] for line in lines]
        around = [[line["rate"]["median"] - line["rate"]["low"] for line in lines],
                  [line["rate"]["high"] - line["rate"]["median"] for line in lines]]  # fmt: skip
        colours = [BLUE if line["name"].startswith("engine") else SKY for line in lines]
        axes.barh(range(len(lines)), medians, 0.66, color=colours, xerr=around, ecolor="#444444", capsize=3)
        limit = data["limit"]["reviews_per_second"]
        axes.axvline(limit, color=ORANGE, linestyle="--", label="limit of float32 products")
        for place, line in enumerate(lines):
            text = f"{line['rate']['median']:,.0f}  ({line['ratio']['median']:.1f}x)"
            axes.annotate(text, (line["rate"]["high"], place), (5, 0), textcoords="offset points", va="center",
                          fontsize=8, color="#222222", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                          )  # fmt: skip
        axes.set_yticks(range(len(lines)), [f"{line['name']}, {line['batch_size']}" for line in lines])
        axes.set(xlabel="reviews/s (range: least to most of the rounds)", xlim=(0, 1.22 * max(limit, *medians)))
        axes.set_title(f"{data['reviews']:,} reviews, {_processes(data)}; beside the names: batch sizes", loc="left")
        axes.grid(False, axis="y")
        figure.legend(loc="outside lower right")
        return figure

    save(rates(found), path)
