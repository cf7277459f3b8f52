"""Retries: which failures of a store are worth another attempt, how long to wait, and what to say in the end.

The vendors' own retries are switched off. Each attempt repeats the whole call, the upload of a file included, so that
nothing depends on what an earlier attempt left behind.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from batch_scorer.errors import StoreError, UnavailableError

Beat = Callable[[], None]  # called whenever there is progress
Result = TypeVar("Result")

# Before each further attempt, shortened at random to as little as half: up to a minute in all.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
CONNECT_S, ANSWER_S = 10.0, 30.0  # to connect, and for each piece of an answer; below `--worker-timeout`
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_STEP_S = 0.5
_MESSAGE_CHARACTERS = 300

_log = logging.getLogger(__name__)
_beat: ContextVar[Beat | None] = ContextVar("beat", default=None)


@dataclass(frozen=True)
class Failure:
    """What went wrong in a store.

    Args:
        status: of HTTP; None if the answer was missing or incomplete.
        message: from the store or the library.
        fix: what to do about it, if known.
    """

    status: int | None
    message: str
    fix: str | None = None

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status is None or self.status in _TRANSIENT


Explain = Callable[[Exception], Failure | None]  # what an exception means; None if the store did not cause it


@contextmanager
def beating(beat: Beat) -> Iterator[None]:
    """Calls `beat` now and then while the body waits for a store: waiting is not the same as being stuck."""
    token = _beat.set(beat)
    try:
        yield
    finally:
        _beat.reset(token)


def with_retries(call: Callable[[], Result], where: str, explain: Explain, beat: Beat | None = None) -> Result:
    """What `call` returns, at the first attempt or a later one.

    Args:
        where: the object or bucket, for messages.
        beat: called at each step of a wait; if None, the one given to `beating`.

    Raises:
        FileNotFoundError: the object, this version of it, or the bucket does not exist.
        StoreError: the store refused.
        UnavailableError: every attempt failed in a way that might pass.
    """
    beat = beat or _beat.get()
    waits = iter(WAITS_S)
    while True:
        try:
            return call()
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
            if failure.status in (404, 412):  # not there, or no longer: another object has its name
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where) from error
            if not failure.is_transient:
                raise _refusal(where, failure) from error
            wait_s = next(waits, None)
            if wait_s is None:
                raise UnavailableError(
                    "the object store is unavailable",
                    where=where,
                    got=f"{_describe(failure)}; gave up after {len(WAITS_S) + 1} attempts",
                    fix="check that this machine can reach the store",
                ) from error
        wait_s *= random.uniform(0.5, 1.0)
        _log.warning("%s: %s; trying again in %.1f s", where, _describe(failure), wait_s)
        _wait(wait_s, beat)


def _wait(seconds: float, beat: Beat | None) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if beat:
            beat()
        time.sleep(min(left, _STEP_S))
    if beat:
        beat()


def _refusal(where: str, failure: Failure) -> StoreError:
    denied = failure.status in (401, 403)
    rights = "use credentials that may list and read there (and write and delete, for an --output)"
    return StoreError(
        "the object store denied access" if denied else "the object store refused the request",
        where=where,
        got=_describe(failure),
        fix=failure.fix or (rights if denied else "check the name and the store options after --"),
    )


def _describe(failure: Failure) -> str:
    message = " ".join(failure.message.split())[:_MESSAGE_CHARACTERS]
    return f"{failure.status}: {message}" if failure.status else message
