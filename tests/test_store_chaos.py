"""Faults of a store, one of each kind that passes, on a few files; and that the judges of whole jobs do see harm.

`python -m tests.chaos --store` has them strike whole jobs at random requests.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_scorer import storage
from batch_scorer.errors import OutputError, StoreError
from batch_scorer.runs.claim import claimed
from batch_scorer.storage.stores import client, retry
from tests.chaos import proxy, store_trials
from tests.chaos.jobs import Ended
from tests.chaos.proxy import Blow
from tests.chaos.store_faults import FAULTS
from tests.chaos.store_trials import BUCKET, Place
from tests.stubs.both import add_bucket, both

PASSING = [
    "answer to a write lost",
    "error after a write took effect",
    "burst of 503",
    "burst of 429",
    "cut while sending",
    "cut while receiving",
    "listing lags",
]
# The other kinds are the business of `python -m tests.chaos --store`: a cheaper test holds what they are about.
_LATE = "storage/test_objects.py::test_answer_that_comes_too_late_is_requested_again"
_GONE = "storage/test_stores.py::test_store_that_stops_accepting_a_part_ends_the_job_and_resuming_gives_the_same_bytes"
_SECOND = "storage/test_stores.py::test_second_job_is_refused_and_the_claim_of_a_killed_one_is_taken_over"
ELSEWHERE = {
    "stall": _LATE,
    "stall after a write took effect": _LATE,
    "clock an hour off": "runs/test_claim.py::test_clock_of_this_machine_does_not_matter",
    "clock an hour off, and the store minds": "test_store_chaos.py::test_refusal_that_a_setting_would_end_names_it",
    "credentials expire": "test_store_chaos.py::test_refusal_that_a_setting_would_end_names_it",
    "store gone": _GONE,
    "driver killed": _SECOND,
    "two drivers at once": _SECOND,
}


@pytest.fixture(scope="module")
def stores() -> Iterator[dict[str, Place]]:
    """Both stores, each behind a proxy that the environment points to."""
    with (
        both() as servers,
        proxy.before(servers["gs"].url) as google,
        proxy.before(servers["s3"].url) as amazon,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("STORAGE_EMULATOR_HOST", google.url)
        patch.setenv("AWS_ENDPOINT_URL_S3", amazon.url)
        client._client.cache_clear()
        for server in servers.values():
            add_bucket(server, BUCKET)
        yield {"gs": Place("gs", servers["gs"], google), "s3": Place("s3", servers["s3"], amazon)}


@pytest.fixture(params=["gs", "s3"])
def store(request: pytest.FixtureRequest, stores: dict[str, Place], monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(retry, "WAITS_S", (0.0,) * 6)
    place = stores[request.param]
    place.proxy.rest()
    yield place
    place.proxy.rest()


@pytest.mark.parametrize("kind", PASSING)
def test_fault_that_passes_changes_no_byte_and_no_claim(kind: str, store: Place, tmp_path: Path) -> None:
    data, folder, local = random.Random(kind).randbytes(300_000), store.path(kind.replace(" ", "-")), tmp_path / "part"
    assert [] == storage.match(f"{folder}/")
    store.proxy.blow = FAULTS[kind].arm(store.scheme, 1, random.Random(3))
    local.write_bytes(data)
    with claimed(folder):
        storage.publish_file(str(local), f"{folder}/part")
        storage.publish_bytes(b"marker", f"{folder}/marker")
        with pytest.raises(OutputError, match="another job is writing"), claimed(folder):
            pass
    assert (data, b"marker") == (storage.read_bytes(f"{folder}/part"), storage.read_bytes(f"{folder}/marker"))
    listed = [file.path for file in storage.match(f"{folder}/")]
    assert 0 < store.proxy.struck
    store.proxy.rest()
    assert {f"{folder}/marker", f"{folder}/part"} == {file.path for file in storage.match(f"{folder}/")}
    assert ([] if kind == "listing lags" else [f"{folder}/marker", f"{folder}/part"]) == listed


@pytest.mark.parametrize(
    ("blow", "fix"),
    [
        (Blow(status=400, code="ExpiredToken"), "renew the credentials"),
        (Blow(status=403, code="RequestTimeTooSkewed"), "set the clock of this machine"),
    ],
)
def test_refusal_that_a_setting_would_end_names_it(blow: Blow, fix: str, stores: dict[str, Place]) -> None:
    place = stores["s3"]
    place.proxy.rest()
    place.proxy.blow = lambda asked: blow
    with pytest.raises(StoreError, match="the object store denied access") as refused:
        storage.publish_bytes(b"x", place.path("x"))
    assert fix in (refused.value.fix or "")
    assert 1 == place.proxy.count


def test_refusal_without_a_body_names_credentials_too(stores: dict[str, Place]) -> None:
    place = stores["s3"]
    place.proxy.rest()
    place.proxy.blow = lambda asked: Blow(status=400, code="ExpiredToken")
    with pytest.raises(StoreError, match="the object store refused the request") as refused:
        storage.look_at(place.path("x"))
    assert "renew the credentials if they have expired" in (refused.value.fix or "")


def test_every_kind_of_fault_is_tried_here_or_held_by_another_test() -> None:
    assert FAULTS.keys() == {*PASSING, *ELSEWHERE}
    for test in ELSEWHERE.values():
        file, name = test.split("::")
        assert f"def {name}" in (Path(__file__).parent / file).read_text(encoding="utf-8"), test


@pytest.mark.parametrize(
    ("code", "said", "claim", "told"),
    [
        (0, "", False, []),
        (0, "", True, ["the claim was left"]),
        (1, "error: it failed\n  where:  x\n", False, ["exit code 1, expected one of [0]"]),
        (1, "Traceback", False, ["exit code 1, expected one of [0], and no message"]),
    ],
)
def test_bad_end_of_a_job_on_a_store_is_seen(
    code: int, said: str, claim: bool, told: list[str], tmp_path: Path
) -> None:
    fetched = tmp_path / "found"
    if claim:
        fetched.mkdir()
        (fetched / store_trials.CLAIM).touch()
    ended = Ended(code=code, said=said, at=1.0, left=(), in_tmp=())
    assert told == list(store_trials._complaints(ended, FAULTS["burst of 503"], fetched, 0.0, 60.0))
