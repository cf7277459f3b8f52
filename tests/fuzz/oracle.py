"""What becomes of a file in the job's own stages: records and damage in, a count of each out, compared by `holds`."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.config import ScoreConfig
from batch_scorer.formats.records import Shard
from batch_scorer.models import artifact
from batch_scorer.models.protocol import Scores
from batch_scorer.models.tokenizer import Ids
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.schema import ERROR_CODES
from batch_scorer.scoring.chunk import Scorer
from batch_scorer.scoring.read import read
from batch_scorer.scoring.shard import score_shard
from tests.conftest import save_tiny

ALL = 50_000  # reviews in a shard, more than any case has
Expected = list[tuple[int, str | None]]  # offset, and the text or None where the record is rejected


class Unaccounted(AssertionError):
    """A record is lost, doubled, or not what it was."""


def holds(condition: bool, what: str, *seen: Any) -> None:
    """Raises `Unaccounted` unless `condition` holds."""
    if not condition:
        raise Unaccounted(f"{what}: {', '.join(f'{value!r:.300}' for value in seen)}")


@dataclass(frozen=True)
class Flat:
    """An engine that costs nothing: every logit is 0, all attention equal."""

    batch_size: int = 64
    bias: float = 0.0

    def run(self, batch: Sequence[Ids]) -> Scores:
        shape = max(len(ids) for ids in batch), len(batch)
        return Scores(np.zeros(len(batch)), np.full(shape, 1 / shape[0]), np.zeros(shape))


@cache
def scorer(scratch: Path) -> Scorer:
    """The tiny model of the tests and an engine of no weight."""
    return Scorer(artifact.load(str(save_tiny(scratch / "model"))), Flat())


@dataclass(frozen=True)
class Outcome:
    """What reading a file gave: records and rejections in order of their offset, and damage."""

    found: Expected
    codes: list[str]
    unreadable: int


def outcome_of(plan: Plan, shards: Sequence[Shard]) -> Outcome:
    """Reads the shards one after another."""
    found: Expected = []
    codes, unreadable = [], 0
    for shard in shards:
        here: Expected = []
        for chunk in read(shard, plan.fields):
            offsets = chunk.reviews["offset"].to_pylist()
            here += zip(offsets, chunk.texts, strict=True)
            here += [(r.offset, None) for r in chunk.rejected if r.offset is not None]
            unreadable += sum(r.offset is None for r in chunk.rejected)
            codes += [r.code for r in chunk.rejected]
        found += sorted(here, key=lambda record: record[0])
    return Outcome(found, codes, unreadable)


def scored(plan: Plan, shards: Sequence[Shard], scratch: Path) -> tuple[list[tuple[str, int]], int, list[pa.Table]]:
    """Runs the shards through all stages.

    Returns:
        Source and offset of every row of both tables, the count of `unreadable` rows, and the predictions.
    """
    out = scratch / "out"
    rows: list[tuple[str, int]] = []
    unreadable, predictions = 0, []
    for shard in shards:
        done = score_shard(shard, plan, scorer(scratch), str(out))
        for part in done.parts:
            table = pq.ParquetFile(out / part.path).read(use_threads=False)
            places = list(zip(table["source"].to_pylist(), table["offset"].to_pylist(), strict=True))
            rows += [place for place in places if place[1] is not None]
            unreadable += sum(place[1] is None for place in places)
            if part.path.startswith("predictions"):
                predictions.append(table)
            else:
                holds(set(table["code"].to_pylist()) <= ERROR_CODES.keys(), "an unknown code", table["code"])
        counts = done.counts
        holds(counts.read == counts.scored + counts.rejected, "read is not scored + rejected", counts)
    holds(len(set(rows)) == len(rows), "a record twice", rows)
    return sorted(rows), unreadable, predictions


@dataclass(frozen=True)
class Work:
    """What a case is to the readers: its files and its config."""

    paths: list[Path]
    config: dict[str, Any]
    scratch: Path

    def planned(self, **changes: Any) -> tuple[Plan, list[Shard]]:
        paths = tuple(str(path) for path in self.paths)
        config = ScoreConfig.of(inputs=paths, output=str(self.scratch / "out"), **{**self.config, **changes})
        plan, shards = make_plan(config, "0" * 12)
        return plan, list(shards)


def small(shard_rows: int, plan: Plan) -> int:
    """Reviews in a shard, so that there are a few."""
    return max(shard_rows, plan.reviews // 3)


def place(name: str, contents: Sequence[bytes], scratch: Path) -> list[Path]:
    """Writes the files of a case, under names of their own, since a reader keeps the last file open."""
    stamp = zlib.crc32(b"".join(contents))
    paths = [scratch / f"{stamp:08x}.{number}{name}" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths
