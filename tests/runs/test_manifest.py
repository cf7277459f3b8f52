"""The manifest: when a run counts as a success, and what is written when it is committed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.models.artifact import Artifact
from batch_scorer.planning.plan import Plan
from batch_scorer.runs.manifest import commit, verdict
from batch_scorer.runs.markers import Counts, Summary, Total

MakeConfig = Callable[..., ScoreConfig]


@pytest.mark.parametrize(
    ("counts", "max_error_rate", "allow_unreadable", "said"),
    [
        ((100, 99, 1, 0), 0.01, False, None),
        ((100, 98, 2, 0), 0.01, False, "2 of 100 records (2.0%) were rejected, more than --max-error-rate 1.0%"),
        ((100, 100, 0, 0), 0.0, False, None),
        ((100, 99, 1, 0), 0.0, False, "1 of 100 records (1.0%) was rejected, more than --max-error-rate 0.0%"),
        ((5, 0, 5, 0), 1.0, False, None),
        ((0, 0, 0, 0), 0.0, False, None),
        ((0, 0, 0, 1_200), 0.01, False, "1,200 files or ranges were unreadable"),
        ((0, 0, 0, 1), 0.01, True, None),
        ((100, 50, 50, 1), 0.01, True, "50 of 100 records (50.0%) were rejected"),
        ((100, 50, 50, 1), 0.01, False, "1 file or range was unreadable"),
        ((100, 42, 58, 0, 58), 0.0, False, None),
        ((100, 40, 60, 0, 58), 0.01, False, "2 of 100 records (2.0%) were rejected"),
        ((2, 0, 2, 0, 2), 0.5, False, "nothing was scored: 2 of 2 records had no text, or none with words"),
        ((100, 0, 100, 0, 99), 0.01, False, "nothing was scored: 99 of 100 records had no text"),
        ((2, 0, 2, 0, 2), 1.0, False, None),
    ],
)
def test_verdict_on_counts_says_why_a_run_is_not_a_success(
    counts: tuple[int, ...], max_error_rate: float, allow_unreadable: bool, said: str | None
) -> None:
    why = verdict(dataclasses.asdict(Counts(*counts)), max_error_rate, allow_unreadable)

    assert said == (why and why[: len(said or why)])


@pytest.mark.parametrize(
    ("counts", "success"),
    [((3, 0, 3, 0, 3), True), ((0, 0, 0, 0, 0), True), ((3, 0, 3, 0, 2), False), ((3, 0, 3, 1, 3), False)],
)
def test_verdict_with_nothing_to_score_allowed_forgives_what_is_empty_and_nothing_else(
    counts: tuple[int, ...], success: bool
) -> None:
    assert success == (verdict(dataclasses.asdict(Counts(*counts)), 0.01, False, allow_empty=True) is None)


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
