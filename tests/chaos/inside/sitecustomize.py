"""Runs in every Python process of a job that a test manipulates: a clock that jumps, a gate to wait at.

`CHAOS_CLOCK` names a file: once it exists, `time.time` is days off, ahead or behind, and differently each half second.
`CHAOS_GATE` names a directory, see `tests.chaos.gate`.
"""

import contextlib
import importlib.abc
import os
import random
import re
import sys
import time

_DAY_S = 86_400
_MARKER = re.compile(r".*/shards/\d{5}\.json")


def _jump(file):
    now, now_ns = time.time, time.time_ns

    def off_s():
        if not os.path.exists(file):
            return 0
        return random.Random(int(time.monotonic() * 2)).randint(-400, 400) * _DAY_S

    time.time = lambda: now() + off_s()
    time.time_ns = lambda: now_ns() + off_s() * 1_000_000_000


def _wait(gate):
    """Waits at the gate until it opens, and says so; to the driver, a worker seems to make progress."""
    open(os.path.join(gate, str(os.getpid())), "w").close()
    while not os.path.exists(os.path.join(gate, "open")):
        if _is_worker():
            _take_a_step(os.path.join(sys.argv[2], str(os.getpid())))
        with contextlib.suppress(OSError):  # raised where the clocks of the process are tampered with
            time.sleep(0.02)


def _is_worker():
    return "batch_scorer.runners.worker" in sys.orig_argv


def _take_a_step(told):
    """Counts one more step in the file by which the driver watches a worker, as `heartbeat.Pulse` does."""
    with contextlib.suppress(OSError), open(told, "r+b") as file:
        doing, steps = file.read().split()
        file.seek(0)
        file.write(f"{int(doing)} {int(steps) + 1}".ljust(40).encode())


def _wait_before_second_marker(gate):
    replace, published = os.replace, []

    def waits_and_replaces(source, target, **rest):
        if _MARKER.fullmatch(str(target)):
            published.append(target)
            if len(published) == 2:
                _wait(gate)
        replace(source, target, **rest)

    os.replace = waits_and_replaces


class _WaitsForTensorFlow(importlib.abc.MetaPathFinder):
    """Finds no module, but waits at the gate when a worker begins to import TensorFlow."""

    def __init__(self, gate):
        self._gate = gate

    def find_spec(self, name, path, target=None):
        if name == "tensorflow" and _is_worker():
            _wait(self._gate)


if "CHAOS_CLOCK" in os.environ:
    _jump(os.environ["CHAOS_CLOCK"])
if "CHAOS_GATE" in os.environ:
    if os.environ["CHAOS_GATE_AT"] == "loading":
        sys.meta_path.insert(0, _WaitsForTensorFlow(os.environ["CHAOS_GATE"]))
    else:
        _wait_before_second_marker(os.environ["CHAOS_GATE"])
