"""The output directory: whether it may be used, and which of its files are ours."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil

from batch_scorer import storage
from batch_scorer.config import OutputConfig
from batch_scorer.errors import JobError, OutputError, StoreError, UnavailableError
from batch_scorer.planning.places import read_again, takes_in
from batch_scorer.planning.plan import Plan
from batch_scorer.planning.shards import Shards
from batch_scorer.runs import layout, plan_files
from batch_scorer.runs.layout import OURS

REPORT_MARK = b'<meta name="generator" content="batch-scorer'  # near the beginning of every report
_HEAD_BYTES = 1 << 16


def prepare(config: OutputConfig, plan: Plan, shards: Shards) -> tuple[Plan, Shards]:
    """Checks that the output may be written, and returns the plan to run and its shards. Changes nothing.

    Raises:
        OutputError: it is not empty, is not ours to overwrite, cannot be written, or holds another run to resume; or
            an input is a glob that would take in the run's own files.
    """
    output = config.directory
    for name in (found["input"] for found in plan.inputs):
        if any(takes_in(name, path) for path in layout.examples(output)):
            raise read_again(output, name)
    has_run = _is_ours(layout.plan_path(output))
    if config.resume and has_run:
        plan, shards = plan_files.resumed(plan, shards, output, config.run_id)
        return dataclasses.replace(plan, started=_started(output)), shards
    names = storage.names_in(output) if storage.is_remote(output) else _names(output)
    names = [name for name in names if name != layout.CLAIM]
    if config.resume or config.overwrite:  # a crash before the plan was complete leaves these
        names = [name for name in names if name != layout.PIECES and not name.endswith(storage.DRAFT)]
    # A store's listing may lag behind: the plan was found by its name.
    if (names or has_run) and not (config.overwrite and has_run):
        raise OutputError(
            "the output directory is not empty",
            where=output,
            expected="a new or empty directory",
            got="an earlier run" if has_run else "files that are not a run of batch-scorer",
            fix="choose another --output"
            + (", or give --resume to continue it, or --overwrite to delete it" if has_run else ""),
        )
    return plan, shards


def _started(output: str) -> str | None:
    """When a finished run in `output` was started: it is no newer for being resumed, to repair a part for instance."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return str(json.loads(storage.read_bytes(layout.manifest_path(output)))["started"])
    return None


def _is_ours(path: str) -> bool:
    """Whether the file at `path` is a plan of batch-scorer; other tools write a `plan.json` too."""
    try:
        plan = json.loads(storage.read_bytes(path)) if storage.exists(path) else None
    except (OSError, ValueError):
        return False
    return isinstance(plan, dict) and {"run_id", "plan_hash"} <= plan.keys()


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
            got=f"no permission to write in {parent}",
            fix="choose another --output",
        )
    return []


def unwritable(output: str, error: OSError) -> OutputError:
    """The error to raise if the first files of a run cannot be written."""
    return OutputError(
        "the output cannot be written",
        where=output,
        expected="a directory in which files can be created",
        got=str(error),
        fix="choose another --output, or fix its permissions or free disk space",
    )


def begin(config: OutputConfig, plan: Plan) -> None:
    """Makes room: deletes an earlier run if it is to be overwritten, and what a crash left half-written.

    The plan stays until the new one takes its place: without it, nobody could tell that the directory is ours.

    Raises:
        OSError: nothing can be written, and so nothing is deleted.
    """
    if not (config.overwrite or config.resume):
        return
    if config.overwrite:
        probe = storage.join(config.directory, f".{layout.PLAN}{storage.DRAFT}")
        storage.publish_bytes(json.dumps(plan.to_json()).encode(), probe)
        storage.delete([probe])
    if not storage.is_remote(config.directory):
        storage.delete([storage.join(config.directory, layout.STAGING)])
        _delete_drafts(config.directory)
    for folder, name in OURS.items() if config.overwrite else [("", OURS[""])]:
        _delete(config.directory, folder, name)
    if config.overwrite:
        report = storage.join(config.directory, layout.REPORT)
        with contextlib.suppress(OSError):  # if it cannot be read, it may not be ours
            if storage.exists(report) and is_report(report):
                storage.delete([report])  # else it could be taken for a report on the new run
    elif _plan_hash(config.directory) not in (None, plan.plan_hash):  # inputs were repaired, and all shards are others
        _delete(config.directory, layout.MARKERS, OURS[layout.MARKERS])


def _plan_hash(output: str) -> str | None:
    """The hash of the plan in `output`, if there is one."""
    path = layout.plan_path(output)
    return json.loads(storage.read_bytes(path))["plan_hash"] if storage.exists(path) else None


def write(plan: Plan, shards: Shards, config: OutputConfig) -> None:
    """Makes room for a run, and writes its plan.

    Raises:
        OutputError: nothing can be written; an earlier run is as it was.
        JobError: an earlier run is deleted, and the plan cannot be written.
    """
    try:
        begin(config, plan)
    except OSError as error:
        raise unwritable(config.directory, error) from error
    try:
        plan_files.write_plan(plan, shards, config.directory)
    except OSError as error:
        if config.overwrite:
            raise JobError(
                "the plan cannot be written, after the earlier run was deleted",
                where=config.directory,
                got=str(error),
                fix="free disk space or fix the permissions, then run the same command again",
            ) from error
        if not config.resume:  # else the next attempt would find a directory that is not empty
            _delete(config.directory, layout.PIECES, OURS[layout.PIECES])
        raise unwritable(config.directory, error) from error


def withdraw(output: str) -> None:
    """Removes the plan of a run that was refused after all, when nothing else had been written."""
    finish(output)
    storage.delete([layout.plan_path(output)])
    _delete(output, layout.PIECES, OURS[layout.PIECES])


def is_report(path: str) -> bool:
    """Whether the file at `path` is a page that `report` wrote.

    Raises:
        OSError: it cannot be read.
    """
    with storage.open_read(path) as file:
        return REPORT_MARK in file.read(_HEAD_BYTES)


def _delete(output: str, folder: str, name: str) -> None:
    """Deletes the files in `folder` whose names match the regular expression `name`, and no others."""
    place = storage.join(output, folder)
    if folder and not storage.is_remote(output) and os.path.islink(place):
        storage.delete([place])  # but not what it points to, which is not ours
        return
    files = storage.match_in(place, "*")
    storage.delete([file.path for file in files if re.fullmatch(name, os.path.basename(file.path))])
    if folder and not storage.is_remote(output):
        with contextlib.suppress(OSError):
            os.rmdir(place)  # unless somebody else put a file there


def is_complete(output: str) -> bool:
    """Whether `output` holds a successful run, as far as is known: False if a store does not answer."""
    with contextlib.suppress(StoreError, UnavailableError):
        return storage.exists(layout.success_path(output))
    return False


def finish(output: str) -> None:
    """Removes the folder that parts were built in, and from a finished run what workers that died have left."""
    if not storage.is_remote(output):
        shutil.rmtree(storage.join(output, layout.STAGING), ignore_errors=True)
        if is_complete(output):  # else workers elsewhere may still be writing
            _delete_drafts(output)


def remove_index(output: str) -> None:
    """Removes the list of the records of earlier runs, which a run that has come to its end does not need."""
    with contextlib.suppress(OSError, StoreError, UnavailableError):  # all else is done
        _delete(output, layout.EARLIER, OURS[layout.EARLIER])


def _delete_drafts(output: str) -> None:
    for folder in OURS:
        storage.delete([found.path for found in storage.match_in(storage.join(output, folder), f".*{storage.DRAFT}")])
