"""What it takes to know the records of earlier runs: synthetic runs, their index, and workers that look records up.

Linux only: memory is `VmHWM` of /proc/PID/status, the largest resident set so far, and `Pss` of smaps_rollup, in which
a page counts for each process by the share that it has of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scorer.runs import indexing
from batch_scorer.runs.finished import Run
from batch_scorer.runs.record_index import RecordIndex, index_path, mapped

RUNS = 10  # a tenth of the records of each is in the next one too, with another text
PART_ROWS = 500_000
LOOKED_UP = 2_000_000  # records that each worker looks up, half of them known
BATCH = 8_192
_ROOT = Path(__file__).parents[2]
_COMMAND = (sys.executable, "-m", "benchmarks.nights.memory")


def make_runs(records: int, folder: Path) -> list[Run]:
    """Writes the ids and hashes of synthetic runs: `records` rows in all."""
    runs, first, each = [], 0, records // RUNS
    for number in range(RUNS):
        rng, parts = np.random.default_rng(number), []
        for at in range(0, each, PART_ROWS):
            rows = min(PART_ROWS, each - at)
            numbers = np.arange(first + at, first + at + rows)
            table = pa.table({"record_id": _ids(numbers), "text_hash": _hashes(rng, rows)})
            path = folder / f"{number:02d}-{at:09d}.parquet"
            pq.write_table(table, path, compression="zstd", row_group_size=50_000)
            parts.append(str(path))
        runs.append(Run(str(folder), {}, {}, True, tuple(parts), ()))
        first += each - each // 10
    return runs


def _ids(numbers: np.ndarray[Any, Any]) -> pa.Array:
    # In an order that has nothing to do with the hashes, as most are.
    return pc.binary_join_element_wise("review", pa.array(numbers).cast(pa.string()), "-")


def _hashes(rng: np.random.Generator, count: int) -> np.ndarray[Any, Any]:
    return rng.integers(0, 2**64, count, np.uint64)


def plan(records: int, folder: Path) -> dict[str, Any]:
    """Writes the index of `make_runs`, in this process; returns its seconds and peak memory."""
    started = _status("VmHWM")
    runs = _runs_in(folder)
    start, processor = time.perf_counter(), time.process_time()
    earlier = {"rows": records, "fingerprint": "0" * 64}
    indexing.write_index(runs, earlier, str(folder / "out"))
    index = Path(index_path(earlier, str(folder / "out")))
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "start_mib": started / 1024,
        "peak_mib": _status("VmHWM") / 1024,
        "index_mb": index.stat().st_size / 1e6,
    }


def planned(records: int, folder: Path) -> dict[str, Any]:
    """`plan` in a process of its own."""
    command = [*_COMMAND, "plan", str(folder), str(records)]
    done = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def _runs_in(folder: Path) -> list[Run]:
    parts = sorted(map(str, folder.glob("*.parquet")))
    by_run = [[path for path in parts if Path(path).name.startswith(f"{number:02d}-")] for number in range(RUNS)]
    return [Run(str(folder), {}, {}, True, tuple(paths), ()) for paths in by_run]


def look_up(path: str, records: int, seed: int) -> dict[str, Any]:
    """Looks up records in an index, as a worker does, and says what that took once all workers are that far."""
    before = _rollup("Pss")
    index: RecordIndex = mapped(path)
    rng, found, spent = np.random.default_rng(seed), 0, 0.0
    for _ in range(LOOKED_UP // BATCH):
        hashes = _hashes(rng, BATCH)
        # The texts are new, and so found nowhere; of every other id, nothing is known either.
        ids = _ids(rng.integers(0, 2 * records, BATCH)).to_pylist()
        start = time.perf_counter()
        found += int(index.has(ids, hashes).sum())
        spent += time.perf_counter() - start
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    after = _rollup("Pss")
    lookups = LOOKED_UP // BATCH * BATCH
    return {"pss_mib": after / 1024, "index_pss_mib": (after - before) / 1024, "us": spent / lookups * 1e6, "n": found}


def workers(folder: Path, records: int, count: int = 2) -> list[dict[str, Any]]:
    """`look_up` in some processes at once."""
    (path,) = (folder / "out/earlier").iterdir()
    command = [*_COMMAND, "look-up", str(path), str(records)]
    started = [
        subprocess.Popen([*command, str(seed)], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for seed in range(count)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in started]


def _status(name: str) -> int:
    return _field(Path("/proc/self/status"), name)


def _rollup(name: str) -> int:
    return _field(Path("/proc/self/smaps_rollup"), name)


def _field(path: Path, name: str) -> int:
    """A number of KiB in a file of /proc."""
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "look-up":
        print(json.dumps(look_up(words[0], int(words[1]), int(words[2]))))
    else:
        print(json.dumps(plan(int(words[1]), Path(words[0]))))
