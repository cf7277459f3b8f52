"""Markers of shards: which are trusted, how what they say adds up, and the parts that they name."""

from __future__ import annotations

import dataclasses
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
from batch_scorer.models.profile import measure
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.runs.markers import STAGES, Counts, Summary, Total, finished_shard, parts_of, write_marker
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
    workers=st.dictionaries(st.sampled_from(["a-1", "a-2", "b-1"]), st.integers(1, 1_000)),
)


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
def test_total_of_summaries_is_the_same_in_any_tree_and_names_no_part(summaries: list[Summary], rng: Random) -> None:
    one_by_one = Total()
    for summary in summaries:
        one_by_one.add(summary)
    whole = one_by_one.summary()

    totals = [Total().add(summary) for summary in summaries] or [Total()]
    while len(totals) > 1:
        at = rng.randrange(len(totals) - 1)
        totals[at].add(totals.pop(at + 1))
    assert whole == totals[0].summary() == Total().add(whole).summary() == totals[0].add(Total()).summary()
    assert () == whole.parts
    assert sum(s.counts.read for s in summaries) == whole.counts.read
    assert sum(s.timings["score"] for s in summaries) == whole.timings["score"]
    assert sum(sum(s.workers.values()) for s in summaries) == sum(whole.workers.values())
    assert {name for s in summaries for name in s.workers} == whole.workers.keys()
    assert sum(s.profile.reviews for s in summaries) == whole.profile.reviews == sum(whole.profile.length)


def test_total_adds_in_place_and_leaves_what_it_adds_alone(done: Summary) -> None:
    total, other = Total().add(done), Total().add(done)
    summed = other.summary()

    assert total is total.add(other)
    assert dataclasses.replace(done, parts=()) == other.summary() == summed
    assert 2 == total.shards


def test_parts_of_a_run_are_those_that_its_markers_name_in_the_order_of_the_shards(
    plan: Plan, output: Path, done: Summary
) -> None:
    each = [(Part(f"predictions/part-{shard:05d}.parquet", 1, f"{shard}" * 64),) for shard in range(3)]
    for shard in (2, 0):
        write_marker(dataclasses.replace(done, parts=each[shard]), shard, plan, str(output))
    with pytest.raises(JobError, match="not every shard is done") as missing:
        parts_of(plan, str(output))
    assert layout.marker_path(str(output), 1) == missing.value.where
    write_marker(dataclasses.replace(done, parts=each[1]), 1, plan, str(output))
    assert tuple(part for parts in each for part in parts) == parts_of(plan, str(output))
    with pytest.raises(JobError, match="not every shard is done"):
        parts_of(dataclasses.replace(plan, run_id="another"), str(output))


def test_parts_beyond_five_digits_are_in_the_order_of_their_numbers() -> None:
    names = [layout.part_name(kind, shard) for kind in ("errors", "predictions") for shard in (7, 99_999, 100_000)]
    assert names == sorted(sorted(names), key=layout.order_of) != sorted(names)
