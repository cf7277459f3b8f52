"""Keeps what others would print over our own output, TensorFlow's greetings and Beam's logs, off the terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def quieten() -> None:
    """Keeps TensorFlow and Beam from printing over our own output, here and in the workers.

    For processes of our own: it changes the environment and the root logger.
    """
    for name, value in {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "GRPC_VERBOSITY": "ERROR"}.items():
        os.environ.setdefault(name, value)
    root = logging.getLogger()
    if any(isinstance(handler, logging.FileHandler) for handler in root.handlers):
        return
    root.setLevel(logging.CRITICAL)  # where Beam's imports warn about extras that are not installed
    root.addHandler(logging.NullHandler())  # otherwise Beam's first message makes it print everybody's
    for name in ("apache_beam", "tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def hushed() -> Iterator[None]:
    """Holds back what native code writes to standard error, and shows it only if the body fails.

    TensorFlow's libraries print a greeting when they are loaded, before any of their log settings apply. What Python
    writes is shown all the same: another thread may have to say why the job ends.
    """
    ours = sys.stderr
    ours.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        if _is_standard_error(ours):
            sys.stderr = open(shown, "w", 1, ours.encoding, ours.errors, closefd=False)  # noqa: SIM115
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            sys.stderr, passing = ours, sys.stderr
            passing.flush()
            os.dup2(shown, 2)
            os.close(shown)


@contextmanager
def diverted(path: str | None) -> Iterator[None]:
    """Sends what this process and those it starts write to standard error to the file `path`, or nowhere."""
    ours = sys.stderr
    ours.flush()
    shown, log = os.dup(2), os.open(path or os.devnull, os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 2)
    try:
        yield
    finally:
        sys.stderr = ours  # another thread may be inside `hushed`
        ours.flush()
        os.dup2(shown, 2)
        os.close(shown)
        os.close(log)


def _is_standard_error(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except OSError:
        return False


def greet_tensorflow() -> None:
    """Imports TensorFlow and lets it compute something, output held back: it prints a greeting at both points."""
    with hushed():
        import tensorflow as tf

        tf.constant(0)
