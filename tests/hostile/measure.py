"""Feeds full-size bombs to the real command and measures every process: `python -m tests.hostile.measure [NAME...]`.

Prints a table in Markdown: each input, its outcome, and the peak resident memory of its largest process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.hostile import bombs

GB, MB = 1_000_000_000, 1_000_000
NO_WORD = b'{"text": "' + b"?" * 87 + b'"}\n'
LARGE_ROW = b'{"text": "good", "id": "' + b"i" * MB + b'", "k": "' + b"k" * 6 * MB + b'"}\n'
LONG_WORD = b'{"text": "' + b"w" * 900_000 + b'"}\n'


@dataclass(frozen=True)
class Bomb:
    """An input: the name of its file, how to write it, what it holds, and options that it needs."""

    name: str
    write: Callable[[Path], Any]
    holds: str
    options: tuple[str, ...] = ()


def _text(unit: bytes, inflated: int) -> Callable[[Path], None]:
    return lambda path: bombs.text_bomb(path, unit, inflated)


def _made(data: Callable[[], bytes]) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(data())


BOMBS = (
    Bomb("zeros.jsonl.gz", _text(b"0", 10 * GB), "10 GB of zeros in one line"),
    Bomb("newlines.jsonl.gz", _text(b"\n", 10 * GB), "10 GB of blank lines"),
    Bomb("records.jsonl.gz", _text(NO_WORD, 10 * GB), "10 GB of records of 100 bytes, without a word"),
    Bomb("zeros.csv.gz", _text(b"0", 10 * GB), "10 GB of zeros in one line"),
    Bomb("newlines.csv.gz", _text(b"\n", 10 * GB), "10 GB of blank lines"),
    Bomb("zeros.jsonl.bz2", _text(b"0", 10 * GB), "10 GB of zeros in one line"),
    Bomb("newlines.jsonl.zst", _text(b"\n", 10 * GB), "10 GB of blank lines"),
    Bomb("large_rows.jsonl.gz", _text(LARGE_ROW, GB), "1 GB: ids of 1 MB, kept values of 6 MB",
         ("--id-column", "id", "--keep", "k")),
    Bomb("long_words.jsonl.gz", _text(LONG_WORD, GB), "1 GB of words of 900 KB"),
    Bomb("value.parquet", _made(lambda: bombs.one_value(2 * GB)), "a value of 2 GB"),
    Bomb("values.parquet", _made(lambda: bombs.many_values(2 * GB, MB)), "2,000 values of 1 MB, 1,024 of them a page"),
    Bomb("pages.parquet", _made(lambda: bombs.many_values(2 * GB, 100_000)), "20,000 values of 100 KB"),
    Bomb("dictionary.parquet", _made(lambda: bombs.one_string_in_all_rows(1_100_000, 100_000)),
         "a string of 1.1 MB, in each of 100,000 rows"),
    Bomb("middle.parquet", _made(lambda: bombs.giant_among_small(2 * GB // 4)), "a value of 500 MB among small ones"),
    Bomb("prefixes.parquet", _made(lambda: bombs.same_prefixes(1_100_000, 20_000)), "1.1 MB, a prefix of 20,000 rows"),
    Bomb("lengths.parquet", _made(lambda: bombs.too_many_lengths(GB)), "100 rows that announce 10^9 lengths"),
    Bomb("rows.parquet", _made(lambda: bombs.many_rows(10**12)), "a footer of 10^12 rows"),
    Bomb("list.parquet", _made(lambda: bombs.long_list(GB)), "a list of 125 million numbers, kept", ("--keep", "tags")),
)  # fmt: skip


def measure(bomb: Bomb, folder: Path) -> str:
    """Scores one bomb; returns its line of the table."""
    path, output = folder / bomb.name, folder / f"{bomb.name}.out"
    bomb.write(path)
    command = [sys.executable, "-m", "batch_scorer", "score", str(path), "--output", str(output), "--workers", "2"]
    began = time.monotonic()
    with open(folder / "log", "w+", encoding="utf-8") as log:
        running = subprocess.Popen([*command, *bomb.options], stdout=log, stderr=log)
        peaks: dict[int, int] = {}
        while running.poll() is None:
            for pid in _family(running.pid):
                peaks[pid] = max(peaks.get(pid, 0), _peak_kb(pid))
            time.sleep(0.05)
        seconds = time.monotonic() - began
        log.seek(0)
        said = log.read()
    came = _outcome(output) if (output / "manifest.json").exists() else said.strip().replace("\n", " ")
    stored = path.stat().st_size
    path.unlink()
    largest = max(peaks.values()) / 1_000_000
    return (
        f"| {bomb.name} | {stored:,} | {bomb.holds} | {came} | {running.returncode} | {seconds:.0f} | "
        f"{largest:.2f} GB of {len(peaks)} |"
    )


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for each in found:
        try:
            for thread in os.listdir(f"/proc/{each}/task"):
                found += map(int, Path(f"/proc/{each}/task/{thread}/children").read_text().split())
        except OSError:
            continue
    return found


def _peak_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _outcome(output: Path) -> str:
    counts = json.loads((output / "manifest.json").read_text())["counts"]
    codes: dict[str, int] = {}
    for part in sorted(output.glob("errors/*.parquet")):
        for group in pq.read_table(part, columns=["code"])["code"].value_counts().to_pylist():
            codes[group["values"]] = codes.get(group["values"], 0) + group["counts"]
    return ", ".join([f"{counts['scored']:,} scored", *(f"{count:,} {code}" for code, count in sorted(codes.items()))])


def main(names: list[str]) -> None:
    """Measures the bombs of these names, or all."""
    print("| input | bytes | holds | outcome | exit code | seconds | largest process |")
    print("|---|---|---|---|---|---|---|")
    for bomb in BOMBS:
        if not names or bomb.name in names:
            with tempfile.TemporaryDirectory() as folder:
                print(measure(bomb, Path(folder)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
