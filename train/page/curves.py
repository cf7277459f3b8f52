"""The log of a training run -> its learning curves as static SVG, drawn like the charts of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from batch_scorer.report.charts import NARROW, inline, svg_of
from train.run import AVERAGE, FINE_TUNING, PRETRAINING, Line

HEIGHT, TICKS = 200, 8
_ONE = "var(--bar)"  # a single fine-tuning, or the training side
_CHOSEN = "var(--ink)"  # the model, or the held-out side


@dataclass(frozen=True)
class Curve:
    """A chart, and the name of what it shows."""

    title: str
    svg: str


@dataclass(frozen=True)
class Epoch:
    """What was measured at the end of an epoch; None where a stage does not measure it."""

    stage: str
    epoch: int
    training_loss: float | None
    log_loss: float | None
    accuracy: float | None
    perplexity: float | None


def epochs(log: Sequence[Line]) -> list[Epoch]:
    """The measurements of a log, in order."""
    names = ("training_loss", "log_loss", "accuracy", "perplexity")
    measured = (line for line in log if line["measured"])
    return [Epoch(line["stage"], line["epoch"], *(line.get(name) for name in names)) for line in measured]


def curves(log: Sequence[Line], chosen: int) -> list[Curve]:
    """The charts of a log: of pre-training, if there was any, and of fine-tuning.

    Args:
        log: lines of `log.jsonl`.
        chosen: the epoch whose weights the model has.
    """
    drawn = []
    before = [line for line in log if line["stage"] == PRETRAINING]
    if before:
        ends = _points([line for line in before if line["measured"]], "perplexity")
        drawn.append(_chart("Pre-training: loss per word", _steps(before), [], None, "nats"))
        drawn.append(_chart("Pre-training: perplexity of held-out reviews", [], ends, None, ""))
    stages = [s for s in dict.fromkeys(line["stage"] for line in log) if s.split(" ")[0] == FINE_TUNING]
    training = [row for stage in stages for row in _steps([line for line in log if line["stage"] == stage])]
    averages = [line for line in log if line["stage"] == AVERAGE]
    measured = averages or [line for line in log if line["stage"] in stages and line["measured"]]
    drawn.append(_chart("Log loss", training, _points(measured, "log_loss"), chosen, "nats"))
    accuracy = _points(measured, "accuracy", intervals=True)
    drawn.append(_chart("Accuracy on held-out reviews", [], accuracy, chosen, "", ".0%"))
    return drawn


def _steps(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """The loss of a stage's steps at each of its lines, by epoch."""
    ends = [line for line in lines if line["measured"]]
    steps = ends[0]["step"] / ends[0]["epoch"] if ends else lines[-1]["step"]
    rows = [{"epoch": line["step"] / steps, "value": line["loss"], "stage": line["stage"]} for line in lines]
    return [row for row in rows if math.isfinite(row["value"])]


def _points(lines: Sequence[Line], name: str, intervals: bool = False) -> list[dict[str, Any]]:
    rows = []
    for line in lines:
        ends = {end: line[f"{name}_{end}"] for end in ("low", "high")} if intervals else {}
        rows.append({"epoch": line["epoch"], "value": line[name], **ends})
    return [row for row in rows if math.isfinite(row["value"])]


def _chart(
    title: str, steps: list[dict[str, Any]], points: list[dict[str, Any]], chosen: int | None, unit: str,
    form: str = "",
) -> Curve:  # fmt: skip
    """Losses of steps as a line of each stage, measurements as points joined by a line, the chosen epoch as a rule."""
    import altair as alt

    last = max([1, *(math.ceil(row["epoch"]) for row in (*steps, *points))])
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, last) if last / n <= TICKS)
    span, ticks = alt.Scale(domain=[0, last], nice=False), list(range(0, last + 1, every))
    x = alt.X("epoch:Q", scale=span, axis=alt.Axis(values=ticks, format="d", title="epochs", grid=False))
    axis = alt.Axis(tickCount=5, title=unit or None, format=form or alt.Undefined)
    y = alt.Y("value:Q", scale=alt.Scale(zero=False), axis=axis)
    layers: list[Any] = []
    if chosen is not None:
        layers.append(inline([{"epoch": chosen}]).mark_rule(color="var(--muted)", strokeDash=[4, 3]).encode(x=x))
    if steps:
        mark = inline(steps).mark_line(color=_ONE, strokeWidth=1.75, point={"color": _ONE, "size": 14})
        layers.append(mark.encode(x=x, y=y, detail="stage:N"))
    if points:
        whiskers = [row for row in points if "low" in row]
        if whiskers:
            low = alt.Y("low:Q", scale=alt.Scale(zero=False))
            layers.append(inline(whiskers).mark_rule(color=_CHOSEN).encode(x=x, y=low, y2="high:Q"))
        mark = inline(points).mark_line(color=_CHOSEN, strokeWidth=1.75, point={"color": _CHOSEN, "size": 40})
        layers.append(mark.encode(x=x, y=y))
    figures = ", ".join(f"epoch {row['epoch']:g}: {row['value']:.4f}" for row in points[-TICKS:])
    label = f"{title}, by epoch. {figures}" if figures else f"{title}, by epoch"
    return Curve(title, svg_of(alt.layer(*layers), NARROW, HEIGHT, label))
