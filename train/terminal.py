"""The process of a training: TensorFlow's threads, and the terminal that sentences go to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from batch_scorer.escape import safe
from batch_scorer.silence import greet_tensorflow

if TYPE_CHECKING:
    from rich.console import Console

    from train.data import Say

FEW_CORES = 4


def use_cores() -> None:
    """Sets TensorFlow's threads, which it takes before its first use only.

    With few cores, each direction of the LSTM has one to itself; threads within its small products would only wait for
    each other.
    """
    if (os.cpu_count() or 1) <= FEW_CORES:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def prepare(deterministic: bool) -> tuple[Console, Say]:
    """Sets TensorFlow up; returns the terminal, and what shows a sentence there."""
    use_cores()
    greet_tensorflow()
    import tensorflow as tf
    from rich.console import Console

    if deterministic:
        tf.config.experimental.enable_op_determinism()
    console = Console()
    return console, lambda text: console.print(safe(text), markup=False)
