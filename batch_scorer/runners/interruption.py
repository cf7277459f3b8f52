"""Ctrl-C, SIGTERM and SIGHUP end a job alike, and none of them gets lost."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from batch_scorer.config import ScoreConfig
from batch_scorer.errors import StoppedError


class Interruption:
    """Lets SIGTERM and SIGHUP end the body as Ctrl-C does, and remembers all: an import may swallow one.

    A process of its own (the command line, or the child process of `score_job`) uses it: signal handlers belong to the
    whole process.
    """

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> Interruption:
        numbers = [signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # `nohup` ignores it
            numbers.append(signal.SIGHUP)
        if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # a background job ignores it
            numbers.append(signal.SIGINT)
        self._before = {number: signal.signal(number, self._stop) for number in numbers}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        first, self._asked = not self._asked, True
        handler = signal.getsignal(signal.SIGINT)  # perhaps Beam's by now, which stops the job server that it started
        if first and callable(handler) and handler != self._stop:
            handler(number, frame)
        raise KeyboardInterrupt  # unless that did

    def heed(self) -> None:
        """Ends the body if somebody asked for that and an import swallowed it."""
        if self._asked:
            raise KeyboardInterrupt


def stopped(config: ScoreConfig, continues: str | None) -> StoppedError:
    """What to tell the user who stopped a job.

    Args:
        continues: what goes on elsewhere all the same, if anything does.
    """
    fix = f"to continue, {config.how_to_resume()}"
    return StoppedError("interrupted", where=config.output.directory, got=continues, fix=fix)
