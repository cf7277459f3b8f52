"""One measurement, which has a process of its own: `python -m benchmarks.planning.measure plan|fold ...`.

It prints what it found as JSON: seconds of each step and of the processor, and the peak resident memory before the
first of them and after the last (`VmHWM` in /proc, so Linux only).
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from batch_scorer.config import ScoreConfig
from batch_scorer.models import artifact, engine
from batch_scorer.models.profile import measure
from batch_scorer.planning.plan import make_plan
from batch_scorer.runners.progress import ShardCounter
from batch_scorer.runs import directory, manifest, plan_files
from batch_scorer.runs.layout import Part
from batch_scorer.runs.manifest import STAGES, Counts, Summary
from batch_scorer.silence import quieten

BUNDLE = 10  # shards that a worker sums up before the sums of all are put together
_NAMES = {"lis": "list", "loo": "look", "cut": "cut", "wri": "write"}


class Steps:
    """Seconds of each step, from when it is told of to the next one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._begun, self._last = time.perf_counter(), ""
        self._processor_s, self._start_mib = time.process_time(), peak_mib()

    def __call__(self, words: str) -> None:
        now = time.perf_counter()
        if self._last:
            self.seconds[self._last] = self.seconds.get(self._last, 0.0) + now - self._begun
        self._begun, self._last = now, _NAMES.get(words[:3], words)

    def end(self) -> dict[str, Any]:
        """What all of them took."""
        self("end")
        return {
            "steps": self.seconds,
            "processor_seconds": time.process_time() - self._processor_s,
            "start_mib": self._start_mib,
            "peak_mib": peak_mib(),
        }


def plan(inputs: str, output: str) -> dict[str, Any]:
    """All that `score` does until the plan is written, but for the lock on the output."""
    quieten()
    model = artifact.load(artifact.SHIPPED)
    engine.check_precision(model, "float32")
    config, steps = ScoreConfig.of((inputs,), output), Steps()
    made, shards = make_plan(config, model.model_id, steps)
    made = directory.prepare(config.output, made)
    steps("write")
    directory.begin(config.output)
    plan_files.write_plan(made, shards, output)
    used = steps.end()
    return {"files": sum(found["files"] for found in made.inputs), "shards": made.shard_count, **used}


def fold(shards: int, output: str) -> dict[str, Any]:
    """What is done of so many shards once they are scored: a look at the markers' names, the sum, the manifest."""
    from batch_scorer.runners.graph import FoldSummaries

    quieten()
    model = artifact.load(artifact.SHIPPED)
    markers = Path(output) / "shards"
    markers.mkdir(parents=True)
    one = Path(output) / "one.txt"
    one.touch()
    made, _ = make_plan(ScoreConfig.of((str(one),), f"{output}/out"), model.model_id)
    made = dataclasses.replace(made, shard_count=shards)
    for index in range(shards):
        (markers / f"{index:05d}.json").touch()
    steps = Steps()
    steps("poll")
    done = ShardCounter(output, [1] * shards)()
    assert done == shards
    steps("fold")
    sums = FoldSummaries()
    totals = []
    for index, summary in enumerate(_summaries(shards)):
        if index % BUNDLE == 0:
            totals.append(sums.create_accumulator())
        sums.add_input(totals[-1], summary)
    total = sums.extract_output(sums.merge_accumulators(totals))
    steps("commit")
    config = ScoreConfig.of((str(one),), output, allow_unreadable=True, max_error_rate=1.0)
    manifest.commit(total, made, model, 0.0, config, {}, "then", "now")
    used = steps.end()
    manifest_mb = (Path(output) / "manifest.json").stat().st_size / 1e6
    return {"shards": shards, "manifest_mb": manifest_mb, **used, "seconds": sum(used["steps"].values())}


def _summaries(shards: int) -> Iterator[Summary]:
    """What shards of a thousand reviews did, each with two parts and with a profile that is not the next one's."""
    rng = np.random.default_rng(1)
    words, scores = rng.integers(1, 1_500, 20_000), rng.random(20_000)
    for index in range(shards):
        some = slice(index % 19_000, index % 19_000 + 1_000)
        profile = measure(words[some], np.minimum(words[some], 499), words[some] // 20, scores[some])
        parts = tuple(
            Part(f"{kind}/part-{index:05d}.parquet", rows, os.urandom(32).hex())
            for kind, rows in (("predictions", 1_000), ("errors", 3))
        )
        yield Summary(1, Counts(1_003, 1_000, 3, 0), parts, profile, dict.fromkeys(STAGES, 0.5))


def peak_mib() -> float:
    """The most memory that this process has had resident so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    what, number_or_inputs, place = sys.argv[1:]
    print(json.dumps(plan(number_or_inputs, place) if what == "plan" else fold(int(number_or_inputs), place)))
