"""Patience with a store: what is tried again, how often, and what is said when it is no use.

The makers' libraries try nothing again here. All that one call does, the upload of a whole file too, is done anew from
its beginning, so that it depends on nothing that was left by the try before.
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

Beat = Callable[[], None]  # is called whenever there is progress
Result = TypeVar("Result")

WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # before each further try, half of it or more by chance: a minute in all
CONNECT_S, ANSWER_S = 10.0, 30.0  # for a connection, and for each piece of an answer; below `--worker-timeout`
_TRANSIENT = (408, 429, 500, 502, 503, 504)
_STEP_S = 0.5
_MESSAGE_CHARACTERS = 300

_log = logging.getLogger(__name__)
_beat: ContextVar[Beat | None] = ContextVar("beat", default=None)


@dataclass(frozen=True)
class Trouble:
    """What went wrong with a store.

    Args:
        status: of HTTP; None where there was no answer, or not all of it.
        message: what the store or the library says.
        fix: what to do, where that is known.
    """

    status: int | None
    message: str
    fix: str | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status is None or self.status in _TRANSIENT


Explain = Callable[[Exception], Trouble | None]  # what an exception means; None for one that the store has no part in


@contextmanager
def beating(beat: Beat) -> Iterator[None]:
    """Makes the wait for a store a `beat` now and then while the body runs: who waits is not stuck."""
    token = _beat.set(beat)
    try:
        yield
    finally:
        _beat.reset(token)


def tried(call: Callable[[], Result], where: str, explain: Explain, beat: Beat | None = None) -> Result:
    """What `call` returns, at once or at a later try.

    Args:
        where: the object or bucket.
        beat: called at each step of a wait; if None, that of `beating`.

    Raises:
        FileNotFoundError: there is no such object, none of that version, or no such bucket.
        StoreError: the store refuses.
        UnavailableError: it did not answer, or said that it cannot now, at every try.
    """
    beat = beat or _beat.get()
    waits = iter(WAITS_S)
    while True:
        try:
            return call()
        except Exception as error:
            trouble = explain(error)
            if trouble is None:
                raise
            if trouble.status in (404, 412):  # not there, or not any more: another has its name
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), where) from error
            if not trouble.may_pass:
                raise _refusal(where, trouble) from error
            wait_s = next(waits, None)
            if wait_s is None:
                raise UnavailableError(
                    "the object store does not answer as it should",
                    where=where,
                    got=f"{_said(trouble)}; tried {len(WAITS_S) + 1} times",
                    fix="see that the store can be reached",
                ) from error
        wait_s *= random.uniform(0.5, 1.0)
        _log.warning("%s: %s; tried again in %.1f s", where, _said(trouble), wait_s)
        _wait(wait_s, beat)


def _wait(seconds: float, beat: Beat | None) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if beat:
            beat()
        time.sleep(min(left, _STEP_S))
    if beat:
        beat()


def _refusal(where: str, trouble: Trouble) -> StoreError:
    denied = trouble.status in (401, 403)
    rights = "give credentials that may list and read there (and write and delete, for an --output)"
    return StoreError(
        "the object store refuses access" if denied else "the object store refuses",
        where=where,
        got=_said(trouble),
        fix=trouble.fix or (rights if denied else "check the name and the options of the store after --"),
    )


def _said(trouble: Trouble) -> str:
    message = " ".join(trouble.message.split())[:_MESSAGE_CHARACTERS]
    return f"{trouble.status}: {message}" if trouble.status else message
