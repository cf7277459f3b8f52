"""Runs whole jobs for tests, and reads what they wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.config import ScoreConfig
from batch_scorer.models import artifact
from batch_scorer.planning import plan
from batch_scorer.runners import pipeline
from batch_scorer.runs import directory, plan_files


def score_here(config: ScoreConfig) -> dict[str, Any]:
    """Plans and runs a job as the command does, in this process and its workers; returns the manifest."""
    model = artifact.load(config.scoring.model or artifact.SHIPPED)
    made, shards = plan.make_plan(config, model.model_id)
    made = directory.prepare(config.output, made)
    with directory.claimed(config.output.directory):
        directory.begin(config.output)
        plan_files.write_plan(made, shards, config.output.directory)
        try:
            pipeline.run(made, config, pipeline.options(config))
        finally:
            directory.finish(config.output.directory)
    manifest: dict[str, Any] = json.loads((Path(config.output.directory) / "manifest.json").read_text())
    return manifest


def rows(output: Path | str, kind: str = "predictions") -> list[dict[str, Any]]:
    """All rows of one kind, in the order of the parts."""
    tables = [pq.read_table(path) for path in sorted(Path(output).glob(f"{kind}/part-*.parquet"))]
    return pa.concat_tables(tables).to_pylist() if tables else []


def part_bytes(output: Path | str) -> dict[str, bytes]:
    """Every part of a run, by its path in the output."""
    return {str(path.relative_to(output)): path.read_bytes() for path in Path(output).rglob("part-*.parquet")}
