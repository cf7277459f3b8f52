"""What a training has led to -> the HTML of its page, in the layout of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.windows import in_words
from batch_scorer.report import page, page_data
from batch_scorer.report.charts import reliability_chart
from train.adapt.table import Story
from train.fit import Fitted
from train.overview import Overview
from train.page.curves import curves, epochs
from train.page.findings import LISTS, Findings
from train.prepare import Prepared
from train.run import AVERAGE, FINE_TUNING, Line

CURVES, ADAPTED = "curves", "What adapting was worth"
SECTIONS = (
    ("figures", "At a glance"),
    ("about", "Data"),
    (CURVES, "Learning curves"),
    ("quality", "Held-out reviews"),
    ("words", "Words"),
    ("reviews", "Mistakes"),
    ("settings", "Settings"),
    ("reading", "How to read this"),
)


def render(
    artifact: Artifact, bias: float, log: Sequence[Line], data: Prepared, fitted: Fitted, seen: Overview,
    found: Findings, settings: Mapping[str, Any], story: Story | None = None,
) -> bytes:  # fmt: skip
    """The whole page, as UTF-8.

    Args:
        artifact: the model; `bias` is its engine's.
        log: lines of `log.jsonl`.
        settings: what the result depends on besides the data.
        story: what adapting was worth, which takes the place of the learning curves.
    """
    quality, manifest = fitted.validation, artifact.manifest
    label = f"Reliability diagram: expected calibration error {page.percent(quality['ece'])}. The numbers are below."
    points = [bin_of.point for bin_of in found.bins]
    words = [*found.positive_words, *found.negative_words]
    measured = [line for line in epochs(log) if line.stage.startswith(FINE_TUNING)]
    drawn = [] if story else curves(log, fitted.epoch)
    return page.fill(
        Path(__file__).with_name("training.html").read_text(encoding="utf-8"),
        page_data.as_json(found.reviews, bias, artifact.tokenizer.max_words),
        sections=[(name, ADAPTED if story and name == CURVES else title) for name, title in SECTIONS],
        name=manifest["name"],
        q=quality,
        f=found,
        seen=seen,
        without=seen.without_repeats(fitted, data.validation),
        identity=[
            ("Model", artifact.model_id),
            ("Network", _network(artifact)),
            ("Reads", in_words(manifest["tokenizer"])),
            *([("Epoch", f"{fitted.epoch} of {max(line.epoch for line in measured)}")] if measured else []),
        ],
        data_facts=[(name.capitalize(), text) for name, text in seen.facts()],
        curves=[{"title": curve.title, "svg": Markup(curve.svg)} for curve in drawn],
        story=story,
        epochs=epochs(log),
        chosen=fitted.epoch,
        with_average=any(line["stage"] == AVERAGE for line in log),
        table={
            "reviews": seen.validation,
            "true_positive": found.true_positive,
            "false_positive": found.false_positive,
            "true_negative": found.true_negative,
            "false_negative": found.false_negative,
        },
        wrong=found.false_positive + found.false_negative,
        lengths=page.slice_rows(found.lengths),
        reliability=Markup(reliability_chart(points, label)),
        largest=max((abs(word.per_review) for word in words), default=1.0),
        lists=_lists(found),
        settings=list(_flat(settings)),
        bias=bias,
        temperature=fitted.temperature,
        by_review=fitted.calibration is not None,
    )


def _lists(found: Findings) -> list[tuple[str, str, int]]:
    """The lists of reviews that are not empty, and one of all: name, title, number of reviews."""
    counts = {name: sum(name in review.lists for review in found.reviews) for name in LISTS}
    filled = [(name, title, counts[name]) for name, title in LISTS.items() if counts[name]]
    return [*filled, (page_data.ALL, "All of these", len(found.reviews))]


def _network(artifact: Artifact) -> str:
    sizes = artifact.architecture
    kind = "" if sizes.foldable else ", as in the notebook: no mask, other gates"
    return f"{sizes.vocabulary_size:,} ids, embeddings of {sizes.embedding_dim}, {sizes.units} units each way{kind}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and values of nested settings, those of a stage with its name before theirs."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
