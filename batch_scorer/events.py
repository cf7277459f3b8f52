"""What happens in a job, as events: passed to whoever runs it, and logged to standard error and a file.

No event holds the text of a review. What a person reads on standard output is the business of `ui`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

from batch_scorer.config import JSON, QUIET, USUAL, VERBOSE, MessageConfig
from batch_scorer.errors import OptionError, ScorerError
from batch_scorer.escape import as_json, safe, without_secrets
from batch_scorer.silence import quieten

DETAIL, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something that happened in a job.

    Args:
        name: what kind it is, one word for programs; docs/cli.md lists them.
        message: the same for people, in a sentence.
        level: one of logging's; a `DETAIL` is for --verbose only.
        fields: what else a program may want to know, as JSON has it.
    """

    name: str
    message: str
    level: int = INFO
    fields: Mapping[str, object] = field(default_factory=dict)


OnEvent = Callable[[Event], None]  # may be called from a thread that is not the caller's


def ignore(event: Event) -> None:
    """For callers who don't need to know."""


def log(event: Event) -> None:
    """Logs an event; outside of `logged`, nothing comes of it."""
    # Whatever the message quotes, it neither ends a line of the log nor begins one.
    extra = {"event": event.name, "full_message": event.message, "fields": event.fields}
    _log.log(event.level, "%s", safe(event.message), extra=extra)


@contextmanager
def logged(config: MessageConfig, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Sends the events of the body where the config says; its log file gets whatever else is logged, too.

    Args:
        secrets: what is left out of everything that is logged; so is what looks like a secret.

    Raises:
        OptionError: the log file cannot be written.
    """
    with ExitStack() as stack:
        if config.log_file is not None:
            stack.enter_context(_log_file(config.log_file, config.log_format, secrets))
        if config.log_format == JSON or config.verbosity != USUAL:
            stack.enter_context(_screen(config, secrets))
        level = _log.level
        _log.setLevel(DETAIL if config.log_file is not None or _log.handlers else logging.NOTSET)
        stack.callback(_log.setLevel, level)
        yield


@contextmanager
def _screen(config: MessageConfig, secrets: Sequence[str]) -> Iterator[None]:
    """Logs to standard error, whatever others do to it in the meantime."""
    with _own_standard_error() as stream:
        handler = _Screen(stream)
        if config.log_format == JSON:
            handler.setFormatter(_AsJson(secrets))
            handler.setLevel({QUIET: WARNING, USUAL: INFO, VERBOSE: DETAIL}[config.verbosity])
        elif config.verbosity == QUIET:
            handler.setFormatter(_Plain(secrets, "%(level)s: %(message)s"))
            handler.setLevel(WARNING)
        else:
            handler.setFormatter(_Plain(secrets, "%(asctime)s  %(message)s", "%H:%M:%S"))
            handler.addFilter(lambda record: record.levelno == DETAIL)  # the rest is on standard output
        _log.addHandler(handler)
        try:
            yield
        finally:
            _log.removeHandler(handler)


class _File(logging.FileHandler):
    """A log that ends where its disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignores it: the job continues."""

    def close(self) -> None:
        with suppress(OSError):  # of what could not be written before
            super().close()


class _Screen(logging.StreamHandler[TextIO]):
    """A handler that stays silent once nobody is listening."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignores it: the job continues."""


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
    stream = open(shown, "w", 1, ours.encoding, "backslashreplace")  # noqa: SIM115
    try:
        yield stream
    finally:
        with suppress(OSError):  # of what could not be written before
            stream.close()


@contextmanager
def _log_file(path: str, log_format: str, secrets: Sequence[str]) -> Iterator[None]:
    """Writes everything that is logged while the body runs, by Beam's workers too, to the file `path`."""
    try:
        handler = _File(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OptionError("the log cannot be written", where=f"--log-file {path}", got=str(error)) from error
    text = _Discreet(secrets, "%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_AsJson(secrets) if log_format == JSON else text)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    except ScorerError as error:
        # It appears on the screen once the job has been cleaned up, from `cli.framework`.
        logging.getLogger("batch_scorer").error("%s", error, extra={"event": "error"})
        raise
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
        quieten()  # the log is closed to what Beam says as it shuts down


class _Discreet(logging.Formatter):
    """Leaves out `secrets`, and what looks like one."""

    def __init__(self, secrets: Sequence[str], *args: Any) -> None:
        super().__init__(*args)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return self._discreet(super().format(record))

    def _discreet(self, text: str) -> str:
        return without_secrets(text, self._secrets)


class _Plain(_Discreet):
    """Events for people, one per line whatever is in them."""

    def format(self, record: logging.LogRecord) -> str:
        record.level = record.levelname.lower()
        return safe(super().format(record))


class _AsJson(_Discreet):
    """One object per line: time, level, event, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        message = (
            getattr(record, "full_message", None) or record.getMessage()
        )  # JSON can hold what a line of text cannot
        line = _line(record.created, record.levelname, getattr(record, "event", "log"), message)
        line |= getattr(record, "fields", None) or {"logger": record.name}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return as_json(_each_text(line, self._discreet))


def error_line(error: ScorerError, secrets: Sequence[str] = ()) -> str:
    """An error that ends the command, as the line that `logged` would make of it."""
    details = {name: getattr(error, name) for name in ("where", "expected", "got", "fix") if getattr(error, name)}
    line = _line(time.time(), "error", "error", error.what) | details | {"exit_code": error.exit_code}
    return as_json(_each_text(line, lambda text: without_secrets(text, secrets)))


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value in which each text, but no name of a field, is changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each_text(inner, change) for name, inner in value.items()}
    return [_each_text(inner, change) for inner in value] if isinstance(value, (list, tuple)) else value


def _line(seconds: float, level: str, event: str, message: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": at, "level": level.lower(), "event": event, "message": message}
