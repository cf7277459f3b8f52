"""Shows the results as a table in the terminal, as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

HEADINGS = ("contender", "batch", "reviews/s", "range", "ratio", "range", "of\nlimit", "M per\nvCPU-h")


def cells(line: Mapping[str, Any]) -> list[str]:
    """A contender's cells as text, in the order of `HEADINGS`."""
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


def _processes(results: Mapping[str, Any]) -> str:
    return (
        "1 single-threaded process"
        if results["processes"] == 1
        else f"{results['processes']} single-threaded processes"
    )


def _rounds(results: Mapping[str, Any]) -> str:
    return f"{results['rounds']} round{'s' if results['rounds'] > 1 else ''}"


def table(results: Mapping[str, Any]) -> Table:
    """The contenders, one per row."""
    title = f"{results['reviews']:,} reviews of {results['mean_length']:.0f} ids on average, {_rounds(results)}"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=bool(number))  # names may wrap
    for line in results["contenders"]:
        table.add_row(*cells(line))
    return table


def notes(results: Mapping[str, Any]) -> list[str]:
    """Sentences on the limit, on exactness, on the batch sizes tried, and on skipped contenders."""
    limit = results["limit"]
    sentences = [
        f"Limit of float32: {limit['operations'] / 1e6:.1f} million operations per review at "
        f"{limit['operations_per_second'] / 1e9:.0f} GFLOP/s ({limit['by']}) allow "
        f"{limit['reviews_per_second']:,.0f} reviews/s."
    ]
    off = ", ".join(f"{line['name']} {line['logit_off']:.0e}" for line in results["contenders"])
    sentences.append(
        f"Largest difference of a logit from that of the network in float64, over {results['checked']} reviews: {off}."
    )
    for line in results["contenders"]:
        if line["tried"]:
            tried = ", ".join(f"{rate:,.0f} at {size}" for size, rate in line["tried"].items())
            sentences.append(f"Reviews/s at the batch sizes tried for {line['name']}: {tried}.")
    sentences += [f"Skipped {line['name']}: {line['why']}." for line in results["left_out"]]
    return sentences


def markdown(results: Mapping[str, Any]) -> str:
    """The table as Markdown, with an explanation of how it was measured."""
    lines = [
        [heading.replace("\n", " ") for heading in HEADINGS],
        ["---", *["---:"] * (len(HEADINGS) - 1)],
        *map(cells, results["contenders"]),
    ]
    machine = results["machine"]
    flags = ", ".join(machine["flags"]) or "unknown"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    first = results["contenders"][0]["name"]
    note = f"""
{results["reviews"]:,} reviews ({results["data"]}; {results["mean_length"]:.0f} ids on average) with the model
{results["model_id"]}; {_processes(results)}. Medians of {_rounds(results)}, in which
the contenders took turns; *range*: minimum to maximum. *Ratio*: relative to {first} in the same round. *Of limit*:
share of what float32 products alone would allow. *M per vCPU-h*: million reviews per hour and process. Each contender
computes the logit and the attention of every word; loading and compiling do not count.

Machine: {machine["processor"]}, {machine["cores"]} cores; {flags}. Versions: {versions}.

"""
    sentences = "".join(f"* {sentence}\n" for sentence in notes(results))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + note + sentences


def save_figure(results: Mapping[str, Any], path: Path) -> None:
    """Draws the rates as bars, with their ranges and the limit, as an SVG file.

    Args:
        results: as in `scoring.json`.
    """
    from matplotlib.figure import Figure

    from train.evaluate.figures import BLUE, ORANGE, SKY, WIDTH, save, styled

    @styled
    def rates(data: Mapping[str, Any]) -> Figure:
        lines = list(reversed(data["contenders"]))
        figure = Figure((WIDTH, 1.1 + 0.33 * len(lines)), layout="constrained", facecolor="white")
        axes = figure.subplots()
        medians = [line["rate"]["median"] for line in lines]
        spread = [[line["rate"]["median"] - line["rate"]["low"] for line in lines],
                  [line["rate"]["high"] - line["rate"]["median"] for line in lines]]  # fmt: skip
        colours = [BLUE if line["name"].startswith("engine") else SKY for line in lines]
        axes.barh(range(len(lines)), medians, 0.66, color=colours, xerr=spread, ecolor="#444444", capsize=3)
        limit = data["limit"]["reviews_per_second"]
        axes.axvline(limit, color=ORANGE, linestyle="--", label="limit of float32 products")
        for place, line in enumerate(lines):
            text = f"{line['rate']['median']:,.0f}  ({line['ratio']['median']:.1f}x)"
            axes.annotate(text, (line["rate"]["high"], place), (5, 0), textcoords="offset points", va="center",
                          fontsize=8, color="#222222", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                          )  # fmt: skip
        axes.set_yticks(range(len(lines)), [f"{line['name']}, {line['batch_size']}" for line in lines])
        axes.set(xlabel="reviews/s (range: minimum to maximum of the rounds)", xlim=(0, 1.22 * max(limit, *medians)))
        axes.set_title(f"{data['reviews']:,} reviews, {_processes(data)}; batch sizes follow the names", loc="left")
        axes.grid(False, axis="y")
        figure.legend(loc="outside lower right")
        return figure

    save(rates(results), path)
