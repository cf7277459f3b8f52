"""The claim on an output: one job at a time may write there, on a disk and in a store.

On a disk it is a lock, which disappears with its process. In a store it is an object that is written on the condition
that there is none, and renewed while the job runs; without a renewal for `LAPSE_S`, it no longer counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import JobError, OutputError, StoppedError, StoreError
from batch_scorer.runs import layout
from batch_scorer.runs.directory import unwritable
from batch_scorer.runs.renewal import Claim, Renewal, document, moment
from batch_scorer.storage import conditional
from batch_scorer.storage.conditional import Found

LAPSE_S = 120.0  # several renewals may fail before a claim lapses
LOOK_S = 5.0  # between two looks at a claim that may lapse
_TRIES = 20  # claims may come and go while we ask; a store that never lets us in is not as it should be
Say = Callable[[str, bool], None]  # a sentence for the user, and whether it is a warning
_log = logging.getLogger(__name__)


@contextmanager
def claimed(output: str, patient: bool = False, say: Say = lambda words, warns: None) -> Iterator[None]:
    """Keeps other jobs from an output until the body or the process ends, however that happens.

    Args:
        patient: whether to wait for the claim of a job that may have been killed: `LAPSE_S` at most, in a store only.
        say: takes what the user should know meanwhile.

    Raises:
        OutputError: another job has claimed it, or it cannot be created.
        JobError: the claim was lost: another job took it over, since this one could not renew it, or it was deleted.
    """
    if not storage.is_remote(output):
        with _locked(output):
            yield
        return
    token = secrets.token_hex(16)
    try:
        claim = _acquire(output, token, patient, say)
        _try_conditions(output)
    except NotImplementedError as error:
        said = f"{output} is not claimed: the store has no conditional writes, so a second job there would go unnoticed"
        _log.warning("%s (%s)", said, error)
        say(said, True)
        yield
        return
    renewal = Renewal(layout.claim_path(output), claim)
    try:
        with renewal:
            yield
    except (KeyboardInterrupt, StoppedError):
        if renewal.lost:
            raise _lost(output) from None
        raise
    if renewal.lost:
        raise _lost(output)


def is_claimed(output: str) -> bool:
    """Whether a job holds an output now. Writes nothing, and takes over nothing.

    A claim whose age the store does not tell counts.
    """
    if not storage.is_remote(output):
        try:
            with _locked(output):
                return False
        except OutputError:
            return True
    path = layout.claim_path(output)
    found = conditional.read(path)
    if found is None:
        return False
    try:  # only the answer to a write, which is to be refused, says what time it is in the store
        asked = conditional.write(path, document(""), None)
    except NotImplementedError:
        return False
    except StoreError:  # it may not be written by us
        return True
    if asked.version:  # deleted meanwhile
        conditional.delete(path, asked.version)
        return False
    return asked.clock is None or asked.clock - found.modified <= LAPSE_S


@contextmanager
def _locked(output: str) -> Iterator[None]:
    try:
        os.makedirs(output, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY)
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        # The directory itself is locked, so that no lock file is left over. Some network file systems have no locks.
        with contextlib.suppress(OSError):
            _lock(descriptor, output)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, output: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(output) from None


def _held(output: str, by: str | None = None, lapses_s: float | None = None) -> OutputError:
    fix = "wait for it to finish, or choose another --output"
    if lapses_s is not None:
        fix += f"; if it was killed, run the same command again in {lapses_s:.0f} s"
    return OutputError("another job is writing to this output", where=output, got=by, fix=fix)


def _lost(output: str) -> JobError:
    return JobError(
        "this job lost its claim on the output",
        where=layout.claim_path(output),
        expected=f"a claim that this job renews at least every {LAPSE_S:g} s",
        got="none, or another job's: this one stood still, could not reach the store, or the claim was deleted",
        fix="if no other job writes there, run the same command with --resume",
    )


def _told(found: Found) -> dict[str, Any]:
    """What a claim says; nothing if it is damaged."""
    with contextlib.suppress(ValueError):
        said = json.loads(found.data)
        return said if isinstance(said, dict) else {}
    return {}


def _acquire(output: str, token: str, patient: bool, say: Say) -> Claim:
    """Claims an output in a store.

    A claim has lapsed if its date is older than `LAPSE_S` by the store's own clock, or if it has not changed while we
    waited as long. No clock of this machine is compared with the store's.
    """
    path, mine = layout.claim_path(output), document(token)
    first: Found | None = None
    since, gone = time.monotonic(), 0
    while gone < _TRIES:
        written = conditional.write(path, mine, None)
        if written.version:
            return Claim(token, written.version, written.clock)
        found = None
        with contextlib.suppress(OSError):  # it changes whenever we look
            found = conditional.read(path)
        if found is None:
            gone += 1
            continue
        if _told(found).get("token") == token:
            return Claim(token, found.version, found.modified)  # the answer to an earlier attempt of ours was lost
        if first is None:
            first, since = found, time.monotonic()
        age_s = 0.0 if written.clock is None else written.clock - found.modified
        left_s = LAPSE_S - max(age_s, time.monotonic() - since if found.version == first.version else 0.0)
        if left_s <= 0:
            taken = conditional.write(path, mine, found.version)
            if taken.version:
                _log.warning("took over the claim of a job that no longer renews it: %s", _named(found))
                return Claim(token, taken.version, taken.clock)
            gone += 1
        elif not patient or found.version != first.version:
            raise _held(output, _named(found), None if patient else left_s)
        else:
            say(f"waiting for {left_s:.0f} s at most: {_named(found)}, perhaps by a job that was killed", False)
            time.sleep(min(left_s + 1, LOOK_S))
    raise _held(output, "claims that come and go")


def _named(found: Found) -> str:
    told, renewed = _told(found), moment(found.modified)
    if "token" not in told:
        return f"claimed by an unknown program, {renewed}"
    since = told.get("since") or renewed
    return f"claimed by process {told.get('process')} on {told.get('host')}, since {since}, last renewed {renewed}"


def _try_conditions(output: str) -> None:
    """Raises NotImplementedError if the store replaces what it is told to leave alone: then a claim is none."""
    path = layout.claim_path(output)
    if conditional.write(path, document(""), None).version:
        storage.delete([path])
        raise NotImplementedError("it ignores conditions")
