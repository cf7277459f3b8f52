"""Runs a target over numbered inputs in a separate process, and continues in another if that one dies or hangs.

In: a target, a seed, a count. Out: a `Tally`; in a directory the first input that failed in each way, and how.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.oracle import Unaccounted
from tests.fuzz.targets import Target, input_of, named
from tests.processes import running

HANGS_AFTER_S, STARTS_WITHIN_S = 60.0, 600.0  # also on a busy machine
MEMORY_BYTES = 8 << 30  # of addresses; an input that asks for more is a crash, and not the machine's
ROOT = Path(__file__).parent.parent.parent
_PLACE = struct.Struct("<q")  # the number of the input in hand, in memory that outlives the process


@dataclass(frozen=True)
class Tally:
    """The outcome of the inputs of one target.

    Args:
        crashes: inputs that ended in an exception that is not documented, in the death of the process, or never.
        unaccounted: inputs of which a record was lost, doubled or wrong.
        peak_mb: the most memory that a process had resident.
        ways: how they failed -> how often, and the number of the first.
    """

    target: str
    inputs: int
    crashes: int
    unaccounted: int
    seconds: float
    peak_mb: float
    ways: dict[str, tuple[int, int]]


def run(target: str, seed: int, count: int, failures: Path | None) -> Tally:
    """Runs inputs 0 to `count` of a target; the first of each way to fail is written to `failures`."""
    start, first, peak_kb = time.monotonic(), 0, 0
    kinds: Counter[str] = Counter()
    ways: dict[str, tuple[int, int]] = {}
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        place = Path(folder) / "place"
        while first < count:
            place.write_bytes(_PLACE.pack(first - 1))  # not begun
            log = Path(folder) / "log"
            ending, peak = _child(target, seed, first, count, place, log)
            found = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
            reached = _PLACE.unpack(place.read_bytes())[0]
            if reached < first:
                raise RuntimeError(f"the process of {target} did not start:\n{log.read_text(errors='replace')}")
            if ending:
                found.append({"number": reached, "kind": "crash", "way": ending})
            peak_kb = max([peak_kb, peak, *(line["peak_kb"] for line in found if "peak_kb" in line)])
            for failed in (line for line in found if "kind" in line):
                kinds[failed["kind"]] += 1
                times, earliest = ways.get(failed["way"], (0, failed["number"]))
                ways[failed["way"]] = (times + 1, earliest)
                if not times:
                    _keep(failures, target, seed, failed, log)
            first = reached + 1
    seconds = time.monotonic() - start
    return Tally(target, count, kinds["crash"], kinds["unaccounted"], seconds, peak_kb / 1024, ways)


def _child(target: str, seed: int, first: int, stop: int, place: Path, log: Path) -> tuple[str, int]:
    """One process, from input `first` on: why it ended before the last (or nothing), and its peak in KB."""
    command = [sys.executable, "-m", "tests.fuzz", "--target", target, "--seed", str(seed)]
    command += ["--child", str(place), str(first), str(stop)]
    with log.open("wb") as out, running(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT) as process:
        at, since, peak = first - 1, time.monotonic(), 0
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(0.2)
                break
            peak = max(peak, peak_kb(process.pid))
            now = _PLACE.unpack(place.read_bytes())[0]
            if now != at:
                at, since = now, time.monotonic()
            elif time.monotonic() - since > (HANGS_AFTER_S if at >= first else STARTS_WITHIN_S):
                process.send_signal(signal.SIGABRT)  # so that it says where it is
                process.wait()
                return f"hangs: {_where(log)}", peak
    if code == 0:
        return "", peak
    died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"{died}: {_where(log)}", peak


def _where(log: Path) -> str:
    """The innermost line of the traceback that a dying process left."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in lines if line.startswith("File ")), lines[-1] if lines else "nothing said")


def fast_directory() -> str | None:
    """A directory in memory, if there is one: a disk would take most of the time."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def peak_kb(pid: int | str = "self") -> int:
    """The most memory that a process had resident; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if pid == "self" else 0


def _keep(failures: Path | None, target: str, seed: int, failed: dict[str, Any], log: Path) -> None:
    if failures is None:
        return
    failures.mkdir(parents=True, exist_ok=True)
    path = failures / f"{target}-{seed}-{failed['number']}"
    path.with_suffix(".bin").write_bytes(input_of(named(target), seed, failed["number"]))
    path.with_suffix(".txt").write_text(failed.get("trace") or log.read_text(errors="replace")[-5_000:])


def child(target: Target, seed: int, place: Path, first: int, stop: int) -> None:
    """Checks inputs `first` to `stop`, one after another; what fails is a line of JSON on standard output."""
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with place.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        with tempfile.TemporaryDirectory(prefix="fuzz-", dir=fast_directory()) as scratch:
            for number in range(first, stop):
                shared[:] = _PLACE.pack(number)
                try:
                    target.check(input_of(target, seed, number), Path(scratch))
                except Exception as error:
                    print(json.dumps(failure(error) | {"number": number}), flush=True)
        shared[:] = _PLACE.pack(stop - 1)
    print(json.dumps({"peak_kb": peak_kb()}), flush=True)


def failure(error: Exception) -> dict[str, str]:
    """What failed, how, and where in the product; the same for the same fault."""
    kind = "unaccounted" if isinstance(error, Unaccounted) else "crash"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "batch_scorer" in Path(frame.filename).parts] or frames[-1:]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if kind == "crash" else ""
    what = str(error).split(":")[0][:80] if kind == "unaccounted" else ""
    way = " ".join(filter(None, (type(error).__name__, where, what)))
    return {"kind": kind, "way": way, "trace": "".join(traceback.format_exception(error))[-5_000:]}
