"""A driver's private directory, locked while it lives: what a killed one has left behind is deleted by the next."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile

_PREFIX = "batch-scorer-workers-"  # in the system's place for temporary files, where others have theirs too
_TRIES = 5


class PrivateFolder:
    """A directory that only this user can enter.

    Args:
        base: where to make it; None for the system's place for temporary files, where those of drivers that no longer
            live are deleted first. (In an output, a job that resumes deletes them all.)
    """

    def __init__(self, base: str | None) -> None:
        if base is None:
            _clear_leftovers()
        else:
            os.makedirs(base, mode=0o700, exist_ok=True)
        for _ in range(_TRIES):
            self.path = tempfile.mkdtemp(prefix="workers-" if base else _PREFIX, dir=base)
            self._lock = _locked(self.path)
            if os.path.isdir(self.path):
                return  # else another driver took it for a leftover, before it was locked

    def delete(self) -> None:
        """Deletes it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(path: str) -> int | None:
    """Locks a directory for as long as this process lives.

    Returns:
        What to close in order to release it; None if somebody else has locked it, or it is theirs, or there are no
        locks on its file system.
    """
    with contextlib.ExitStack() as opened, contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        opened.callback(os.close, descriptor)
        if os.fstat(descriptor).st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened.pop_all()
            return descriptor
    return None


def _clear_leftovers() -> None:
    place = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            path = os.path.join(place, name)
            lock = _locked(path) if name.startswith(_PREFIX) else None
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
