"""How far a job is: markers are counted, and counts become events."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_scorer.config import ScoreConfig
from batch_scorer.events import Event
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.runners import progress
from batch_scorer.runners.progress import ShardCounter, followed


@pytest.fixture
def plan(config: Callable[..., ScoreConfig], reviews_file: Path) -> Plan:
    return make_plan(config(reviews_file, shard_rows=2), "model")[0]


def mark(output: Path, *shards: int) -> None:
    (output / "shards").mkdir(exist_ok=True)
    for index in shards:
        (output / f"shards/{index:05d}.json").touch()


def test_counter_adds_up_the_reviews_of_shards_with_markers_as_they_were_planned(tmp_path: Path) -> None:
    count = ShardCounter(str(tmp_path), [10, 7, 5])
    assert 0 == count()
    mark(tmp_path, 2, 0)
    assert [15, 15] == [count(), count()]


def test_counter_calls_with_each_shard_that_finished_after_the_first_count_once(tmp_path: Path) -> None:
    finished: list[int] = []
    mark(tmp_path, 1)
    count = ShardCounter(str(tmp_path), [10, 7, 5], finished.append)
    count()
    mark(tmp_path, 2, 0)
    count(), count()
    assert [0, 2] == finished


def test_counter_tells_shards_that_were_finished_before_from_those_that_were_scored_again(tmp_path: Path) -> None:
    mark(tmp_path, 0, 1)
    count = ShardCounter(str(tmp_path), [10, 7, 5])
    assert (17, 17) == (count(), count.untouched)
    (tmp_path / "shards/00001.json").write_text("repaired")
    mark(tmp_path, 2)
    assert (22, 10) == (count(), count.untouched)


def test_polls_take_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    now = iter([0.0, 2.0, 20.0, 20.01])  # a count of two seconds, and one of a hundredth
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0)
            return len(pauses) == 3

    assert [7, 7] == list(progress._polls(lambda: 7, 0.5, Stop()))
    assert [0.5, 18.0, 0.5] == pauses


def test_followed_passes_on_how_far_the_job_is_until_the_body_ends(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOCAL_POLL_SECONDS", 0.001)
    events: list[Event] = []
    came = threading.Event()

    def on_event(event: Event) -> None:
        events.append(event)
        if event.fields["done"] == 5:
            came.set()

    with followed(ShardCounter(str(tmp_path), [5, 3]), plan, str(tmp_path), on_event):
        mark(tmp_path, 0)
        assert came.wait(600)
    ended = len(events)
    assert {"progress"} == {event.name for event in events}
    last: dict[str, Any] = dict(events[-1].fields)
    assert ["done", "total", "estimated", "reviews_per_s", "left_s"] == list(last) and last["reviews_per_s"] > 0
    assert events[-1].message.startswith(f"5 of {plan.reviews} reviews, ") and events[-1].message.endswith(" s left")
    assert ended == len(events) and not [t for t in threading.enumerate() if "follow" in t.name]


def test_followed_ends_when_the_body_raises(plan: Plan, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="body"),
        followed(ShardCounter(str(tmp_path), [1]), plan, str(tmp_path), lambda event: None),
    ):
        raise ValueError("body")
    assert not [thread for thread in threading.enumerate() if "follow" in thread.name]
