"""Shows the results as tables in the terminal, as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

SIDES = ("side", "reviews", "seconds", "range", "reviews/s", "largest process")
GROWTH = ("reviews", "seconds", "reviews/s", "driver", "worker", "other than\nscoring")
NO_WORKER = "-"  # the driver scored


def side_cells(results: Mapping[str, Any]) -> list[list[str]]:
    """Both sides, as text in the order of `SIDES`."""
    ours, theirs = results["job"], results["first_try"]
    largest = max(run["largest_mib"] for run in ours["runs"])
    lines = (
        ("batch-scorer score", results["reviews"], ours["seconds"], f"{ours['rate']['median']:,.0f}", _mib(largest)),
        ("first try", theirs["reviews"], theirs["seconds"], "", _mib(theirs["largest_mib"])),
        ("its start-up", 1, theirs["start_seconds"], "", ""),
        ("first try, extrapolated", results["reviews"], theirs["seconds_for_all"],
         f"{results['reviews'] / theirs['seconds_for_all']['median']:,.0f}", ""),
    )  # fmt: skip
    return [
        [name, f"{reviews:,}", f"{seconds['median']:,.1f}", f"{seconds['low']:,.1f} to {seconds['high']:,.1f}", *rest]
        for name, reviews, seconds, *rest in lines
    ]


def growth_cells(results: Mapping[str, Any]) -> list[list[str]]:
    """The command at each size, as text in the order of `GROWTH`."""
    return [
        [
            f"{run['reviews']:,}",
            f"{run['seconds']:,.1f}",
            f"{run['rate']:,.0f}",
            _mib(run["driver_mib"]),
            _mib(run["workers_mib"]) if run["workers_mib"] else NO_WORKER,
            f"{run['but_scoring']:.1%}",
        ]
        for run in results["growth"]
    ]


def _mib(mebibytes: float) -> str:
    return f"{mebibytes:,.0f} MiB"


def tables(results: Mapping[str, Any]) -> list[Table]:
    """The comparison of both sides and, if it was measured, the growth."""
    made = [_table(f"side by side, {_rounds(results)}", SIDES, side_cells(results))]
    if results["growth"]:
        made.append(_table("growth of batch-scorer score", GROWTH, growth_cells(results)))
    return made


def _table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "side" else "right", no_wrap=heading != "side")
    for line in lines:
        table.add_row(*line)
    return table


def notes(results: Mapping[str, Any]) -> list[str]:
    """Sentences on ratios, answers, stages, growth, and anything the reader must know about the figures."""
    ratio, least, theirs = results["ratio"], results["ratio_without_its_start"], results["first_try"]
    sentences = [
        f"On {results['reviews']:,} reviews the command is {_range(ratio)} times as fast as the first try, start-up "
        f"included on both sides; {_range(least)} times if the first try needed no start-up. Once started, the first "
        f"try scores {theirs['rate']['median']:,.0f} reviews/s, without explanations.",
        f"Both sides give the same logits and probabilities within {results['answers_off']:.0e} for "
        f"{theirs['reviews']:,} reviews.",
    ]
    if theirs["too_few"]:
        sentences.append(
            "The first try spent most of its time on its start-up, so its rate is not reliable. Give it more "
            "--first-try-reviews."
        )
    middle = sorted(results["job"]["runs"], key=lambda run: run["seconds"])[(results["rounds"] - 1) // 2]
    shares = ", ".join(f"{stage} {share:.1%}" for stage, share in middle["shares"].items())
    count = middle["processes"]
    processes = "the scoring process" if count == 1 else f"an average over {count} scoring processes"
    sentences.append(
        f"Stages of {results['reviews']:,} reviews: {shares}; everything other than scoring "
        f"{middle['but_scoring']:.1%}. Outside the stages {middle['besides_seconds']:.1f} s of {middle['seconds']:.1f} "
        f"s, {processes}: imports, start-up, Beam, waiting for each other, and the end."
    )
    sentences += map(step_sentence, results["steps"])
    most = max([results["reviews"], *(run["reviews"] for run in results["growth"])])
    if most > results["data_reviews"]:
        sentences.append(
            f"{results['data']} has {results['data_reviews']:,} reviews; larger inputs repeat them with new ids."
        )
    return sentences


def step_sentence(step: Mapping[str, Any]) -> str:
    """The growth from one number of reviews to the next, in words."""
    memory = [("the largest process", step["largest"]), ("the driver", step["driver"]), ("a worker", step["worker"])]
    factors = ", ".join(f"{name} {factor:.2f}" for name, factor in memory if factor)
    steady = f" The additional reviews are scored at {step['rate']:,.0f} reviews/s." if step["rate"] else ""
    return (
        f"From {step['from']:,} to {step['to']:,} reviews, {step['reviews']:.3g} times as many: "
        f"{step['seconds']:.2f} times the seconds, {step['seconds_a_review']:.2f} times per review. "
        f"Factors of the peak memory: {factors}.{steady}"
    )


def _texts(results: Mapping[str, Any]) -> str:
    words = results["words"]
    return f"Texts of {words:,} words, in reviews" if words else "Reviews"


def _rounds(results: Mapping[str, Any]) -> str:
    return f"{results['rounds']} round{'s' if results['rounds'] > 1 else ''}"


def _range(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['low']:.2f} to {spread['high']:.2f})"


def markdown(results: Mapping[str, Any]) -> str:
    """The tables as Markdown, with an explanation of how they were measured."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    sentences = "".join(f"* {sentence}\n" for sentence in notes(results))
    growth = _markdown_table(GROWTH, growth_cells(results)) + "\n" if results["growth"] else ""
    return f"""{_markdown_table(SIDES, side_cells(results))}
{growth}{sentences}
{_texts(results)} from {results["data"]}, with the model {results["model_id"]} and `--top-k {results["top_k"]}`;
every run is a new process. Side by side: medians over {_rounds(results)}, in which both sides took turns; *range*:
minimum to maximum. Growth: one run each. *Largest process*, *driver*, *worker*: the peak resident memory of the largest
such process.

Machine: {machine["processor"]}, {machine["cores"]} cores. Versions: {versions}.
"""


