"""The output directory: whether it may be used, and what of it is ours."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from batch_scorer import storage
from batch_scorer.config import OutputConfig
from batch_scorer.errors import OutputError, StoreError, UnavailableError
from batch_scorer.planning.plan import Plan
from batch_scorer.runs import layout
from batch_scorer.runs.layout import OURS
from batch_scorer.runs.plan_files import resumed

REPORT_MARK = b'<meta name="generator" content="batch-scorer'  # in every such page, near its beginning
_HEAD_BYTES = 1 << 16


def prepare(config: OutputConfig, plan: Plan) -> Plan:
    """Checks that the output may be written, and returns the plan to run. Changes nothing.

    Raises:
        OutputError: it is not empty, is not ours to overwrite, cannot be written, or holds another run to resume.
    """
    output = config.directory
    stands = _is_ours(layout.plan_path(output))
    if config.resume and stands:
        return resumed(plan, output)
    left = storage.names_in(output) if storage.is_remote(output) else _names(output)
    if config.resume:  # a crash before the plan was whole leaves these
        left = [name for name in left if name != layout.PIECES and not name.endswith(storage.DRAFT)]
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


@contextmanager
def claimed(output: str) -> Iterator[None]:
    """Holds a local output for this job alone, until the body or the process comes to its end, whichever way.

    A store has no such lock: there the markers tell the parts of one plan from those of another.

    Raises:
        OutputError: another job holds it, or it cannot be made.
    """
    if storage.is_remote(output):
        yield
        return
    try:
        os.makedirs(output, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY)
    except OSError as error:
        raise unwritable(output, error) from error
    try:
        # On the directory itself, so that no file is left over. Some network file systems know no locks.
        with contextlib.suppress(OSError):
            _lock(descriptor, output)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, output: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            "another job is writing to this output",
            where=output,
            fix="wait for it to end, or choose another --output",
        ) from None


def unwritable(output: str, error: OSError) -> OutputError:
    """What is raised where the first files of a run cannot be written."""
    return OutputError(
        "the output cannot be written",
        where=output,
        expected="a directory in which files can be made",
        got=str(error),
        fix="choose another --output, or mend its rights or its disk",
    )


def begin(config: OutputConfig) -> None:
    """Makes room: deletes an earlier run that is to be overwritten, or what a crash left half-written."""
    if not (config.overwrite or config.resume):
        return
    if not storage.is_remote(config.directory):
        storage.delete([storage.join(config.directory, layout.STAGING)])
        for folder in OURS:
            drafts = storage.match_in(storage.join(config.directory, folder), f".*{storage.DRAFT}")
            storage.delete([draft.path for draft in drafts])
    for folder, name in OURS.items() if config.overwrite else [("", OURS[""])]:
        _delete(config.directory, folder, name)
    if config.overwrite:
        report = storage.join(config.directory, layout.REPORT)
        with contextlib.suppress(OSError):  # what cannot be read is not known to be ours
            if storage.exists(report) and is_report(report):
                storage.delete([report])  # else it would pass for one of the new run
        _delete(config.directory, "", re.escape(layout.PLAN))


def is_report(file: str) -> bool:
    """Whether a page of `report` stands at `file`.

    Raises:
        OSError: what stands there cannot be read.
    """
    with storage.open_read(file) as found:
        return REPORT_MARK in found.read(_HEAD_BYTES)


def _delete(output: str, folder: str, name: str) -> None:
    """Deletes the files of `folder` that are called by the regular expression `name`, and no other."""
    place = storage.join(output, folder)
    if folder and not storage.is_remote(output) and os.path.islink(place):
        storage.delete([place])  # what it points to is not ours
        return
    found = storage.match_in(place, "*")
    storage.delete([file.path for file in found if re.fullmatch(name, os.path.basename(file.path))])
    if folder and not storage.is_remote(output):
        with contextlib.suppress(OSError):
            os.rmdir(place)  # unless somebody else put something there


def is_complete(output: str) -> bool:
    """Whether a run that is a success stands in `output`, as far as that can be told."""
    with contextlib.suppress(StoreError, UnavailableError):
        return storage.exists(layout.success_path(output))
    return False


def finish(output: str) -> None:
    """Removes the folder in which parts were built."""
    if not storage.is_remote(output):
        shutil.rmtree(storage.join(output, layout.STAGING), ignore_errors=True)
