"""What the shards did, summed up -> the manifest of the run and, if it succeeded, `_SUCCESS`."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.config import RECORD, ScoreConfig
from batch_scorer.errors import JobError
from batch_scorer.escape import counted
from batch_scorer.models import profile
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.tokenizer_schema import words_settings
from batch_scorer.planning.plan import Plan, passed_over
from batch_scorer.runs import caveats, layout
from batch_scorer.runs.finished import REPEATED_IDS
from batch_scorer.runs.layout import Part
from batch_scorer.runs.markers import Summary
from batch_scorer.runs.verdict import all_empty, verdict
from batch_scorer.schema import predictions_schema, schema_version
from batch_scorer.storage.parallel import read_ahead

IDS_COMPARED = 5_000_000  # more would take too long: a single worker compares them


def _nothing_scored(counts: Mapping[str, int], is_success: bool, passed_over: int = 0) -> list[str]:
    """A notice for a run that succeeded without a row: it may have been pointed at the wrong place."""
    if counts["scored"] or counts["unreadable"] or not is_success:
        return []
    if not counts["read"] and passed_over:
        return ["nothing was scored: the inputs have nothing new"]
    if not counts["read"]:
        return ["nothing was scored: the inputs have no records"]
    return [all_empty(counts)] if counts["empty"] else []


def _passed_records(count: int) -> list[str]:
    """A notice of the records that were not read again, where there are any."""
    were = f"passed over {counted(count, 'record')} that earlier runs have read, with the same id and text"
    return [were] if count else []


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
    more = "; one table of all nights has only the rows of an id's newest night" if plan.after else ""
    return [f"{repeated:,} {have} {REPEATED_IDS}{plan.fields.id!r}) as an earlier one{more}"]


def optional_columns(plan: Plan, artifact: Artifact) -> tuple[str, ...]:
    """Those of `schema.OPTIONAL_COLUMNS` that the predictions of a run have: by its model, and by what was asked."""
    return (*artifact.optional_columns, *plan.asked_columns)


def _part_without_rows(plan: Plan, artifact: Artifact, output: str) -> Part:
    """Writes the one part of a run that scored nothing, so that whoever reads its predictions finds their columns."""
    optional = optional_columns(plan, artifact)
    schema = predictions_schema(plan.fields.kept_schema, plan.run_id, plan.model_id, optional)
    sink, path = io.BytesIO(), layout.part_name(layout.PREDICTIONS, 0)
    pq.write_table(schema.empty_table(), sink, compression="zstd", use_compliant_nested_type=True)
    storage.publish_bytes(sink.getvalue(), storage.join(output, path))
    return Part(path, 0, hashlib.sha256(sink.getvalue()).hexdigest())


def commit(
    summary: Summary,
    parts: Sequence[Part],
    plan: Plan,
    artifact: Artifact,
    bias: float,
    config: ScoreConfig,
    versions: Mapping[str, str],
    started: str,
    finished: str,
) -> dict[str, Any]:
    """Writes the manifest and, if the run succeeded, `_SUCCESS`; before them, a part without rows if it scored nothing.

    Returns:
        The manifest.

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
    if not summary.counts.scored:
        parts = [_part_without_rows(plan, artifact, config.output.directory), *parts]
    storage.delete(layout.strays(config.output.directory, {part.path for part in parts}, plan.shard_count))
    counts, passed, by_record = summary.counts.to_json(), passed_over(plan), plan.after_by == RECORD
    if by_record:
        counts["passed_over"] = summary.counts.passed_over
        passed["records"] = summary.counts.passed_over
    job, optional = config.job, optional_columns(plan, artifact)
    not_a_success = verdict(counts, job.max_error_rate, job.allow_unreadable, job.allow_empty)
    manifest = {
        "schema_version": schema_version(optional),
        "columns": predictions_schema(pa.schema([]), "", "", optional).names,
        "run_id": plan.run_id,
        "model_id": plan.model_id,
        "model_name": artifact.manifest["name"],
        "bias": bias,
        "temperature": artifact.temperature,
        "threshold": artifact.threshold,
        "max_words": artifact.tokenizer.max_words,
        "long_texts": artifact.long_texts,
        "max_windows": artifact.tokenizer.max_windows,
        "tokenizer": words_settings(artifact.tokenizer),
        "top_k": plan.top_k,
        # As in the plan: a run without them has the manifest that it always had.
        **({"sentences": True} if plan.segments.sentences else {}),
        **({"spans": plan.segments.spans} if plan.segments.spans else {}),
        "precision": plan.precision,
        "counts": counts,
        **caveats.stated(plan, artifact, summary.caveats),
        "parts": [dataclasses.asdict(part) for part in sorted(parts, key=lambda part: layout.order_of(part.path))],
        "inputs": list(plan.inputs),
        **({"after": list(plan.after), "passed_over": passed} if plan.after else {}),
        **({"after_by": plan.after_by} if by_record else {}),
        "notices": [
            *plan.notices,
            *_passed_records(summary.counts.passed_over),
            *_repeated_ids(parts, plan, config.output.directory),
            *_nothing_scored(counts, not_a_success is None, passed["files"] + summary.counts.passed_over),
        ],
        "warnings": profile.warnings(summary.profile, artifact.training_profile),
        "not_a_success": not_a_success,
        "started": started,
        "finished": finished,
        "command": list(config.messages.command),
        "versions": dict(versions),
        "profile": {"run": summary.profile.to_json(), "training": artifact.training_profile.to_json()},
        "workers": dict(sorted(summary.workers.items())),
        "timings": {stage: round(seconds, 3) for stage, seconds in summary.timings.items()},
    }
    text = io.StringIO()  # `json.dumps` would first make a list of millions of pieces
    text.writelines(json.JSONEncoder(indent=2).iterencode(manifest))
    text.write("\n")
    storage.publish_bytes(text.getvalue().encode(), layout.manifest_path(config.output.directory))
    if not_a_success is None:
        storage.publish_bytes(b"", layout.success_path(config.output.directory))
    return manifest
