"""One measurement, in a process of its own: `python -m benchmarks.planning.measure plan|fold ...`.

It prints its results as JSON: the seconds of each step, processor time, and the peak resident memory before the first
step and after the last one (`VmHWM` in /proc, so Linux only).
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
from batch_scorer.runs import directory, manifest, markers
from batch_scorer.runs.layout import Part
from batch_scorer.runs.markers import STAGES, Counts, Summary
from batch_scorer.silence import quieten

BUNDLE = 10  # shards that a worker sums up before all sums are combined
# Names of the steps of planning, by the first word of their progress messages.
_NAMES = {"listing": "list", "looking": "inspect", "cutting": "cut"}


class Steps:
    """Measures the seconds of each step; called with the text of a step, it starts that one and ends the last one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started, self._step = time.perf_counter(), ""
        self._processor_s, self._start_mib = time.process_time(), peak_mib()

    def __call__(self, text: str) -> None:
        now = time.perf_counter()
        if self._step:
            self.seconds[self._step] = self.seconds.get(self._step, 0.0) + now - self._started
        self._started, self._step = now, _NAMES.get(text.split(maxsplit=1)[0], text)

    def end(self) -> dict[str, Any]:
        """Ends the last step; returns the time and memory of all steps."""
        self("end")
        return {
            "steps": self.seconds,
            "processor_seconds": time.process_time() - self._processor_s,
            "start_mib": self._start_mib,
            "peak_mib": peak_mib(),
        }


def plan(inputs: str, output: str) -> dict[str, Any]:
    """Does what `score` does until the plan is written, except for locking the output."""
    quieten()
    model = artifact.load(artifact.SHIPPED)
    engine.check_precision(model, "float32")
    config, steps = ScoreConfig.of((inputs,), output), Steps()
    planned, shards = make_plan(config, model.model_id, steps)
    planned, shards = directory.prepare(config.output, planned, shards)
    steps("write")
    directory.write(planned, shards, config.output)
    costs = steps.end()
    return {"files": sum(summary["files"] for summary in planned.inputs), "shards": planned.shard_count, **costs}


def fold(shards: int, output: str) -> dict[str, Any]:
    """Does what follows when `shards` shards are scored: a poll of the markers' names, the sum, the parts that the
    markers name, the manifest.
    """
    from batch_scorer.runners.graph import FoldSummaries

    quieten()
    model = artifact.load(artifact.SHIPPED)
    Path(output).mkdir(parents=True)
    one = Path(output) / "one.txt"
    one.touch()
    planned, _ = make_plan(ScoreConfig.of((str(one),), f"{output}/out"), model.model_id)
    planned = dataclasses.replace(planned, shard_count=shards)
    for index, summary in enumerate(_summaries(shards)):
        markers.write_marker(summary, index, planned, output)
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
    steps("parts")
    parts = markers.parts_of(planned, output)
    steps("commit")
    config = ScoreConfig.of((str(one),), output, allow_unreadable=True, max_error_rate=1.0)
    manifest.commit(total, parts, planned, model, 0.0, config, {}, "then", "now")
    costs = steps.end()
    manifest_mb = (Path(output) / "manifest.json").stat().st_size / 1e6
    return {"shards": shards, "manifest_mb": manifest_mb, **costs, "seconds": sum(costs["steps"].values())}


def _summaries(shards: int) -> Iterator[Summary]:
    """Yields summaries of shards of a thousand reviews, each with two parts and a profile unlike the previous one."""
    rng = np.random.default_rng(1)
    words, scores = rng.integers(1, 1_500, 20_000), rng.random(20_000)
    for index in range(shards):
        rows = slice(index % 19_000, index % 19_000 + 1_000)
        profile = measure(words[rows], np.minimum(words[rows], 499), words[rows] // 20, scores[rows])
        parts = tuple(
            Part(f"{kind}/part-{index:05d}.parquet", rows, os.urandom(32).hex())
            for kind, rows in (("predictions", 1_000), ("errors", 3))
        )
        yield Summary(1, Counts(1_003, 1_000, 3, 0), parts, profile, dict.fromkeys(STAGES, 0.5))


def peak_mib() -> float:
    """The peak resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    kind, inputs_or_shards, place = sys.argv[1:]
    print(json.dumps(plan(inputs_or_shards, place) if kind == "plan" else fold(int(inputs_or_shards), place)))
