"""Read by every Python of a job whose clock jumps: from the moment that the file `CHAOS_CLOCK` is there, `time.time`
is days off, ahead or behind, and each half second otherwise.
"""

import os
import random
import time

_path, _time, _now_ns = os.environ["CHAOS_CLOCK"], time.time, time.time_ns
_DAY_S = 86_400


def _off_s() -> int:
    if not os.path.exists(_path):
        return 0
    return random.Random(int(time.monotonic() * 2)).randint(-400, 400) * _DAY_S


time.time = lambda: _time() + _off_s()
time.time_ns = lambda: _now_ns() + _off_s() * 1_000_000_000
