"""Runs in every Python process of a job that a test manipulates: a clock that jumps, a gate to wait at.

`CHAOS_CLOCK` names a file: once it exists, `time.time` is days off, ahead or behind, and differently each half second.
`CHAOS_GATE` names a directory, see `tests.chaos.gate`. With `CHAOS_PLAIN`, it scores by `tests.plain_engine`. In
`CHAOS_STORES`, each pool of workers finds the address of the store by its own, see `tests.engine_faults`. With
`CHAOS_HURRY`, patience with a store is shorter; `CHAOS_CLOCK_OFF_S` sets the clock of the process, see
`tests.chaos.store_faults`.
"""

import contextlib
import datetime
import importlib.abc
import importlib.machinery
import os
import random
import re
import sys
import time

_CHECKOUT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
_DAY_S = 86_400
_HURRIED = {
    "batch_scorer.storage.stores.retry": {"WAITS_S": (0.1, 0.2, 0.4, 0.8, 1.6, 3.2), "ANSWER_S": 3.0},
    "batch_scorer.runs.claim": {"LAPSE_S": 6.0, "LOOK_S": 0.5},
    "batch_scorer.runs.renewal": {"RENEW_S": 1.0},
}
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


class _Engines(importlib.abc.MetaPathFinder):
    """Comes between a process and `batch_scorer.models.engine`, where it begins to load the model."""

    def find_spec(self, name, path, target=None):
        if name != "batch_scorer.models.engine":
            return None
        if os.environ.get("CHAOS_GATE_AT") == "loading" and _is_worker():
            _wait(os.environ["CHAOS_GATE"])
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_replace(module):
            load(module)
            sys.path.insert(0, _CHECKOUT)
            from tests import plain_engine

            sys.path.remove(_CHECKOUT)
            module._load = plain_engine.replace(module._load)

        if "CHAOS_PLAIN" in os.environ:
            spec.loader.exec_module = load_and_replace
        return spec


class _Changed(importlib.abc.MetaPathFinder):
    """Changes what modules hold, as soon as they are imported."""

    def __init__(self, changes):
        self._changes = changes

    def find_spec(self, name, path, target=None):
        if name not in self._changes:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module

        def load_and_change(module):
            load(module)
            changes = self._changes[name]
            for key, value in (changes(module) if callable(changes) else changes).items():
                setattr(module, key, value)

        spec.loader.exec_module = load_and_change
        return spec


def _set_clock(seconds):
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1_000_000_000)

    def signs(module):
        current = module.get_current_datetime
        return {"get_current_datetime": lambda *given: current(*given) + datetime.timedelta(seconds=seconds)}

    sys.meta_path.insert(0, _Changed({"botocore.compat": signs}))


sys.meta_path.insert(0, _Engines())
if "CHAOS_HURRY" in os.environ:
    sys.meta_path.insert(0, _Changed(_HURRIED))
if "CHAOS_CLOCK_OFF_S" in os.environ:
    _set_clock(float(os.environ["CHAOS_CLOCK_OFF_S"]))
for _line in os.environ.get("CHAOS_STORES", "").split():
    _pool, _store = _line.split("=")
    if _pool in sys.orig_argv:
        os.environ["AWS_ENDPOINT_URL"] = _store  # for its workers too
if "CHAOS_CLOCK" in os.environ:
    _jump(os.environ["CHAOS_CLOCK"])
if os.environ.get("CHAOS_GATE_AT") == "scoring":
    _wait_before_second_marker(os.environ["CHAOS_GATE"])
