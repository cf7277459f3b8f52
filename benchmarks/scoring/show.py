"""Shows the results as a table in the terminal, as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from benchmarks.scoring.cost import LIMIT

HEADINGS = ("contender", "batch", "reviews/s", "range", "ratio", "range", "of\nlimit", "M per\nvCPU-h")
COSTS = ("contender", "largest", "mean", "labels changed", "accuracy")


def cells(line: Mapping[str, Any]) -> list[str]:
    """A contender's cells as text, in the order of `HEADINGS`."""
    rate, ratio = line["rate"], line["ratio"]
    return [
        line["name"],
        f"{line['batch_size']}{'=' if line['equal_length'] else ''}",
        f"{rate['median']:,.0f}",
        f"{rate['low']:,.0f}-{rate['high']:,.0f}",
        f"{ratio['median']:.2f}",
        f"{ratio['low']:.2f}-{ratio['high']:.2f}",
        f"{line['share_of_limit']:.0%}",
        f"{line['reviews_per_vcpu_hour'] / 1e6:.2f}",
    ]


def costs(results: Mapping[str, Any]) -> list[list[str]]:
    """What each contender's precision costs, in the order of `COSTS`; none without labelled reviews."""
    return [
        [
            line["name"],
            f"{cost['largest']:.5f}",
            f"{cost['mean']:.5f}",
            f"{cost['changed']:,}",
            f"{cost['accuracy']:.2%}{' (loses)' if cost['loses'] else ''}",
        ]
        for line in results["contenders"]
        if (cost := line.get("cost"))
    ]


def _processes(results: Mapping[str, Any]) -> str:
    return (
        "1 single-threaded process"
        if results["processes"] == 1
        else f"{results['processes']} single-threaded processes"
    )


def _clock(results: Mapping[str, Any]) -> str:
    return (
        " Seconds are of processor time, since the machine had other work to do." if results["processor_time"] else ""
    )


def _rounds(results: Mapping[str, Any]) -> str:
    return f"{results['rounds']} round{'s' if results['rounds'] > 1 else ''}"


def tables(results: Mapping[str, Any]) -> list[Table]:
    """The contenders, one per row; and again with the cost of their precision, where there are labelled reviews."""
    title = f"{results['reviews']:,} reviews of {results['mean_length']:.0f} ids on average, {_rounds(results)}"
    found = [_table(title, HEADINGS, list(map(cells, results["contenders"])))]
    if lines := costs(results):
        labelled = results["labelled"]
        title = f"Difference of the logit from our float32, over {labelled['reviews']:,} reviews ({labelled['data']})"
        found.append(_table(title, COSTS, lines))
    return found


def _table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=bool(number))  # names may wrap
    for line in lines:
        table.add_row(*line)
    return table


def notes(results: Mapping[str, Any]) -> list[str]:
    """Sentences on the limit, on exactness, on the batches tried, and on skipped contenders."""
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
            sentences.append(f"Reviews/s at the batches tried for {line['name']}: {tried}.")
    sentences += [f"Skipped {line['name']}: {line['why']}." for line in results["left_out"]]
    return sentences


def markdown(results: Mapping[str, Any]) -> str:
    """The table as Markdown, with an explanation of how it was measured."""
    machine = results["machine"]
    flags = ", ".join(machine["flags"]) or "unknown"
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    first = results["contenders"][0]["name"]
    note = f"""
{results["reviews"]:,} reviews ({results["data"]}; {results["mean_length"]:.0f} ids on average) with the model
{results["model_id"]}; {_processes(results)}. Medians of {_rounds(results)}, in which
the contenders took turns; *range*: minimum to maximum. *Batch*: the fastest of those tried; with *=*, only reviews of
equal length share one. *Ratio*: relative to {first} in the same round. *Of limit*: share of what float32 products
alone would allow. *M per vCPU-h*: million reviews per hour and process. Each contender computes the logit and the
attention of every word; loading and compiling do not count.{_clock(results)}

Machine: {machine["processor"]}, {machine["cores"]} cores; {flags}. Versions: {versions}.

"""
    sentences = "".join(f"* {sentence}\n" for sentence in notes(results))
    return _rows(HEADINGS, list(map(cells, results["contenders"]))) + note + sentences + _markdown_of_costs(results)


def _markdown_of_costs(results: Mapping[str, Any]) -> str:
    if not (lines := costs(results)):
        return ""
    labelled = results["labelled"]
    note = f"""
What each precision costs, over {labelled["reviews"]:,} labelled reviews ({labelled["data"]}): largest and mean
difference of the logit from our engine's in float32, labels that are others than its, and accuracy; *loses*: more than
{LIMIT * 100:.1f} points less than it.

"""
    return note + _rows(COSTS, lines)


def _rows(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    above = [[heading.replace("\n", " ") for heading in headings], ["---", *["---:"] * (len(headings) - 1)]]
    return "".join(f"| {' | '.join(line)} |\n" for line in (*above, *lines))


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
        axes.set_yticks(range(len(lines)), [", ".join(cells(line)[:2]) for line in lines])
        axes.set(xlabel="reviews/s (range: minimum to maximum of the rounds)", xlim=(0, 1.22 * max(limit, *medians)))
        axes.set_title(f"{data['reviews']:,} reviews, {_processes(data)}; batch sizes follow the names", loc="left")
        axes.grid(False, axis="y")
        figure.legend(loc="outside lower right")
        return figure

    save(rates(results), path)
