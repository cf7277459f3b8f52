"""The faults of a store: what each does to the requests of a job, and how the job may end because of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.chaos.proxy import Asked, Blow

HURRIED_ANSWER_S = 3.0  # how long the jobs of the trials wait for an answer; `inside` sees to that
_STALL_S = HURRIED_ANSWER_S + 2.0
Blower = Callable[[Asked], Blow | None]
Arm = Callable[[str, int, random.Random], Blower]
DONE: Mapping[int, str] = {0: ""}


@dataclass(frozen=True)
class StoreFault:
    """One kind of fault.

    Args:
        arm: from the scheme and the number of the request at which it begins, to what happens to each request.
        ends: exit codes with which the job may end, and what it must say then.
        lasts: whether it goes on until it is repaired, when the job has ended.
        environment: of the job.
        kills, doubles: whether every process of the job is killed at that request; whether a second job starts with it.
        checks_clock: whether S3 looks at the date of a signature.
        schemes: the stores that know it.
    """

    name: str
    arm: Arm
    ends: Mapping[int, str] = field(default_factory=lambda: DONE)
    environment: Mapping[str, str] = field(default_factory=dict)
    kills: bool = False
    doubles: bool = False
    checks_clock: bool = False
    schemes: tuple[str, ...] = ("s3", "gs")


def _some(which: Callable[[Asked], bool], blow: Blow, most: int) -> Arm:
    """Strikes the first few requests of a kind, from one on."""

    def arm(scheme: str, first: int, rng: random.Random) -> Blower:
        left = [rng.randint(1, most)]

        def strike(asked: Asked) -> Blow | None:
            if asked.number < first or not left[0] or not which(asked):
                return None
            left[0] -= 1
            return blow

        return strike

    return arm


def _from_then_on(by_scheme: Mapping[str, Blow]) -> Arm:
    def arm(scheme: str, first: int, rng: random.Random) -> Blower:
        return lambda asked: by_scheme[scheme] if asked.number >= first else None

    return arm


def _any(asked: Asked) -> bool:
    return True


def _is_write(asked: Asked) -> bool:
    return asked.is_write


def _is_read(asked: Asked) -> bool:
    return asked.method == "GET"


def _nothing(scheme: str, first: int, rng: random.Random) -> Blower:
    return lambda asked: None


def _lag(scheme: str, first: int, rng: random.Random) -> Blower:
    return lambda asked: Blow(stale=True) if asked.is_listing else None


def _mark(scheme: str, first: int, rng: random.Random) -> Blower:
    """Lets the request through, and counts as a strike: the trial sees to the rest."""
    return lambda asked: Blow(after=True) if asked.number == first else None


_EXPIRED = {"s3": Blow(status=400, code="ExpiredToken"), "gs": Blow(status=401, code="authError")}
_GONE = {"s3": Blow(status=503, code="SlowDown"), "gs": Blow(status=503, code="backendError")}
_CLOCK = {"CHAOS_CLOCK_OFF_S": "-3600"}

FAULTS = {
    fault.name: fault
    for fault in (
        StoreFault("answer to a write lost", _some(_is_write, Blow(after=True, cut=True), 3)),
        StoreFault("error after a write took effect", _some(_is_write, Blow(after=True, status=500), 3)),
        StoreFault("burst of 503", _some(_any, Blow(status=503, code="SlowDown"), 5)),
        StoreFault("burst of 429", _some(_any, Blow(status=429, code="TooManyRequests"), 5)),
        StoreFault("stall", _some(_any, Blow(stall_s=_STALL_S), 2)),
        StoreFault("stall after a write took effect", _some(_is_write, Blow(after=True, stall_s=_STALL_S), 2)),
        StoreFault("cut while sending", _some(_is_write, Blow(cut=True), 3)),
        StoreFault("cut while receiving", _some(_is_read, Blow(cut_answer=True), 3)),
        StoreFault("listing lags", _lag),
        StoreFault("clock an hour off", _nothing, environment=_CLOCK),
        StoreFault(
            "clock an hour off, and the store minds",
            _nothing,
            {2: "clock"},
            environment=_CLOCK,
            checks_clock=True,
            schemes=("s3",),
        ),
        StoreFault("credentials expire", _from_then_on(_EXPIRED), {1: "(?i)credentials", 2: "(?i)credentials", 0: ""}),
        StoreFault("store gone", _from_then_on(_GONE), {1: "the object store is unavailable", 0: ""}),
        StoreFault("driver killed", _mark, {-9: ""}, kills=True),
        StoreFault("two drivers at once", _nothing, doubles=True),
    )
}
