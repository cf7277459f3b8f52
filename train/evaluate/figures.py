"""Draws the figures of an evaluation and of a training run from JSON, as SVG files with the same bytes each time.

The background is white on light and dark pages alike. Colours are distinguishable for the colour-blind (Okabe and Ito
2008) and never the only distinction. Figures are 700 px wide.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from train.evaluate.wording import RANKINGS, length_name, oov_name
from train.run import AVERAGE, PRETRAINING

BLACK, ORANGE, SKY, GREEN, BLUE, RED, PINK = (
    "#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7"
)  # fmt: skip
GREY = "#767676"
STYLE = {
    "svg.hashsalt": "batch-scorer",  # otherwise the ids in each file would be random
    "font.family": "DejaVu Sans",  # included in matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
}
WIDTH = 7.29  # inches: 700 px at 96 per inch
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.6g} %")
MARKS = {
    "contribution": (BLUE, "o", "-"),
    "attention": (RED, "s", "-"),
    "integrated_gradients": (GREEN, "^", "-"),
    "leave_one_out": (PINK, "D", "-"),
    "random": (GREY, "x", "--"),
}

Lines = Sequence[Mapping[str, Any]]


def styled(drawing: Callable[[Any], Figure]) -> Callable[[Any], Figure]:
    """Decorates `drawing` to use the style above, whatever the rest of the process has set."""

    @functools.wraps(drawing)
    def drawn(data: Any) -> Figure:
        with matplotlib.rc_context(STYLE):
            return drawing(data)

    return drawn


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as SVG, without a date."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def save_evaluation(evaluation: Mapping[str, Any], directory: Path) -> None:
    """Writes `reliability.svg`, `slices.svg` and, if explanations were measured, `faithfulness.svg`.

    Args:
        evaluation: as returned by `train.evaluate.run.evaluate`.
    """
    save(reliability(evaluation["quality"]), directory / "reliability.svg")
    save(slices(evaluation["quality"]), directory / "slices.svg")
    if evaluation["faithfulness"]:
        save(faithfulness(evaluation["faithfulness"]), directory / "faithfulness.svg")


def _figure(height: float, rows: int, columns: int, **options: Any) -> tuple[Figure, Any]:
    figure = Figure((WIDTH, height), layout="constrained", facecolor="white")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _points(axes: Axes, x: Sequence[float], lines: Lines, colour: str, **options: Any) -> None:
    """Draws accuracies with their intervals."""
    y = [line["accuracy"] for line in lines]
    spread = [[line["accuracy"] - line["accuracy_low"] for line in lines],
              [line["accuracy_high"] - line["accuracy"] for line in lines]]  # fmt: skip
    axes.errorbar(x, y, spread, color=colour, capsize=3, elinewidth=1.2, **options)


@styled
def reliability(quality: Mapping[str, Any]) -> Figure:
    """Accuracy against confidence, above the number of reviews at each confidence (DeGroot and Fienberg 1983)."""
    figure, grid = _figure(4.9, 2, 1, sharex=True, height_ratios=[3, 1])
    above, below = grid[:, 0]
    bins = quality["reliability"]
    full = [line for line in bins if line["reviews"]]
    above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="perfect calibration")
    _points(above, [line["confidence"] for line in full], full, BLUE, fmt="o-", label="the model, 95 % interval")
    above.set(ylabel="accuracy", ylim=(min(0.45, *(line["accuracy_low"] - 0.03 for line in full)), 1.02))
    chance = quality["ece_by_chance"]
    above.set_title(
        f"ECE {quality['ece']:.4f}; a perfectly calibrated model has {chance['mean']:.4f} by chance, "
        f"rarely more than {chance['high']:.4f}",
        loc="left",
    )
    above.legend(loc="upper left")
    below.bar(
        [line["low"] for line in full], [line["reviews"] for line in full], 1 / len(bins),
        align="edge", color=SKY, edgecolor="white",
    )  # fmt: skip
    below.set(xlabel="confidence", ylabel="reviews", xlim=(full[0]["low"] - 0.005, 1.005))
    below.xaxis.set_major_formatter(PERCENT)
    above.yaxis.set_major_formatter(PERCENT)
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


@styled
def slices(quality: Mapping[str, Any]) -> Figure:
    """Accuracy by length and by share of unknown words, compared with that of all reviews."""
    figure, grid = _figure(3.2, 1, 2, sharey=True)
    panels = (("by_length", length_name, "words"), ("by_oov", oov_name, "unknown words"))
    for axes, (key, name, label) in zip(grid[0], panels, strict=True):
        lines = quality[key]
        axes.axhspan(quality["accuracy_low"], quality["accuracy_high"], color=SKY, alpha=0.35, linewidth=0)
        axes.axhline(quality["accuracy"], color=BLUE, linewidth=1.2, linestyle="--", label="all reviews")
        _points(axes, range(len(lines)), lines, BLACK, fmt="o", label="slice, 95 % interval")
        ticks = [f"{name(line)}\n{line['reviews']:,}" for line in lines]
        axes.set_xticks(range(len(lines)), ticks, fontsize=7.5)
        axes.set(xlabel=f"{label} (below: number of reviews)", xlim=(-0.5, len(lines) - 0.5))
        axes.grid(False, axis="x")
        axes.yaxis.set_major_formatter(PERCENT)
    grid[0, 0].set_ylabel("accuracy")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@styled
def faithfulness(measured: Mapping[str, Any]) -> Figure:
    """Comprehensiveness and sufficiency of each ranking by share of words (DeYoung et al. 2020, section 5)."""
    figure, grid = _figure(3.7, 1, 2)
    panels = (
        ("comprehensiveness_at", "top words deleted: higher is better", "words deleted"),
        ("sufficiency_at", "top words alone: lower is better", "words kept"),
    )
    shares = measured["shares"]
    for axes, (key, title, label) in zip(grid[0], panels, strict=True):
        for number, (name, ranking) in enumerate(measured["rankings"].items()):
            colour, marker, line = MARKS[name]
            values = ranking[key]
            mean = [value["value"] for value in values]
            spread = [[v["value"] - v["low"] for v in values], [v["high"] - v["value"] for v in values]]
            shifted = [share * 1.1 ** (number - 2) for share in shares]  # otherwise similar rankings hide each other
            axes.errorbar(shifted, mean, spread, color=colour, marker=marker, linestyle=line, elinewidth=1,
                          capsize=2, label=RANKINGS[name])  # fmt: skip
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(shares))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(PERCENT)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=label, ylabel="drop in P(decision)")
        axes.set_title(title, loc="left")
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _losses(axes: Any, log: Lines, stage: str) -> tuple[Lines, list[int]]:
    """Draws the training losses of a stage over its epochs; returns the lines that end an epoch, and those epochs."""
    lines = [line for line in log if line["stage"] == stage]
    ends = [line for line in lines if "perplexity" in line or "accuracy" in line]
    epoch_steps = ends[0]["step"] / ends[0]["epoch"] if ends else lines[-1]["step"]
    epochs, losses = [line["step"] / epoch_steps for line in lines], [line["loss"] for line in lines]
    axes.plot(epochs, losses, color=BLUE, label="training")
    return ends, [line["epoch"] for line in ends]


@styled
def curves(log: Lines) -> Figure:
    """The training run: losses of the steps, and the measurements on the validation split after each epoch.

    Args:
        log: lines of `log.jsonl`. Without pre-training, only fine-tuning is drawn. With several fine-tunings, the mean
            of their weights is drawn too.
    """
    stages = list(dict.fromkeys(line["stage"] for line in log))
    pretrained = PRETRAINING in stages
    figure, grid = _figure(0.6 + 2.3 * (1 + pretrained), 1 + pretrained, 2)
    if pretrained:
        left, right = grid[0]
        ends, epochs = _losses(left, log, PRETRAINING)
        right.plot(epochs, [line["perplexity"] for line in ends], "o-", color=RED)
        left.set_title("pre-training: loss per word, nats", loc="left")
        right.set_title("pre-training: perplexity", loc="left")
    left, right = grid[-1]
    for stage in stages:
        if stage in (PRETRAINING, AVERAGE):
            continue
        ends, epochs = _losses(left, log, stage)
        if AVERAGE in stages:
            left.plot(epochs, [line["log_loss"] for line in ends], ".--", color=SKY)
            right.plot(epochs, [line["accuracy"] for line in ends], ".--", color=SKY, label="a single fine-tuning")
    if AVERAGE in stages:
        ends = [line for line in log if line["stage"] == AVERAGE]
        epochs = [line["epoch"] for line in ends]
    left.plot(epochs, [line["log_loss"] for line in ends], "o-", color=RED)
    _points(right, epochs, ends, RED, fmt="o-", label="validation, 95 % interval of the accuracy")
    right.yaxis.set_major_formatter(PERCENT)
    best = min(ends, key=lambda line: line["log_loss"])
    for axes, key in ((left, "log_loss"), (right, "accuracy")):
        axes.plot(best["epoch"], best[key], "o", markersize=11, fillstyle="none", color=BLACK, label="chosen epoch",
                  linestyle="none")  # fmt: skip
    left.set_title("fine-tuning: log loss, nats", loc="left")
    right.set_title("fine-tuning: accuracy", loc="left")
    for axes in grid.flat:
        axes.set(xlabel="epochs", xlim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    legend: dict[str, Any] = {}
    for axes in grid.flat:
        handles, labels = axes.get_legend_handles_labels()
        legend |= dict(zip(labels, handles, strict=True))
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=3)
    return figure
