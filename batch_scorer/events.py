"""What a job tells of itself, line by line: on standard error and in the log file, as text or as JSON.

No review is among it. What a person reads on standard output is the business of `terminal`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from batch_scorer.config import JSON, QUIET, USUAL, VERBOSE, MessageConfig
from batch_scorer.errors import OptionError, ScorerError
from batch_scorer.escape import as_json, safe
from batch_scorer.silence import quieten

DETAIL, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
_log = logging.getLogger(__name__)


def tell(event: str, message: str, level: int = INFO, /, **fields: object) -> None:
    """Tells of an event; unless a `told` is in force, nobody hears it.

    Args:
        event: what kind it is, one word for programs.
        message: the same for people; whatever it quotes ends no line of a log and begins none.
        level: a `DETAIL` is for --verbose alone.
        fields: what else a program may want to know, as JSON has it.
    """
    _log.log(level, "%s", safe(message), extra={"event": event, "said": message, "fields": fields})


@contextmanager
def told(config: MessageConfig) -> Iterator[None]:
    """Has the events of the body heard, as the config asks; its log file gets all else that is logged, too.

    Raises:
        OptionError: the log file cannot be written.
    """
    with ExitStack() as stack:
        if config.log_file is not None:
            stack.enter_context(_logged(config.log_file, config.log_format))
        if config.log_format == JSON or config.verbosity != USUAL:
            stack.enter_context(_screen(config))
        level = _log.level
        _log.setLevel(DETAIL if config.log_file is not None or _log.handlers else logging.NOTSET)
        stack.callback(_log.setLevel, level)
        yield


@contextmanager
def _screen(config: MessageConfig) -> Iterator[None]:
    """Standard error, whatever others do to it meanwhile."""
    with _own_standard_error() as stream:
        handler = _Screen(stream)
        if config.log_format == JSON:
            handler.setFormatter(_AsJson())
            handler.setLevel({QUIET: WARNING, USUAL: INFO, VERBOSE: DETAIL}[config.verbosity])
        elif config.verbosity == QUIET:
            handler.setFormatter(_Plain("%(level)s: %(message)s"))
            handler.setLevel(WARNING)
        else:
            handler.setFormatter(_Plain("%(asctime)s  %(message)s", "%H:%M:%S"))
            handler.addFilter(lambda record: record.levelno == DETAIL)  # the rest stands on standard output
        _log.addHandler(handler)
        try:
            yield
        finally:
            _log.removeHandler(handler)


class _Screen(logging.StreamHandler[TextIO]):
    """A handler that says nothing where nobody listens any more."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Leaves it at that: the job goes on."""


@contextmanager
def _own_standard_error() -> Iterator[TextIO]:
    ours = sys.stderr
    try:
        shown = os.dup(2) if ours.fileno() == 2 else None
    except OSError:
        shown = None
    if shown is None:
        yield ours
        return
    with open(shown, "w", 1, ours.encoding, "backslashreplace") as stream:
        yield stream


@contextmanager
def _logged(path: str, log_format: str) -> Iterator[None]:
    """Writes all that is logged while the body runs, Beam's workers included, to the file `path`."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OptionError("the log cannot be written", where=f"--log-file {path}", got=str(error)) from error
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_AsJson() if log_format == JSON else text)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    except ScorerError as error:
        # On the screen it appears once the job has been cleared away, from `cli_frame`.
        logging.getLogger("batch_scorer").error("%s", error, extra={"event": "error"})
        raise
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
        quieten()  # what Beam has to say on its way out finds no log any more


class _Plain(logging.Formatter):
    """Events for people, one a line whatever is in them."""

    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower()
        return safe(super().format(record))


class _AsJson(logging.Formatter):
    """An object a line: time, level, event, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        message = getattr(record, "said", None) or record.getMessage()  # JSON can write what a line of text cannot
        line = _line(record.created, record.levelname, getattr(record, "event", "log"), message)
        line |= getattr(record, "fields", None) or {"logger": record.name}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return as_json(line)


def error_line(error: ScorerError) -> str:
    """An error that ends the command, as the line that `told` would make of it."""
    details = {name: getattr(error, name) for name in ("where", "expected", "got", "fix") if getattr(error, name)}
    return as_json(_line(time.time(), "error", "error", error.what) | details | {"exit_code": error.exit_code})


def _line(seconds: float, level: str, event: str, message: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": at, "level": level.lower(), "event": event, "message": message}
