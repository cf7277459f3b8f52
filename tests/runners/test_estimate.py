"""How long a run would take: what its first records take, the rejected ones included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.runners import estimate
from batch_scorer.runners.job import plan_job


@pytest.mark.parametrize(("scored", "expected"), [(1_000, 1.0), (10, 1.0), (0, None)])
def test_seconds_are_those_of_a_record_and_none_where_no_record_is_scored(
    scored: int, expected: float | None, tiny_model: Path, tmp_path: Path
) -> None:
    lines = [json.dumps({"text": "good" if i < scored else ""}) for i in range(1_000)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    job = plan_job(ScoreConfig.of((str(tmp_path / "a.jsonl"),), str(tmp_path / "out"), str(tiny_model)))
    clock = iter([0.0, 1_000.0]).__next__
    assert expected == estimate._seconds_a_record(job.plan, job.shards, estimate._scorer(job), clock)
