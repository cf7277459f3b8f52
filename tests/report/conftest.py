"""Synthetic runs for the tests of reports, and what a report says about one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batch_scorer.report.build import build_findings
from batch_scorer.report.findings import Findings
from batch_scorer.report.question import Question
from tests.made_runs import write_run


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the run `run` of `reviews.parquet`, and `old`, of other reviews and by another model."""
    folder = tmp_path_factory.mktemp("synthetic")
    source, keep = str(folder / "reviews.parquet"), ("text", "truth", "stars", "product")
    reviews = write_run(folder / "run", 1_000, source=source, keep=keep, rejected=40, unreadable=1)
    pq.write_table(reviews, source)
    write_run(folder / "old", 300, seed=1, model_id="ba9876543210")
    return folder


@pytest.fixture(scope="session")
def findings(folder: Path) -> Findings:
    """The findings on `run`, with everything that a report can be asked for."""
    return build(
        folder / "run",
        reference=str(folder / "old"),
        text_column="text",
        label_column="truth",
        slice_columns=("product",),
        reviews=20,
    )


def build(output: Path, **options: Any) -> Findings:
    """The findings on a run; `options` are those of `Question`."""
    return build_findings(Question(str(output), **options))


def listed(findings: Findings, name: str) -> list[str]:
    """The ids of the reviews in a list, by rank."""
    ranked = [(r.ranks[r.lists.index(name)], r.record_id) for r in findings.reviews if name in r.lists]
    assert list(range(1, len(ranked) + 1)) == sorted(rank for rank, _ in ranked)
    return [record_id for _, record_id in sorted(ranked)]
