"""Standard streams that are closed, full or no longer read, and a process that dies without a word."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from batch_scorer.errors import JobError

NOW = "{now}"  # in a message: the time at which it is printed, as logs have it
_SPEAKER = f"""
import datetime, sys
if not sys.stdin.buffer.read():
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    sys.stderr.write(sys.argv[1].replace({NOW!r}, now))
"""


def prepare() -> None:
    """Opens the standard streams that are closed, as a daemon's are; errors may then be lost, but do no harm.

    Standard output raises what says that it cannot be written, once. Streams that somebody has replaced stay.
    """
    if not os.environ.get("COLUMNS", "1").strip("0"):
        del os.environ["COLUMNS"]  # at no width, nothing would be printed
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file to be opened would get the number, and what is printed. It is the lowest one free.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for name in ("stdout", "stderr"):
        ours = getattr(sys, name)
        if ours is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif ours is getattr(sys, f"__{name}__") and isinstance(ours, io.TextIOWrapper):
            setattr(sys, name, _over(_Output(ours.fileno(), forgiving=name == "stderr"), ours))


def forgive_output() -> None:
    """From now on, what cannot be written to standard output is dropped: it is not the result of the command."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output):
        raw.forgiving = True


def _over(raw: _Output, ours: io.TextIOWrapper) -> io.TextIOWrapper:
    ours.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), ours.encoding, ours.errors, line_buffering=ours.line_buffering or raw.forgiving
    )


class _Output(io.RawIOBase):
    """An open file.

    Args:
        number: its descriptor.
        forgiving: whether to drop what cannot be written. After the first error it is: there is no use in another.
    """

    def __init__(self, number: int, forgiving: bool) -> None:
        self._number, self.forgiving = number, forgiving

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return os.write(self._number, data)  # type: ignore[arg-type]
        except OSError as error:
            if self.forgiving:
                return size
            self.forgiving = True
            if error.errno == errno.EPIPE:
                raise  # nobody reads on, which is no news for anybody
            raise JobError(
                "standard output cannot be written", got=str(error), fix="free disk space, or print to another file"
            ) from error


@contextmanager
def spoken_for(message: str) -> Iterator[None]:
    """Has another process print `message` on standard error if this one dies in the body and cannot speak for itself.

    Native code may crash, and the system kills whoever takes too much memory.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # too little memory for that: the job will have more to say
            # In a group of its own, since Ctrl-C reaches all of a group; and with no stream whose end others wait for.
            speaker = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _SPEAKER, message],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                process_group=0,
            )
            stack.callback(_dismiss, speaker)
        yield


def _dismiss(speaker: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        speaker.communicate(b"alive", timeout=10)
