"""The output directory: whether it may be used, and what of it is ours."""

from __future__ import annotations

import json
import os
import shutil

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import OutputError
from batch_scorer.plan import Plan, resumed
from batch_scorer.write import STAGING

# All that a run writes, `_SUCCESS` first: a directory that is being emptied must not look complete.
OURS = ("_SUCCESS", "manifest.json", "shards", "predictions", "errors", "plan", STAGING, "plan.json")


def prepare(config: ScoreConfig, plan: Plan) -> Plan:
    """Checks that the output may be written, and returns the plan to run. Changes nothing.

    Raises:
        OutputError: it is not empty, is not ours to overwrite, cannot be written, or holds another run to resume.
    """
    output = config.output
    stands = _is_ours(storage.join(output, "plan.json"))
    if config.resume and stands:
        return resumed(plan, output)
    left = [f.path for f in storage.match(storage.join(output, ""))] if storage.is_remote(output) else _names(output)
    if config.resume:  # a crash before the plan was whole leaves these
        left = [name for name in left if name != "plan" and not name.endswith(storage.DRAFT)]
    empty = not left
    if not empty and not (config.overwrite and stands):
        raise OutputError(
            "the output directory is not empty",
            where=output,
            expected="a new or an empty directory",
            got="an earlier run" if stands else "files that are not a run of batch-scorer",
            fix="choose another --output"
            + (", or give --resume to go on with it, or --overwrite to delete it" if stands else ""),
        )
    return plan


def _is_ours(path: str) -> bool:
    """Whether a plan of batch-scorer stands at `path`; other tools write a `plan.json` too."""
    try:
        found = json.loads(storage.read_bytes(path)) if storage.exists(path) else None
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and {"run_id", "plan_hash"} <= found.keys()


def _names(output: str) -> list[str]:
    if os.path.isdir(output):
        return os.listdir(output)
    if os.path.lexists(output):
        raise OutputError("the output is not a directory", where=output, fix="choose another --output")
    parent = os.path.dirname(os.path.abspath(output))
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        raise OutputError(
            "the output directory cannot be created",
            where=output,
            got=f"the file {parent}",
            fix="choose another --output",
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            "the output directory cannot be created",
            where=output,
            got=f"no right to write in {parent}",
            fix="choose another --output",
        )
    return []


def begin(config: ScoreConfig) -> None:
    """Makes room: deletes an earlier run that is to be overwritten, or what a crash left half-written."""
    if config.overwrite:
        targets = list(OURS)
    elif config.resume:
        targets = ["_SUCCESS", "manifest.json", STAGING]
    else:
        targets = []
    if config.resume and not storage.is_remote(config.output):
        for folder in ("", "plan", "shards"):
            drafts = storage.match_in(storage.join(config.output, folder), f".*{storage.DRAFT}")
            storage.delete([draft.path for draft in drafts])
    for name in targets:
        path = storage.join(config.output, name)
        storage.delete([path + "/**" if storage.is_remote(path) and "." not in name and name != "_SUCCESS" else path])


def finish(config: ScoreConfig) -> None:
    """Removes the folder in which parts were built."""
    if not storage.is_remote(config.output):
        shutil.rmtree(storage.join(config.output, STAGING), ignore_errors=True)
