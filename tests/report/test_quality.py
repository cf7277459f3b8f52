"""Quality in a report: measured against plain Python, from labels of every kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batch_scorer.errors import OptionError
from batch_scorer.report.findings import Findings
from tests.jobs import rows
from tests.made_runs import write_run
from tests.report.conftest import build
from train.metrics import expected_calibration_error


def test_quality_matches_the_rows(folder: Path, findings: Findings) -> None:
    table = rows(folder / "run")
    truth = np.array([row["truth"] == 1 for row in table])
    label = np.array([row["predicted_label"] == "positive" for row in table])
    p = np.array([row["probability"] for row in table])
    quality = findings.quality
    assert quality is not None
    counts = (truth & label, ~truth & label, ~truth & ~label, truth & ~label)
    assert [int(c.sum()) for c in counts] == [
        *(quality.true_positive, quality.false_positive, quality.true_negative, quality.false_negative)
    ]
    assert ((truth == label).mean(), 1_000, 0) == (quality.accuracy, quality.reviews, quality.unlabelled)
    place = np.minimum((p * 10).astype(int), 9)
    assert [int((place == b).sum()) for b in range(10)] == [b.reviews for b in quality.reliability]
    by_product = {s.value: (s.reviews, s.accuracy) for s in quality.slices if s.column == "product"}
    for name, (reviews, accuracy) in by_product.items():
        here = np.array([row["product"] == name for row in table])
        assert (here.sum(), (truth == label)[here].mean()) == (reviews, pytest.approx(accuracy))
    for column in ("length", "unknown words", "product"):
        assert 1_000 == sum(s.reviews for s in quality.slices if s.column == column)


def test_calibration_error_is_the_one_that_evaluate_computes(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 700, keep=("truth",), threshold=0.4)
    table = rows(tmp_path / "run")
    p, labels = (np.array([row[name] for row in table]) for name in ("probability", "truth"))
    quality = build(tmp_path / "run", label_column="truth").quality
    assert quality is not None
    assert expected_calibration_error(p, labels) == pytest.approx(quality.ece, abs=1e-8)


# Labels, --positive-value, and how many are positive, negative, and without a label that means either.
LABELS: list[tuple[Sequence[Any] | pa.Array, str | None, tuple[int, int, int]]] = [
    ([1, 0, 1, None], None, (2, 1, 1)),
    ([1.0, 0.0, 1.0, math.nan], None, (2, 1, 1)),
    ([True, False, None, True], None, (2, 1, 1)),
    (["Positive", " negative", "", "positive"], None, (2, 1, 1)),
    (["pos", "pos", "pos", "pos"], None, (4, 0, 0)),
    (["neg", "neg", "neg", None], None, (0, 3, 1)),
    ([5, 1, 4, 3], "5", (1, 3, 0)),
    (["good", "bad", "bad", None], "good", (1, 2, 1)),
    (["positive", "negative", "mixed", "mixed"], "positive", (1, 1, 2)),
    (pa.array([1, 0, 1, 0], pa.int8()), None, (2, 2, 0)),
    (pa.array([1, 0, 1, None], pa.decimal128(4, 2)), None, (2, 1, 1)),
    (["1.00", "0.00", "1.50", None], "1", (1, 2, 1)),
    (pa.array(["true", "false", "true", "true"]).dictionary_encode(), None, (3, 1, 0)),
]


@pytest.mark.parametrize(("labels", "positive", "expected"), LABELS)
def test_labels_are_understood(labels: Any, positive: str | None, expected: tuple[int, ...], tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": labels})
    told = () if positive is None else (positive,)
    quality = build(tmp_path / "run", label_column="label", positive_value=told).quality
    assert quality is not None
    negative = quality.true_negative + quality.false_positive
    assert expected == (quality.true_positive + quality.false_negative, negative, quality.unlabelled)


@pytest.mark.parametrize(
    ("labels", "positive", "message"),
    [
        (
            [1, 2, 3, 4],
            None,
            r"which labels mean positive[\s\S]*1 \(1 review\), 2 \(1\), 3 \(1\), 4[\s\S]*--positive-value",
        ),
        (["good", "bad", "bad", "bad"], None, r"which labels mean positive[\s\S]*bad \(3 reviews\), good \(1\)"),
        (["positive", "negative", "mixed", None], None, r"which labels mean positive"),
        ([1, 2, 3, 4], "5", r"does not occur among the labels[\s\S]*1 \(1 review\), 2 \(1\), 3 \(1\), 4 \(1\)"),
    ],
)
def test_ambiguous_labels_are_refused(labels: list[Any], positive: str | None, message: str, tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": labels})
    with pytest.raises(OptionError) as refused:
        build(tmp_path / "run", label_column="label", positive_value=() if positive is None else (positive,))
    refused.match(message)


def test_stars_are_read_by_range_and_those_in_between_do_not_count(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 6, kept={"stars": [5.0, 4.0, 4.0, 3.0, 1.0, None]})
    told = {"label_column": "stars", "positive_value": (">=4", "6"), "negative_value": ("<=2",)}
    findings = build(tmp_path / "run", **told)
    quality = findings.quality
    assert quality is not None
    assert (3, 1) == (
        quality.true_positive + quality.false_negative,
        quality.true_negative + quality.false_positive,
    )
    assert (">=4 or 6", "<=2", 1, 2) == (quality.positive, quality.negative, quality.neither, quality.unlabelled)
    assert ("--positive-value 6 does not occur among the labels in stars.",) == findings.notices


def test_label_column_without_labels_is_a_notice(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 4, kept={"label": pa.nulls(4, pa.string())})
    findings = build(tmp_path / "run", label_column="label")
    assert findings.quality is None
    assert ("The column label has no labels, so quality cannot be measured.",) == findings.notices
