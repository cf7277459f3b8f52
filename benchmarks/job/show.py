"""What was found, as tables in the terminal, as Markdown and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

SIDES = ("side", "reviews", "seconds", "range", "reviews/s", "largest process")
GROWTH = ("reviews", "seconds", "reviews/s", "driver", "worker", "all but\nscoring")
NO_WORKER = "-"  # the driver scores itself


def side_cells(found: Mapping[str, Any]) -> list[list[str]]:
    """Both sides as text, in the order of `SIDES`."""
    ours, theirs = found["job"], found["first_try"]
    largest = max(run["largest_mib"] for run in ours["runs"])
    lines = (
        ("batch-scorer score", found["reviews"], ours["seconds"], f"{ours['rate']['median']:,.0f}", _mib(largest)),
        ("first try", theirs["reviews"], theirs["seconds"], "", _mib(theirs["largest_mib"])),
        ("its start-up", 1, theirs["start_seconds"], "", ""),
        ("first try, extrapolated", found["reviews"], theirs["seconds_for_all"],
         f"{found['reviews'] / theirs['seconds_for_all']['median']:,.0f}", ""),
    )  # fmt: skip
    return [
        [name, f"{reviews:,}", f"{seconds['median']:,.1f}", f"{seconds['low']:,.1f} to {seconds['high']:,.1f}", *rest]
        for name, reviews, seconds, *rest in lines
    ]


def growth_cells(found: Mapping[str, Any]) -> list[list[str]]:
    """The command at each size as text, in the order of `GROWTH`."""
    return [
        [
            f"{run['reviews']:,}",
            f"{run['seconds']:,.1f}",
            f"{run['rate']:,.0f}",
            _mib(run["driver_mib"]),
            _mib(run["workers_mib"]) if run["workers_mib"] else NO_WORKER,
            f"{run['but_scoring']:.1%}",
        ]
        for run in found["growth"]
    ]


def _mib(mebibytes: float) -> str:
    return f"{mebibytes:,.0f} MiB"


def tables(found: Mapping[str, Any]) -> list[Table]:
    """Side by side; and growth, where it was measured."""
    made = [_table(f"side by side, {_rounds(found)}", SIDES, side_cells(found))]
    if found["growth"]:
        made.append(_table("growth of batch-scorer score", GROWTH, growth_cells(found)))
    return made


def _table(title: str, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    made = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="left" if heading == "side" else "right", no_wrap=heading != "side")
    for line in lines:
        made.add_row(*line)
    return made


def notes(found: Mapping[str, Any]) -> list[str]:
    """A sentence or two each: ratios, stages, steps of the growth, and what has to be known of the figures."""
    ratio, least, theirs = found["ratio"], found["ratio_without_its_start"], found["first_try"]
    said = [
        f"On {found['reviews']:,} reviews the command is {_range(ratio)} times as fast as the first try, start-up "
        f"included on both sides; {_range(least)} times if the first try needed none. Once started, the first try "
        f"scores {theirs['rate']['median']:,.0f} reviews/s, without an explanation.",
        f"Both give the same logits and probabilities, within {found['answers_off']:.0e}, to {theirs['reviews']:,} "
        f"reviews.",
    ]
    if theirs["too_few"]:
        said.append("The first try spent most of its time on its start-up: its rate is not known well. Give it more "
                    "--first-try-reviews.")  # fmt: skip
    middle = sorted(found["job"]["runs"], key=lambda run: run["seconds"])[(found["rounds"] - 1) // 2]
    shares = ", ".join(f"{stage} {share:.1%}" for stage, share in middle["shares"].items())
    count = middle["processes"]
    said.append(
        f"Stages of {found['reviews']:,} reviews: {shares}; everything but scoring {middle['but_scoring']:.1%}. "
        f"Besides the stages {middle['besides_seconds']:.1f} s of {middle['seconds']:.1f} s, in the average of "
        f"{count} scoring process{'es' if count > 1 else ''}: imports, start-up, Beam, waiting for each other, the end."
    )
    said += map(step_told, found["steps"])
    most = max([found["reviews"], *(run["reviews"] for run in found["growth"])])
    if most > found["data_reviews"]:
        said.append(f"{found['data']} has {found['data_reviews']:,} reviews; larger inputs repeat them with new ids.")
    return said


def step_told(step: Mapping[str, Any]) -> str:
    """What grew from one number of reviews to the next, in words."""
    memory = [("the largest process", step["largest"]), ("the driver", step["driver"]), ("a worker", step["worker"])]
    told = ", ".join(f"{name} {factor:.2f}" for name, factor in memory if factor)
    steady = f" Those added are scored at {step['rate']:,.0f} reviews/s." if step["rate"] else ""
    return (
        f"From {step['from']:,} to {step['to']:,} reviews, {step['reviews']:.3g} times as many: "
        f"{step['seconds']:.2f} times the seconds, {step['seconds_a_review']:.2f} a review; times the peak memory: "
        f"{told}.{steady}"
    )


def _rounds(found: Mapping[str, Any]) -> str:
    return f"{found['rounds']} round{'s' if found['rounds'] > 1 else ''}"


def _range(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['low']:.2f} to {spread['high']:.2f})"


def markdown(found: Mapping[str, Any]) -> str:
    """The tables as Markdown, with how they were measured."""
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    told = "".join(f"* {sentence}\n" for sentence in notes(found))
    grown = _markdown_table(GROWTH, growth_cells(found)) + "\n" if found["growth"] else ""
    return f"""{_markdown_table(SIDES, side_cells(found))}
{grown}{told}
Reviews of {found["data"]} with the model {found["model_id"]} and `--top-k {found["top_k"]}`; every run is a fresh
process. Side by side: medians over {_rounds(found)}, in which both took turns; *range*: least to most. Growth: one
run each. *Largest process*, *driver*, *worker*: the peak resident memory of the largest such process.

Machine: {machine["processor"]}, {machine["cores"]} cores. Versions: {versions}.
"""


def _markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    named = [heading.replace("\n", " ") for heading in headings]
    rules = ["---" if heading == "side" else "---:" for heading in headings]
    return "".join(f"| {' | '.join(line)} |\n" for line in [named, rules, *lines])


def save_figure(found: Mapping[str, Any], path: Path) -> None:
    """Draws rate and peak memory over the number of reviews into an SVG file.

    Args:
        found: as `job.json` holds it, with two sizes at least in `growth`.
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

    save(growth(found), path)
