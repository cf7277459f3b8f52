"""Schemas of what commands print with --json: the plan of a dry run, the end of a job, a model or a run, a check."""

from __future__ import annotations

from batch_scorer.models.json_schema import COUNT, NUMBER, SHARE, TEXT, Json, list_of, object_of
from batch_scorer.runs.caveats import CAVEATS

_TEXT_OR_NULL: Json = {"type": ["string", "null"]}
_COUNT_OR_NULL: Json = {"type": ["integer", "null"], "minimum": 0}
_NUMBER_OR_NULL: Json = {"type": ["number", "null"]}
_SHARE_OR_NULL: Json = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_SECONDS: Json = {**NUMBER, "minimum": 0}
_COUNTS: Json = object_of(
    {name: COUNT for name in ("read", "scored", "rejected", "unreadable", "empty", "passed_over")},
    required=["read", "scored", "rejected", "unreadable"],
)
_INPUTS = list_of(object_of({"input": TEXT, "formats": {"type": "object"}, "files": COUNT, "bytes": COUNT}))
_COST: Json = {
    "vcpu_hours": {**_SECONDS, "description": "a local process counts as one vCPU"},
    "cost": {**_NUMBER_OR_NULL, "description": "of the vCPU-hours at --price-per-vcpu-hour; null without it"},
}
_TIMES: Json = {
    "start_s": {**_SECONDS, "description": "until the first review is scored"},
    "total_s": {**_SECONDS, "description": "start and scoring"},
}
_LOCAL = object_of(
    {"where": {"const": "this machine"}, "processes": COUNT, "reviews_per_s": _SECONDS, **_TIMES, **_COST}
)
_DATAFLOW = object_of(
    {
        "where": {"const": "Dataflow"},
        "machine": TEXT,
        "workers": {**COUNT, "description": "the most there may be"},
        "vcpus": {**COUNT, "description": "of all of them"},
        "here_per_s": {**_SECONDS, "description": "reviews a second of one process of this machine, measured"},
        "vcpu_share": {**SHARE, "description": "what a vCPU does of that, assumed"},
        **_TIMES,
        **_COST,
    }
)
DRY_RUN = object_of(
    {
        "run_id": TEXT,
        "output": TEXT,
        "model_id": TEXT,
        "model_name": TEXT,
        "reviews": COUNT,
        "estimated": {"type": "boolean", "description": "whether the number of reviews is an estimate"},
        "shards": COUNT,
        "inputs": _INPUTS,
        "text_column": TEXT,
        "id_column": _TEXT_OR_NULL,
        "kept": list_of(object_of({"name": TEXT, "output_name": TEXT, "type": TEXT})),
        "limit": _COUNT_OR_NULL,
        "notices": list_of(TEXT),
        "unreadable": {**COUNT, "description": "files that cannot be read, as far as planning shows"},
        "unreadable_files": {
            **list_of(object_of({"path": TEXT, "reason": TEXT})),
            "description": "the first hundred of them",
        },
        "runner": {**TEXT, "description": "local, or the one that was asked for after --"},
        "estimate": {"oneOf": [_LOCAL, _DATAFLOW, {"type": "null"}]},
    }
)
SUMMARY = object_of(
    {
        "run_id": TEXT,
        "output": TEXT,
        "files": {**COUNT, "description": "that the inputs matched"},
        "counts": _COUNTS,
        "rejected": {
            "type": ["object", "null"],
            "additionalProperties": COUNT,
            "description": "records and unreadable files by code; null where they are in too many parts to be counted",
        },
        "success": {"type": "boolean"},
        "not_a_success": {**_TEXT_OR_NULL, "description": "why there is no _SUCCESS, if there is none"},
        "exit_code": {"enum": [0, 3]},
        "seconds": _SECONDS,
        "reviews_per_s": _SECONDS,
        "reviews_before": {**COUNT, "description": "reviews that an earlier attempt had scored"},
        "processes": {**_COUNT_OR_NULL, "description": "local ones that scored; null where a runner has its own"},
        "positive": {**_SHARE_OR_NULL, "description": "share of the reviews; null if nothing was scored"},
        "timings": {"type": "object", "additionalProperties": NUMBER, "description": "seconds of the workers by stage"},
        "model_id": TEXT,
        "model_name": TEXT,
        "predictions": {**TEXT, "description": "a glob"},
        "errors": {**_TEXT_OR_NULL, "description": "a glob; null if nothing was rejected or unreadable"},
        "warnings": list_of(TEXT),
        "notices": list_of(TEXT),
        "unreadable_files": {**list_of(TEXT), "description": "the first of them, each with the reason"},
    }
)
SUMMARY["properties"] |= CAVEATS  # where they were asked for

_SHIFT = object_of({"stability_index": NUMBER, "grade": TEXT})
_MODEL = object_of({"kind": {"const": "model"}, "path": TEXT, "model_id": TEXT, "manifest": {"type": "object"}})
_UNFINISHED = object_of(
    {"kind": {"const": "run"}, "path": TEXT, "state": {"const": "unfinished"}, "shards": COUNT, "shards_done": COUNT}
)
_FINISHED = object_of(
    {
        "kind": {"const": "run"},
        "path": TEXT,
        "state": {"enum": ["complete", "not a success"]},
        "positive": {**_SHARE_OR_NULL, "description": "share of the reviews; null if nothing was scored"},
        "shift": {
            **object_of({name: _SHIFT for name in ("scores", "lengths", "unknown_words")}),
            "type": ["object", "null"],
            "description": "against the training data; null if nothing was scored",
        },
        "rejected": list_of(object_of({"stage": TEXT, "code": TEXT, "records": COUNT})),
        "first_predictions": {**list_of({"type": "object"}), "description": "as many as --rows"},
        "manifest": {"type": "object", "description": "manifest.json of the run"},
    }
)
CHECK = object_of(
    {
        "output": TEXT,
        "run_id": TEXT,
        "against": {**TEXT, "description": "what the run was compared with, in words"},
        "references": {**list_of(TEXT), "description": "run_ids of the earlier runs"},
        "ok": {"type": "boolean", "description": "whether no limit is broken"},
        "exit_code": {"enum": [0, 4]},
        "measures": list_of(
            object_of(
                {
                    "name": TEXT,
                    "value": NUMBER,
                    "limit": {**_NUMBER_OR_NULL, "description": "null if it is off"},
                    "broken": {"type": "boolean", "description": "over the limit, and by more than chance explains"},
                    "sentence": {**TEXT, "description": "what the value says, with the figures behind it"},
                }
            )
        ),
        "notes": {**list_of(TEXT), "description": "what could not be measured, and why"},
    }
)
INSPECT: Json = {"oneOf": [_MODEL, _UNFINISHED, _FINISHED]}
