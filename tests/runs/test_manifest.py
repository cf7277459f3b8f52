"""The manifest: what is written when a run is committed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning.plan import Plan
from batch_scorer.runs.manifest import commit
from batch_scorer.runs.markers import Summary, Total

MakeConfig = Callable[..., ScoreConfig]


def finish(done: list[Summary], plan: Plan, artifact: Artifact, config: ScoreConfig) -> dict[str, Any]:
    """Commits with nothing but these."""
    total, parts = Total(), [part for summary in done for part in summary.parts]
    for summary in done:
        total.add(summary)
    return commit(total.summary(), parts, plan, artifact, 0.5, config, {"numpy": "1"}, "then", "now")


def test_commit_of_every_shard_writes_the_manifest_and_success(
    plan: Plan, output: Path, done: Summary, tiny: Artifact, config: MakeConfig
) -> None:
    manifest = finish([done] * 3, plan, tiny, config(max_error_rate=0.5))

    assert json.dumps(manifest, indent=2) + "\n" == (output / "manifest.json").read_text()
    assert {"read": 9, "scored": 6, "rejected": 3, "unreadable": 0, "empty": 0} == manifest["counts"]
    assert ["errors"] * 3 + ["predictions"] * 3 == [part["path"].split("/")[0] for part in manifest["parts"]]
    assert (plan.run_id, 0.75) == (manifest["run_id"], manifest["timings"]["read"])
    assert {"a-1": 3} == manifest["workers"]
    assert (output / "_SUCCESS").exists()


def test_commit_of_too_many_rejected_writes_the_manifest_without_success(
    plan: Plan, output: Path, done: Summary, tiny: Artifact, config: MakeConfig
) -> None:
    manifest = finish([done] * 3, plan, tiny, config(max_error_rate=0.1))

    assert manifest["not_a_success"].startswith("3 of 9 records (33.3%) were rejected")
    assert (output / "manifest.json").exists()
    assert not (output / "_SUCCESS").exists()


def test_commit_with_a_shard_missing_fails_and_writes_nothing(
    plan: Plan, output: Path, done: Summary, tiny: Artifact, config: MakeConfig
) -> None:
    with pytest.raises(JobError, match="not every shard is done") as failed:
        finish([done] * 2, plan, tiny, config())

    assert ("3 shards", "2") == (failed.value.expected, failed.value.got)
    assert {"predictions", "errors"} == {path.name for path in output.iterdir()}
