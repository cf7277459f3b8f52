"""Loading TensorFlow without its greetings."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hushed() -> Iterator[None]:
    """Holds back what native code writes to standard error, and shows it only if the body fails.

    TensorFlow's libraries greet on loading, before any setting of theirs for the log is in force.
    """
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)


def greet_tensorflow() -> None:
    """Imports TensorFlow and has it compute something, unheard: it greets on both occasions."""
    with hushed():
        import tensorflow as tf

        tf.constant(0)
