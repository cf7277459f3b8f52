"""What each shard did -> what the run did: a marker for each shard, one manifest for the run."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.escape import counted
from batch_scorer.models import profile
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.profile import Profile
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.runs.layout import Part
from batch_scorer.schema import predictions_schema, schema_version
from batch_scorer.storage.parallel import read_ahead

IDS_COMPARED = 5_000_000  # more would take too long: a single worker compares them
STAGES = ("read", "encode", "score", "explain", "write")


@dataclass(frozen=True)
class Counts:
    """``read = scored + rejected``; a damaged file or range only counts in `unreadable`.

    Of `rejected`, `empty` had nothing to score: the text is blank, null or without words.
    """

    read: int = 0
    scored: int = 0
    rejected: int = 0
    unreadable: int = 0
    empty: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.read + other.read,
            self.scored + other.scored,
            self.rejected + other.rejected,
            self.unreadable + other.unreadable,
            self.empty + other.empty,
        )


@dataclass(frozen=True)
class Summary:
    """What some shards did, together.

    Args:
        shards: the number of shards.
        parts: the files they wrote.
        timings: seconds in each stage, summed over the workers.
    """

    shards: int = 0
    counts: Counts = Counts()
    parts: tuple[Part, ...] = ()
    profile: Profile = profile.EMPTY
    timings: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))


class Total:
    """Adds up in place: adding `Summary` objects would copy the list of all parts a hundred thousand times."""

    def __init__(self) -> None:
        self.shards, self.counts, self.profile = 0, Counts(), profile.EMPTY
        self.parts: list[Part] = []
        self.timings = dict.fromkeys(STAGES, 0.0)

    def add(self, other: Summary | Total) -> Total:
        """Adds `other`, which does not change; returns itself."""
        self.shards += other.shards
        self.counts += other.counts
        self.parts += other.parts
        self.profile += other.profile
        for stage in STAGES:
            self.timings[stage] += other.timings[stage]
        return self

    def summary(self) -> Summary:
        """The sum so far."""
        return Summary(self.shards, self.counts, tuple(self.parts), self.profile, dict(self.timings))


def fold(summaries: Iterable[Summary]) -> Summary:
    """All of `summaries` together."""
    total = Total()
    for summary in summaries:
        total.add(summary)
    return total.summary()


def write_marker(summary: Summary, index: int, plan: Plan, output: str) -> None:
    """Marks shard `index` as done. Its marker is written after everything else."""
    document = {
        "shard": index,
        "plan_hash": plan.plan_hash,
        "run_id": plan.run_id,
        "counts": dataclasses.asdict(summary.counts),
        "parts": [dataclasses.asdict(part) for part in summary.parts],
        "profile": summary.profile.to_json(),
        "timings": {stage: round(seconds, 4) for stage, seconds in summary.timings.items()},
    }
    document["sha256"] = _digest(document)
    storage.publish_bytes((json.dumps(document) + "\n").encode(), layout.marker_path(output, index))


def _digest(document: Mapping[str, Any]) -> str:
    """sha256 of the rest of a marker: without it, damage that leaves valid JSON would be believed."""
    return hashlib.sha256(json.dumps({**document, "sha256": ""}).encode()).hexdigest()


def finished_shard(index: int, plan: Plan, output: str) -> Summary | None:
    """What shard `index` did, if its marker belongs to this run and its parts are still as the marker says."""
    try:
        document = json.loads(storage.read_bytes(layout.marker_path(output, index)))
        if document["sha256"] != _digest(document) or document["shard"] != index:
            return None
        parts = tuple(Part(**part) for part in document["parts"])
        if (document["plan_hash"], document["run_id"]) != (plan.plan_hash, plan.run_id):
            return None
        for part in parts:
            with storage.open_read(storage.join(output, part.path)) as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != part.sha256:  # type: ignore[arg-type]
                    return None
        profile_, counts = Profile.from_json(document["profile"]), Counts(**document["counts"])
        if counts.unreadable:
            return None  # try again: it may have been the disk or the network, else the rows will be the same
        return Summary(1, counts, parts, profile_, document["timings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # the marker is missing or damaged: the shard is done again


def verdict(counts: Mapping[str, int], max_error_rate: float, allow_unreadable: bool) -> str | None:
    """Why a finished run does not count as a success, or None."""
    unreadable = counts["unreadable"]
    if unreadable and not allow_unreadable:
        were = "1 file or range was" if unreadable == 1 else f"{unreadable:,} files or ranges were"
        return f"{were} unreadable (see {layout.ERRORS}/; --allow-unreadable accepts this)"
    empty = counts.get("empty", 0)  # which older versions did not count
    faults, rate = counts["rejected"] - empty, error_rate(counts)
    if rate > max_error_rate:
        return (
            f"{faults:,} of {counted(counts['read'], 'record')} ({rate:.1%}) "
            f"{'was' if faults == 1 else 'were'} rejected, more than --max-error-rate {max_error_rate:.1%}"
        )
    if empty and not counts["scored"] and max_error_rate < 1:
        return f"nothing was scored: {empty:,} of {counted(counts['read'], 'record')} had no text, or none with words"
    return None


def error_rate(counts: Mapping[str, int]) -> float:
    """The share of the records that were rejected for a fault: empty ones have none."""
    return (counts["rejected"] - counts.get("empty", 0)) / (counts["read"] or 1)


def _repeated_ids(parts: Iterable[Part], plan: Plan, output: str) -> list[str]:
    """A notice if reviews share an id: joining by it would multiply rows."""
    parts = [part for part in parts if part.path.startswith(layout.PREDICTIONS)]
    rows = sum(part.rows for part in parts)
    if plan.fields.id is None or rows > IDS_COMPARED:
        return []

    def hashes(part: Part) -> npt.NDArray[np.int64]:
        with storage.open_read(storage.join(output, part.path)) as file, pq.ParquetFile(file) as parquet:
            ids = parquet.read(["record_id"])["record_id"]
        return np.fromiter(map(hash, ids.to_pylist()), np.int64, len(ids))

    # Ids may be long, hashes are short: with five million, two of 64 bits collide once in a million runs.
    of_parts = list(read_ahead(hashes, parts, storage.is_remote(output)))
    repeated = rows - len(np.unique(np.concatenate(of_parts))) if of_parts else 0
    if not repeated:
        return []
    have = "review has" if repeated == 1 else "reviews have"
    return [f"{repeated:,} {have} the same id (column {plan.fields.id!r}) as an earlier one"]


def commit(
    summary: Summary,
    plan: Plan,
    artifact: Artifact,
    bias: float,
    config: ScoreConfig,
    versions: Mapping[str, str],
    started: str,
    finished: str,
) -> dict[str, Any]:
    """Writes the manifest and, if the run succeeded, `_SUCCESS`; returns the manifest.

    Raises:
        JobError: a shard is missing.
    """
    if summary.shards != plan.shard_count:
        raise JobError(
            "not every shard is done",
            where=config.output.directory,
            expected=counted(plan.shard_count, "shard"),
            got=f"{summary.shards:,}",
        )
    storage.delete(layout.strays(config.output.directory, {part.path for part in summary.parts}, plan.shard_count))
    manifest = {
        "schema_version": schema_version(artifact.optional_columns),
        "columns": predictions_schema(pa.schema([]), "", "", artifact.optional_columns).names,
        "run_id": plan.run_id,
        "model_id": plan.model_id,
        "model_name": artifact.manifest["name"],
        "bias": bias,
        "temperature": artifact.temperature,
        "threshold": artifact.threshold,
        "max_words": artifact.tokenizer.max_words,
        "long_texts": artifact.long_texts,
        "max_windows": artifact.tokenizer.max_windows,
        "tokenizer": {"type": "words", "pattern": artifact.tokenizer.pattern},
        "top_k": plan.top_k,
        "precision": plan.precision,
        "counts": dataclasses.asdict(summary.counts),
        "parts": [dataclasses.asdict(part) for part in sorted(summary.parts, key=lambda part: part.path)],
        "inputs": list(plan.inputs),
        "notices": [*plan.notices, *_repeated_ids(summary.parts, plan, config.output.directory)],
        "warnings": profile.warnings(summary.profile, artifact.training_profile),
        "not_a_success": verdict(
            dataclasses.asdict(summary.counts), config.job.max_error_rate, config.job.allow_unreadable
        ),
        "started": started,
        "finished": finished,
        "command": list(config.messages.command),
        "versions": dict(versions),
        "profile": {"run": summary.profile.to_json(), "training": artifact.training_profile.to_json()},
        "timings": {stage: round(seconds, 3) for stage, seconds in summary.timings.items()},
    }
    text = io.StringIO()  # `json.dumps` would first make a list of millions of pieces
    text.writelines(json.JSONEncoder(indent=2).iterencode(manifest))
    text.write("\n")
    storage.publish_bytes(text.getvalue().encode(), layout.manifest_path(config.output.directory))
    if manifest["not_a_success"] is None:
        storage.publish_bytes(b"", layout.success_path(config.output.directory))
    return manifest
