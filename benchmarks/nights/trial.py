"""Thirty nights over a folder that grows, by file or by record, and whether their newest rows are those of one run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from batch_scorer.config import RECORD, ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.runners.job import run_job

NIGHTS = 30
REWRITTEN, DELETED, EMPTY, KILLED = 10, 15, 20, 25  # nights on which something else happens
FIRST, NEW, CHANGED = 1_000, 20, 5  # reviews of the export that is rewritten every night: at first, and on each night
EXPORT = "export.jsonl"
_REWRITTEN_FILE, _DELETED_FILE = "03-0.jsonl", "04-0.jsonl"


@dataclass
class Folder:
    """The inputs: text by id, in files; `new` are the ids whose text is not that of the night before."""

    path: Path
    texts: Iterator[str]
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)

    def grow(self, night: int) -> None:
        """Changes the folder as it would until the next night; the same every time."""
        rng = random.Random(night)
        self.new = set()
        if night == EMPTY:
            return
        for number in range(rng.randint(1, 3)):
            self._write(f"{night:02d}-{number}.jsonl", {}, rng.randint(20, 80), night)
        export = self.files.get(EXPORT, {})
        self._change(export, CHANGED, rng)
        self._write(EXPORT, export, NEW if export else FIRST, night)
        if night == REWRITTEN:
            reviews = self.files[_REWRITTEN_FILE]
            self._change(reviews, len(reviews) // 10, rng)
            self._write(_REWRITTEN_FILE, reviews, 1, night)
        if night == DELETED:
            del self.files[_DELETED_FILE]
            (self.path / _DELETED_FILE).unlink()

    def _change(self, reviews: dict[str, str], count: int, rng: random.Random) -> None:
        for key in rng.sample(sorted(reviews), min(count, len(reviews))):
            reviews[key] = next(self.texts)
            self.new.add(key)

    def _write(self, name: str, reviews: dict[str, str], new: int, night: int) -> None:
        for number in range(new):
            key = f"{name}-{night}-{number}"
            reviews[key] = next(self.texts)
            self.new.add(key)
        self.files[name] = reviews
        lines = (json.dumps({"id": key, "text": text}) + "\n" for key, text in reviews.items())
        (self.path / name).write_text("".join(lines), encoding="utf-8")
        os.utime(self.path / name, (1_790_000_000 + night,) * 2)

    @property
    def reviews(self) -> dict[str, str]:
        """Text by id, of all files."""
        return {key: text for texts in self.files.values() for key, text in texts.items()}


def nights(texts: Sequence[str], place: Path, after_by: str, count: int, model: str | None) -> dict[str, Any]:
    """Scores so many nights, and compares them with one run over the last state of the folder.

    Returns:
        `nights`: what each took; `reviews`, `equal`: the ids of the last state, and how many of them have the logit of
        one run in their newest row.

    Raises:
        JobError: a night scored other records than the new ones.
    """
    folder, outputs, told = Folder(place / "in", iter(texts)), place / "nights", []
    folder.path.mkdir(parents=True)
    for night in range(count):
        folder.grow(night)
        config = ScoreConfig.of(
            [str(folder.path)], str(outputs / f"{night:02d}"), model, id_column="id", after=(str(outputs),),
            after_by=after_by, workers=1, max_error_rate=1.0, allow_empty=True,
        )  # fmt: skip
        if night == KILLED:
            _kill(config)
            config = config.with_options(resume=True)
        start, processor = time.perf_counter(), time.process_time()
        result = run_job(config)
        assert result is not None
        took = {"seconds": time.perf_counter() - start, "processor": time.process_time() - processor}
        counts = result.manifest["counts"]
        if after_by == RECORD and counts["read"] != len(folder.new):
            raise JobError("a night read other records", expected=f"{len(folder.new)}", got=f"{counts['read']}")
        told.append({"night": night, "new": len(folder.new), **counts, **took})
    run_job(ScoreConfig.of([str(folder.path)], str(place / "one"), model, id_column="id", workers=1))
    newest: dict[str, float] = {}
    for night in range(count):
        newest |= _logits(outputs / f"{night:02d}")
    expected, reviews = _logits(place / "one"), folder.reviews
    equal = sum(key in reviews and newest.get(key) == logit for key, logit in expected.items())
    return {"nights": told, "reviews": len(reviews), "equal": equal}


def _logits(output: Path) -> dict[str, float]:
    tables = (pq.read_table(path, columns=["record_id", "logit"]) for path in output.glob("predictions/*.parquet"))
    return {row["record_id"]: row["logit"] for table in tables for row in table.to_pylist()}


def _kill(config: ScoreConfig) -> None:
    """Starts a night as a process of its own, and kills it as soon as its plan is written."""
    words = ["score", *config.input.paths, "--output", config.output.directory, "--id-column", "id", "--quiet"]
    words += ["--after", config.input.after[0], "--after-by", config.input.after_by, "--workers", "1", "--allow-empty"]
    words += ["--model", config.scoring.model] if config.scoring.model else []
    command = [sys.executable, "-m", "batch_scorer", *words, "--max-error-rate", "1"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # where its last words would go
    while process.poll() is None and not Path(config.output.directory, "plan.json").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if Path(config.output.directory, "_SUCCESS").exists():
        raise JobError("the night that was to be killed was done before", where=config.output.directory)
