"""What `score`, its dry run and `inspect` print with --json: one object each, which `schemas/` describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from batch_scorer.models.profile import Profile, grade_of, stability_index
from batch_scorer.runners.result import finished_fields, positive_share
from batch_scorer.runs import layout
from batch_scorer.runs.rejections import UNREADABLE_SHOWN

if TYPE_CHECKING:
    from batch_scorer.runners.dataflow import Pool
    from batch_scorer.runners.estimate import DataflowEstimate, Estimate
    from batch_scorer.runners.job import PlannedJob
    from batch_scorer.runners.result import JobResult
    from batch_scorer.runs.finished import Run

DAMAGED_LISTED = 100  # files that cannot be read, of perhaps a hundred thousand
Json = dict[str, Any]


def dry_run(job: PlannedJob, output: str, runner: str, estimate: Json | None) -> Json:
    """What a job would do.

    Args:
        runner: `local`, or the name of the one that was asked for after --.
        estimate: of `on_this_machine` or `on_dataflow`; None where nothing can be said.
    """
    plan, damaged, count = job.plan, list[Json](), 0
    for path, reason in (file for shard in job.shards for file in shard.damaged()):
        count += 1
        if count <= DAMAGED_LISTED:
            damaged.append({"path": path, "reason": reason})
    stored = plan.to_json()
    return {
        "run_id": plan.run_id,
        "output": output,
        "model_id": plan.model_id,
        "model_name": job.model.manifest["name"],
        "reviews": plan.reviews,
        "estimated": plan.estimated,
        "shards": plan.shard_count,
        **{name: stored[name] for name in ("inputs", "text_column", "id_column", "kept", "limit", "notices")},
        "unreadable": count,
        "unreadable_files": damaged,
        "runner": runner,
        "estimate": estimate,
    }


def on_this_machine(estimate: Estimate) -> Json:
    """An estimate of a local run."""
    return {"where": "this machine", **dataclasses.asdict(estimate)}


def on_dataflow(pool: Pool, estimate: DataflowEstimate) -> Json:
    """An estimate of a run on Dataflow."""
    from batch_scorer.runners.estimate import VCPU_SHARE

    return {
        "where": "Dataflow",
        "machine": pool.machine,
        "workers": pool.workers_max,
        "vcpus": pool.workers_max * pool.vcpus_each,
        "vcpu_share": VCPU_SHARE,
        **dataclasses.asdict(estimate),
    }


def summary(result: JobResult) -> Json:
    """The end of a job."""
    manifest, counts = result.manifest, result.manifest["counts"]
    has_errors = counts["rejected"] or counts["unreadable"]
    return {
        **finished_fields(result),
        "not_a_success": manifest["not_a_success"],
        "exit_code": 0 if result.is_success else 3,
        "model_id": manifest["model_id"],
        "model_name": manifest["model_name"],
        "predictions": layout.part_glob(result.output, layout.PREDICTIONS),
        "errors": layout.part_glob(result.output, layout.ERRORS) if has_errors else None,
        "warnings": manifest["warnings"],
        "notices": manifest["notices"],
        "unreadable_files": [str(file) for file in result.unreadable[:UNREADABLE_SHOWN]],
    }


def model(directory: str, manifest: Mapping[str, Any], model_id: str) -> Json:
    """A model that has been verified."""
    return {"kind": "model", "path": directory, "model_id": model_id, "manifest": manifest}


def unfinished(output: str, shards: int, done: int) -> Json:
    """A run that has not come to its end."""
    return {"kind": "run", "path": output, "state": "unfinished", "shards": shards, "shards_done": done}


def run(run: Run, rejected: Mapping[tuple[str, str], int], predictions: Iterable[Mapping[str, Any]]) -> Json:
    """A run that came to its end.

    Args:
        rejected: records by stage and code.
        predictions: the first rows.
    """
    profiles = run.manifest["profile"]
    ours, training = (Profile.from_json(profiles[name]) for name in ("run", "training"))
    label, share = positive_share(run.manifest)
    pairs = {
        "scores": (ours.probability, training.probability),
        "lengths": (ours.length, training.length),
        "unknown_words": (ours.oov_rate, training.oov_rate),
    }
    return {
        "kind": "run",
        "path": run.output,
        "state": "complete" if run.complete else "not a success",
        "positive": share if label == "positive" else None,
        "shift": {
            name: {"stability_index": round(stability_index(*pair), 4), "grade": grade_of(*pair)}
            for name, pair in pairs.items()
        }
        if ours.reviews
        else None,
        "rejected": [
            {"stage": stage, "code": code, "records": records} for (stage, code), records in sorted(rejected.items())
        ],
        "first_predictions": list(predictions),
        "manifest": run.manifest,
    }