def _markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    named = [heading.replace("\n", " ") for heading in headings]
    rules = ["---" if heading == "side" else "---:" for heading in headings]
    return "".join(f"| {' | '.join(line)} |\n" for line in [named, rules, *lines])


def save_figure(results: Mapping[str, Any], path: Path) -> None:
    """Draws rate and peak memory against the number of reviews, as an SVG file.

    Args:
        results: as in `job.json`, with at least two sizes in `growth`.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    from train.evaluate.figures import BLUE, GREY, ORANGE, RED, WIDTH, save, styled

    @styled
    def growth(data: Mapping[str, Any]) -> Figure:
        runs = data["growth"]
        reviews = [run["reviews"] for run in runs]
        figure = Figure((WIDTH, 3.1), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2)
        left.plot(reviews, [run["rate"] for run in runs], "o-", color=BLUE, label="batch-scorer score")
        left.axhline(data["first_try"]["rate"]["median"], color=ORANGE, linestyle="--", label="first try, once started")
        right.plot(reviews, [run["driver_mib"] for run in runs], "s-", color=GREY, label="driver")
        with_workers = [run for run in runs if run["workers_mib"]]
        right.plot([run["reviews"] for run in with_workers], [run["workers_mib"] for run in with_workers], "o-",
                   color=RED, label="largest worker")  # fmt: skip
        left.set_title("reviews/s", loc="left")
        right.set_title("peak memory of a process, MiB", loc="left")
        thousands = FuncFormatter(lambda value, _: f"{value:,.0f}")
        for axes in (left, right):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(reviews))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(thousands)
            axes.yaxis.set_major_formatter(thousands)
            axes.set(xlabel="reviews", ylim=(0, 1.15 * axes.get_ylim()[1]))
            axes.margins(x=0.12)
        named = [axes.get_legend_handles_labels() for axes in (left, right)]
        figure.legend(*(a + b for a, b in zip(*named, strict=True)), loc="outside lower center", ncols=4, fontsize=8)
        return figure

    save(growth(results), path)
