"""The claim on an output in a store: who gets it, who is refused, and when it no longer counts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batch_scorer import storage
from batch_scorer.errors import JobError, OutputError, RefusedError
from batch_scorer.runs import claim, earlier, renewal
from batch_scorer.runs.claim import claimed
from batch_scorer.storage import conditional
from batch_scorer.storage.stores import retry
from tests.processes import GUARD_S, wait_until
from tests.stubs import gcs, s3
from tests.stubs.both import add_bucket, both
from tests.stubs.gcs import Fault, Request

RIVALS, RACES = 4, 2
in_one_store = pytest.mark.parametrize("output", ["gs"], indirect=True)  # a rule of ours, the same in both
LOST = (Fault(503, after=True), Fault(cut_after=0, after=True))  # the request takes effect, its answer does not come


@dataclass(frozen=True)
class Output:
    """An output directory in a store on this machine."""

    store: gcs.Store | s3.Store
    bucket: str
    path: str

    @property
    def claim(self) -> str:
        return f"{self.path}/.claim.json"

    def told(self) -> dict[str, Any]:
        """What the claim says."""
        found = conditional.read(self.claim)
        assert found
        told: dict[str, Any] = json.loads(found.data)
        return told

    def names(self) -> list[str]:
        return self.store.names(self.bucket)

    def leave_claim(self, folder: str = "") -> None:
        """As somebody else left it who was killed."""
        written = conditional.write(f"{self.path}{folder}/.claim.json", renewal.document("theirs"), None)
        assert written.version

    def lose_answers(self, *faults: Fault) -> None:
        """The next answers to writes of the claim are lost."""
        left = iter(faults)

        def lose(request: Request) -> Fault | None:
            return next(left, None) if request.method in ("PUT", "POST") and "claim" in request.target else None

        self.store.fault = lose


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, gcs.Store | s3.Store]]:
    with both() as stores:
        yield stores


numbers = count()


@pytest.fixture(params=["gs", "s3"])
def output(
    request: pytest.FixtureRequest, servers: dict[str, gcs.Store | s3.Store], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Output]:
    """An empty output in each store; failures are retried at once."""
    monkeypatch.setattr(retry, "WAITS_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(claim, "LOOK_S", 0.02)
    store, bucket = servers[request.param], f"claims{next(numbers)}"
    add_bucket(store, bucket)
    yield Output(store, bucket, f"{request.param}://{bucket}/out")
    store.fault, store.heeds_conditions = lambda request: None, True


def test_second_job_is_refused_until_the_first_ends_and_nothing_is_left(output: Output) -> None:
    with claimed(output.path), pytest.raises(OutputError) as refused, claimed(output.path):
        pass
    assert ("another job is writing to this output", output.path) == (refused.value.what, refused.value.where)
    assert "claimed by process" in (refused.value.got or "")
    assert [] == output.names()
    with claimed(output.path):
        assert ["out/.claim.json"] == output.names()
    assert [] == output.names()


@in_one_store
def test_claim_is_withdrawn_when_the_job_fails(output: Output) -> None:
    with pytest.raises(ZeroDivisionError), claimed(output.path):
        raise ZeroDivisionError
    assert [] == output.names()


def test_claim_whose_answer_was_lost_is_recognised_as_our_own(output: Output) -> None:
    output.lose_answers(*LOST)
    with claimed(output.path):
        assert ["out/.claim.json"] == output.names()
        with pytest.raises(OutputError), claimed(output.path):
            pass
    assert [] == output.names()


def test_answer_that_is_lost_at_a_takeover_does_no_harm(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    output.leave_claim()
    monkeypatch.setattr(claim, "LAPSE_S", -1.0)
    output.lose_answers(LOST[1], LOST[0], LOST[1])
    with claimed(output.path):
        assert "theirs" != output.told()["token"]
    assert [] == output.names()


def test_claim_is_renewed_while_the_job_runs_even_if_answers_are_lost(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "RENEW_S", 0.05)
    with claimed(output.path):
        wait_until(lambda: output.told()["renewals"] >= 2)
        output.lose_answers(*LOST)
        wait_until(lambda: output.told()["renewals"] >= 5)
        assert output.told()["since"].endswith("UTC")
    assert [] == output.names()


@in_one_store
def test_killed_jobs_claim_refuses_a_new_job_and_is_taken_over_by_a_patient_one(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.leave_claim()
    with pytest.raises(OutputError, match="another job is writing") as refused, claimed(output.path):
        pass
    assert "if it was killed, run the same command again in" in (refused.value.fix or "")
    said: list[str] = []

    def lapses(words: str, warns: bool) -> None:
        said.append(words)
        monkeypatch.setattr(claim, "LAPSE_S", -1.0)

    with claimed(output.path, patient=True, say=lapses):
        assert "theirs" != output.told()["token"]
    assert 1 == len(said) and "perhaps by a job that was killed" in said[0]
    assert [] == output.names()


@in_one_store
def test_where_a_store_tells_no_time_a_claim_lapses_by_not_changing(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.leave_claim()
    write = conditional.write
    monkeypatch.setattr(conditional, "write", lambda *given: write(*given)._replace(clock=None))
    monkeypatch.setattr(claim, "LAPSE_S", 0.1)
    with pytest.raises(OutputError, match="another job is writing"), claimed(output.path):
        pass
    said: list[str] = []
    with claimed(output.path, patient=True, say=lambda words, warns: said.append(words)):
        assert "theirs" != output.told()["token"]
    assert said


@in_one_store
def test_patient_job_is_refused_once_the_claim_is_renewed(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "RENEW_S", 0.05)
    with claimed(output.path), pytest.raises(OutputError, match="another job is writing"):
        monkeypatch.setattr(claim, "LAPSE_S", GUARD_S)
        with claimed(output.path, patient=True):
            pass


@in_one_store
def test_clock_of_this_machine_does_not_matter(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    output.leave_claim()
    for hours in (-1, 1):
        wrong = SimpleNamespace(time=lambda: time.time() + 3600 * hours, monotonic=time.monotonic, sleep=time.sleep)  # noqa: B023
        monkeypatch.setattr(claim, "time", wrong)
        with pytest.raises(OutputError, match="another job is writing"), claimed(output.path):
            pass


@pytest.mark.parametrize("happens", ["taken over", "deleted"])
def test_job_that_loses_its_claim_is_interrupted_and_leaves_that_of_the_other(
    happens: str, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "RENEW_S", 0.02)
    with pytest.raises(JobError, match="this job lost its claim on the output"), claimed(output.path):
        if happens == "deleted":
            storage.delete([output.claim])
        else:
            storage.publish_bytes(renewal.document("theirs"), output.claim)
        threading.Event().wait(GUARD_S)
    assert (["out/.claim.json"] if happens == "taken over" else []) == output.names()


def test_store_that_ignores_conditions_is_said_to_have_no_claims(output: Output) -> None:
    output.store.heeds_conditions = False
    said: list[tuple[str, bool]] = []
    with claimed(output.path, say=lambda words, warns: said.append((words, warns))), claimed(output.path):
        assert [] == output.names()
    ((words, warns),) = said
    assert warns and "is not claimed: the store has no conditional writes" in words


@pytest.mark.parametrize("output", ["s3"], indirect=True)  # Google's store has conditions
def test_store_that_refuses_conditions_is_said_to_have_no_claims(output: Output) -> None:
    output.store.fault = lambda request: Fault(501) if request.method == "PUT" else None
    said: list[str] = []
    with claimed(output.path, say=lambda words, warns: said.append(words)):
        pass
    assert 1 == len(said) and "no conditional writes" in said[0]


def test_of_jobs_that_start_at_once_exactly_one_gets_the_output(output: Output) -> None:
    for race in range(RACES):
        assert 1 == winners(f"{output.path}{race}", RIVALS)


def winners(path: str, rivals: int) -> int:
    """How many of so many threads claim an output that all of them want at the same moment."""
    start, end, won = threading.Barrier(rivals), threading.Barrier(rivals), list[int]()

    def run(number: int) -> None:
        with ExitStack() as held:
            start.wait(GUARD_S)
            try:
                held.enter_context(claimed(path))
                won.append(number)
            except OutputError:
                pass
            end.wait(GUARD_S)  # nobody lets go before all have tried

    threads = [threading.Thread(target=run, args=(number,)) for number in range(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(won)


@in_one_store
def test_unfinished_run_in_a_store_counts_as_running_while_it_is_claimed(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.publish_bytes(b"{}", f"{output.path}/nights/1/plan.json")
    find: Callable[[], list[object]] = lambda: [  # noqa: E731
        *earlier.runs_in(f"{output.path}/nights", f"{output.path}/nights/2", notices, alone=True)
    ]
    notices: list[str] = []
    with claimed(f"{output.path}/nights/1"), pytest.raises(RefusedError, match="still running"):
        find()
    assert [] == find()
    assert [f"{output.path}/nights/1 is not finished, so it does not count"] == notices
    output.leave_claim("/nights/1")
    monkeypatch.setattr(claim, "LAPSE_S", -1.0)
    assert [] == find()
    assert ["out/nights/1/.claim.json", "out/nights/1/plan.json"] == output.names()


def test_local_claim_leaves_no_file(tmp_path: Path) -> None:
    with claimed(str(tmp_path)), pytest.raises(OutputError, match="another job"), claimed(str(tmp_path)):
        pass
    assert [] == list(tmp_path.iterdir())
