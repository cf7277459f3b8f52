"""Renewal: keeps a claim on an output in a store alive while a job runs, and withdraws it at the end."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from batch_scorer.errors import ScorerError
from batch_scorer.storage import conditional

RENEW_S = 15.0
_END_S = 5.0  # for a renewal that is under way when the job ends
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """A claim as we wrote it.

    Args:
        token: by which we know our own.
        version: of its object.
        since: when it was first written, by the store's clock, in seconds since the epoch; None if that is not known.
    """

    token: str
    version: str
    since: float | None


def document(token: str, number: int = 0, since: float | None = None) -> bytes:
    """What a claim says: who it is and, in each renewal, since when; never twice the same.

    The version of an object in S3 may be a hash of its bytes.
    """
    who = {"token": token, "host": socket.gethostname(), "process": os.getpid()}
    return (json.dumps({**who, "since": since and moment(since), "renewals": number}) + "\n").encode()


def moment(seconds: float) -> str:
    """A time of the epoch for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Renewal:
    """A thread that renews a claim; as a context manager, it deletes the claim in the end.

    If the claim is gone or another job's, it is `lost`, and a job in the main thread is interrupted as by Ctrl-C.

    Args:
        path: of the claim.
        claim: as it was written.
    """

    def __init__(self, path: str, claim: Claim) -> None:
        self._path, self._claim, self._version = path, claim, claim.version
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_the_end, daemon=True)
        self.lost = False

    def __enter__(self) -> Renewal:
        self._interrupts = threading.current_thread() is threading.main_thread()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(_END_S)
        if self.lost:
            return
        try:
            if self._is_ours():
                conditional.delete(self._path, self._version)
        except (OSError, ScorerError) as failure:  # it will lapse
            _log.warning("%s was not deleted: %s", self._path, failure)

    def _renew_until_the_end(self) -> None:
        number = 0
        while not self._ended.wait(RENEW_S):
            number += 1
            try:
                renewed = document(self._claim.token, number, self._claim.since)
                written = conditional.write(self._path, renewed, self._version)
                if written.version:
                    self._version = written.version
                elif not self._is_ours():
                    self._lose()
                    return
            except Exception as failure:  # whatever it is: the job itself is not harmed
                _log.warning("%s was not renewed: %s", self._path, failure)

    def _is_ours(self) -> bool:
        """Whether the claim is ours; if so, we then know its version: an answer to an attempt may have been lost."""
        found = conditional.read(self._path)
        try:
            ours = found is not None and json.loads(found.data)["token"] == self._claim.token
        except (ValueError, LookupError, TypeError):
            ours = False
        if found and ours:
            self._version = found.version
        return ours

    def _lose(self) -> None:
        if self._ended.is_set():
            return
        self.lost = True
        _log.error("%s is no longer this job's", self._path)
        # What runs in the background ignores Ctrl-C, but the command line listens to SIGTERM then. A real signal, since
        # the main thread may be waiting for something.
        for number in (signal.SIGINT, signal.SIGTERM):
            main = threading.main_thread().ident
            if self._interrupts and callable(signal.getsignal(number)) and main is not None:
                signal.pthread_kill(main, number)
                return
