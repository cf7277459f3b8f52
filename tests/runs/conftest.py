"""A plan of three shards, an output with the parts of the first, and what that one did."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.models.profile import measure
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.runs.layout import Part
from batch_scorer.runs.markers import STAGES, Counts, Summary

MakeConfig = Callable[..., ScoreConfig]


@pytest.fixture
def plan(config: MakeConfig, reviews_file: Path) -> Plan:
    """A plan of three shards."""
    return dataclasses.replace(make_plan(config(reviews_file), "model")[0], shard_count=3)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output with the parts of shard 0, and no marker yet."""
    for name in ("predictions", "errors"):
        (tmp_path / "out" / name).mkdir(parents=True)
        (tmp_path / "out" / name / "part-00000.parquet").write_bytes(name.encode())
    return tmp_path / "out"


@pytest.fixture
def done(output: Path) -> Summary:
    """What shard 0 did."""
    parts = tuple(
        Part(f"{name}/part-00000.parquet", rows, hashlib.sha256(name.encode()).hexdigest())
        for name, rows in (("predictions", 2), ("errors", 1))
    )
    profile = measure(np.array([3, 700]), np.array([3, 499]), np.array([1, 0]), np.array([0.2, 0.9]))
    return Summary(1, Counts(3, 2, 1, 0), parts, profile, dict.fromkeys(STAGES, 0.25), {"a-1": 1})
