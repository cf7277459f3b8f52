"""Markers and manifest: which markers are trusted, how they add up, and when a run counts as a success."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.profile import measure
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.runs.manifest import (
    STAGES,
    Counts,
    Summary,
    Total,
    commit,
    finished_shard,
    fold,
    verdict,
    write_marker,
)
from batch_scorer.scoring.write import Part

MakeConfig = Callable[..., ScoreConfig]
NUMBERS = st.integers(0, 1_000)
PROFILES = st.lists(st.integers(1, 3_000), max_size=4).map(
    lambda n: measure(np.array(n, int), np.minimum(n, 499), np.zeros(len(n), int), np.full(len(n), 0.5))
)
SUMMARIES = st.builds(
    Summary,
    shards=NUMBERS,
    counts=st.builds(Counts, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    parts=st.lists(st.builds(Part, st.text(max_size=3), NUMBERS, st.text(max_size=3)), max_size=2).map(tuple),
    profile=PROFILES,
    timings=st.fixed_dictionaries({stage: NUMBERS.map(float) for stage in STAGES}),
)


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
    return Summary(1, Counts(3, 2, 1, 0), parts, profile, dict.fromkeys(STAGES, 0.25))


def test_finished_shard_with_its_marker_and_parts_is_what_it_did(plan: Plan, output: Path, done: Summary) -> None:
    write_marker(done, 0, plan, str(output))

    assert done == finished_shard(0, plan, str(output))
    assert finished_shard(1, plan, str(output)) is None
    assert [output / "shards" / "00000.json"] == list((output / "shards").iterdir())


@pytest.mark.parametrize("name", ["predictions", "errors"])
@pytest.mark.parametrize("change", ["altered", "cut", "gone", "a folder"])
def test_finished_shard_whose_part_has_changed_is_done_again(
    change: str, name: str, plan: Plan, output: Path, done: Summary
) -> None:
    write_marker(done, 0, plan, str(output))
    part = output / name / "part-00000.parquet"
    if change == "altered":
        part.write_bytes(name.upper().encode())
    elif change == "cut":
        part.write_bytes(name[:-1].encode())
    else:
        part.unlink()
        if change == "a folder":
            part.mkdir()

    assert finished_shard(0, plan, str(output)) is None


@pytest.mark.parametrize("change", [{"plan_hash": "0" * 64}, {"run_id": "another"}], ids=["plan", "run_id"])
def test_finished_shard_of_another_run_is_done_again(
    change: dict[str, str], plan: Plan, output: Path, done: Summary
) -> None:
    write_marker(done, 0, plan, str(output))

    assert finished_shard(0, dataclasses.replace(plan, **change), str(output)) is None


def damaged(document: dict[str, Any], damage: str) -> str:
    """The marker as text, with something missing or wrong."""
    if damage.startswith("no "):
        del document[damage.removeprefix("no ")]
    elif damage == "wrong count":
        document["counts"]["seen"] = 1
    elif damage == "wrong part":
        document["parts"] = [1]
    text = json.dumps(document)
    return {"empty": "", "cut": text[:-2], "list": "[]", "not UTF-8": "\udcff"}.get(damage, text)


@pytest.mark.parametrize(
    "damage",
    ["empty", "cut", "list", "not UTF-8", "wrong count", "wrong part"]
    + [f"no {name}" for name in ("plan_hash", "run_id", "counts", "parts", "profile", "timings")],
)
def test_finished_shard_with_a_damaged_marker_is_done_again(
    damage: str, plan: Plan, output: Path, done: Summary
) -> None:
    write_marker(done, 0, plan, str(output))
    marker = output / "shards" / "00000.json"
    marker.write_text(damaged(json.loads(marker.read_text()), damage), "utf-8", "surrogateescape")

    assert finished_shard(0, plan, str(output)) is None


@given(st.lists(SUMMARIES, max_size=6), st.randoms())
def test_total_of_summaries_added_in_any_tree_is_their_fold(summaries: list[Summary], rng: Random) -> None:
    whole = fold(summaries)

    totals = [Total().add(summary) for summary in summaries] or [Total()]
    while len(totals) > 1:
        at = rng.randrange(len(totals) - 1)
        totals[at].add(totals.pop(at + 1))
    assert whole == totals[0].summary() == Total().add(whole).summary() == totals[0].add(Total()).summary()
    assert [part for s in summaries for part in s.parts] == list(whole.parts)
    assert sum(s.counts.read for s in summaries) == whole.counts.read
    assert sum(s.timings["score"] for s in summaries) == whole.timings["score"]
    assert sum(s.profile.reviews for s in summaries) == whole.profile.reviews == sum(whole.profile.length)


def test_total_adds_in_place_and_leaves_what_it_adds_alone(done: Summary) -> None:
    total, other = Total().add(done), Total().add(done)
    parts, summed = total.parts, total.summary()

    assert total is total.add(other)
    assert parts is total.parts
    assert done == other.summary() == summed
    assert 2 == total.shards


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


def finish(summary: Summary, plan: Plan, artifact: Artifact, config: ScoreConfig) -> dict[str, Any]:
    """Commits with nothing but these."""
    return commit(summary, plan, artifact, 0.5, config, {"numpy": "1"}, "then", "now")


def test_commit_of_every_shard_writes_the_manifest_and_success(
    plan: Plan, output: Path, done: Summary, tiny: Artifact, config: MakeConfig
) -> None:
    manifest = finish(fold([done] * 3), plan, tiny, config(max_error_rate=0.5))

    assert json.dumps(manifest, indent=2) + "\n" == (output / "manifest.json").read_text()
    assert {"read": 9, "scored": 6, "rejected": 3, "unreadable": 0, "empty": 0} == manifest["counts"]
    assert ["errors"] * 3 + ["predictions"] * 3 == [part["path"].split("/")[0] for part in manifest["parts"]]
    assert (plan.run_id, 0.75) == (manifest["run_id"], manifest["timings"]["read"])
    assert (output / "_SUCCESS").exists()


def test_commit_of_too_many_rejected_writes_the_manifest_without_success(
    plan: Plan, output: Path, done: Summary, tiny: Artifact, config: MakeConfig
) -> None:
    manifest = finish(fold([done] * 3), plan, tiny, config(max_error_rate=0.1))

    assert manifest["not_a_success"].startswith("3 of 9 records (33.3%) were rejected")
    assert (output / "manifest.json").exists()
    assert not (output / "_SUCCESS").exists()


def test_commit_with_a_shard_missing_fails_and_writes_nothing(
    plan: Plan, output: Path, done: Summary, tiny: Artifact, config: MakeConfig
) -> None:
    with pytest.raises(JobError, match="not every shard is done") as failed:
        finish(fold([done] * 2), plan, tiny, config())

    assert ("3 shards", "2") == (failed.value.expected, failed.value.got)
    assert {"predictions", "errors"} == {path.name for path in output.iterdir()}
