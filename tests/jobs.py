"""Runs whole jobs for tests, and reads what they wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.config import ScoreConfig
from batch_scorer.runners.job import run_job


def score_here(config: ScoreConfig) -> dict[str, Any]:
    """Runs a job as the command does, in this process and its workers; returns the manifest."""
    result = run_job(config)
    assert result is not None
    return dict(result.manifest)


def rows(output: Path | str, kind: str = "predictions") -> list[dict[str, Any]]:
    """All rows of one kind, in the order of the parts."""
    tables = [pq.read_table(path) for path in sorted(Path(output).glob(f"{kind}/part-*.parquet"))]
    return pa.concat_tables(tables).to_pylist() if tables else []


def part_bytes(output: Path | str) -> dict[str, bytes]:
    """Every part of a run, by its path in the output."""
    return {str(path.relative_to(output)): path.read_bytes() for path in Path(output).rglob("part-*.parquet")}
