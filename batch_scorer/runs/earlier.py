"""The runs of `--after`: which files and records they have read, so that another run can pass over them.

Each is the directory of a run, or a folder of runs, one for each night. Where two have read a file, the
newer one counts.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_scorer import storage
from batch_scorer.config import FLOAT32, RECORD, ScoreConfig
from batch_scorer.errors import RefusedError
from batch_scorer.planning.places import is_inside, leads_to
from batch_scorer.planning.plan import Plan
from batch_scorer.planning.read_before import NOTHING, ReadBefore
from batch_scorer.runs import finished, layout, plan_files
from batch_scorer.runs.claim import is_claimed
from batch_scorer.runs.finished import Run
from batch_scorer.runs.repaired import unreadable_sources
from batch_scorer.schema import printable

# Settings of a plan that change no row of a file that was read to the end.
_FREE: dict[str, Any] = dict.fromkeys(
    ("limit", "shard_rows", "excerpts", "after", "after_by", "earlier_records", "text_hash")
)

_RUNNING = "is still running"


@dataclass(frozen=True)
class Earlier:
    """Finished runs, oldest first, and what they have read."""

    runs: tuple[Run, ...] = ()
    read: ReadBefore = NOTHING

    @staticmethod
    def of(config: ScoreConfig) -> Earlier:
        """The runs that `--after` names; none without it.

        Raises:
            RefusedError: one that is named itself is missing, not finished, no success, or limited to some records; or
                one in a folder is still running; or one is damaged, or has no hashes of texts where these are needed.
        """
        runs: dict[str, Run] = {}  # by where they are: a link to the latest of a folder may be given as well
        notices: list[str] = []
        for place in config.input.after:
            if _is_folder(place):
                in_it = [*runs_in(place, config.output.directory, notices, alone=True)]
                if not in_it:
                    notices.append(f"--after {place}: no finished run is in it, so nothing is passed over")
            elif reason := _unfit(place):
                raise RefusedError(
                    f"an earlier run {reason}",
                    where=f"--after {place}",
                    expected="the output of a `batch-scorer score` that succeeded, or a folder of such outputs",
                    fix="finish it with --resume, or leave it out: what it has read is then scored again",
                )
            else:
                in_it = [finished.open_run(place)]
            for run in in_it:
                runs.setdefault(leads_to(run.output), run)
        in_order = finished.oldest_first(runs.values())
        names = tuple({"output": run.output, "run_id": str(run.manifest["run_id"])} for run in in_order)
        stamps: dict[str, tuple[int, float]] = {}
        for run in in_order:
            try:
                for path, stamp in _read_to_the_end(run):
                    stamps.pop(path, None)  # the newest last: another path may lead to the same file
                    stamps[path] = stamp
            except (OSError, LookupError, TypeError, ValueError) as error:
                got = f"its plan or errors: {type(error).__name__}: {error}"
                raise finished.damaged(
                    run.output, got, "leave it out: what it has read is then scored again"
                ) from error
        records = _records(in_order) if config.input.after_by == RECORD else None
        return Earlier(tuple(in_order), ReadBefore(names, stamps, tuple(notices), records))

    def check(self, plan: Plan) -> None:
        """Refuses to go on from runs whose rows are not like those of `plan`: one table could not hold both.

        Raises:
            RefusedError: a run is of another model, or had other options.
        """
        for run in self.runs:
            changes = [*plan_files.changed_settings(_settings(run.plan), _settings(plan.to_json()))]
            if changes:
                raise RefusedError(
                    "an earlier run was of another model or had other options",
                    where=f"--after {run.output}",
                    expected="the same, so that the runs make up one table",
                    got="; ".join(changes),
                    fix="give the model and options of that run, or leave --after out to score all files again",
                )


def _records(runs: Sequence[Run]) -> dict[str, Any] | None:
    """`ReadBefore.records` of some runs.

    Raises:
        RefusedError: one has no hashes of its texts.
    """
    rows, digest = 0, hashlib.sha256()
    for run in runs:
        if "text_hash" not in run.columns:
            raise RefusedError(
                "an earlier run has no hashes of its texts",
                where=f"--after {run.output}",
                expected="the column text_hash in its predictions",
                got="a run with --no-text-hash, or of an earlier version",
                fix="go by file, without --after-by; or score once more into another folder, and go on from there",
            )
        digest.update(b"a run\n")
        for part in run.manifest["parts"]:  # its hash is of all that is in it, the run_id included
            rows += part["rows"]
            digest.update(f"{part['path']} {part['sha256']}\n".encode())
    return {"rows": rows, "fingerprint": digest.hexdigest()} if rows else None


def _settings(plan: Mapping[str, Any]) -> dict[str, Any]:
    """What the plans of runs of one table have in common; the types of kept columns follow from their inputs."""
    return {"precision": FLOAT32, **plan, **_FREE, "kept": [{**kept, "type": ""} for kept in plan["kept"]]}


def _is_folder(place: str) -> bool:
    """Whether a place is for runs, rather than a run: a folder without a plan, or one that does not exist yet."""
    if storage.exists(layout.plan_path(place)):
        return False
    if storage.exists(place):
        return storage.is_directory(place)
    return not glob.has_magic(place)  # nothing expands a pattern here, and no folder will be called so


def runs_in(folder: str, output: str | None, notices: list[str], alone: bool = False) -> Iterator[Run]:
    """The finished runs directly in a folder, except the one in `output`, if that is given.

    Args:
        notices: gets a sentence for each run that is not finished or no success.
        alone: whether no other may be running now: it would read what the caller is about to read.

    Raises:
        RefusedError: one is.
    """
    names = sorted(storage.names_in(folder)) if storage.is_directory(folder) else []
    places = set[str]()  # a link may name the latest of them
    paths = sorted((storage.join(folder, name) for name in names), key=os.path.islink)  # a run by its own name first
    for path in paths:
        place = leads_to(path)
        if place in places or not storage.exists(layout.plan_path(path)):
            continue
        if output is not None and is_inside(path, output):
            continue
        places.add(place)
        reason = _unfit(path)
        if reason == _RUNNING and alone:
            raise RefusedError(
                f"an earlier run {reason}",
                where=path,
                fix="wait for it to finish: two runs at once would score the same files"
                + ("; if it was killed, try again in two minutes" if storage.is_remote(path) else ""),
            )
        if reason:
            notices.append(f"{path} {reason}, so it does not count")
        else:
            yield finished.open_run(path)


def open_all(places: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs in some places, each of which is a run or a folder of runs, and a sentence on each that does not count.

    Those of a folder come oldest first. A link to a run that is there by its own name is left out.

    Raises:
        RefusedError: a place is neither, or a run that is named itself is not finished or damaged.
    """
    runs, notices = list[Run](), list[str]()
    for place in places:
        in_it: list[Run] = []
        if _is_folder(place):
            in_it = finished.oldest_first(runs_in(place, None, notices))
        runs += in_it or [finished.open_run(place)]
    named = {run.output for run in runs if not os.path.islink(run.output)}
    links = {run.output for run in runs if os.path.islink(run.output) and os.path.realpath(run.output) in named}
    return [run for run in runs if run.output not in links], notices


def _unfit(path: str) -> str | None:
    """Why nothing can go on from the run in `path`, or None."""
    if not storage.exists(layout.manifest_path(path)):
        if not storage.exists(layout.plan_path(path)):
            return "is not a run"
        return _RUNNING if is_claimed(path) else "is not finished"
    run = finished.open_run(path)
    if not run.complete:
        return f"is not a success ({run.manifest['not_a_success'] or f'it has no {layout.SUCCESS}'})"
    return "read only the first records (--limit)" if run.plan.get("limit") is not None else None


def _read_to_the_end(run: Run) -> Iterator[tuple[str, tuple[int, float]]]:
    """The files of a run that it has read to the end, with what they were when it was planned."""
    damaged = run.manifest["counts"]["unreadable"]
    unreadable = {source for part in run.errors for source in unreadable_sources(part)} if damaged else set()
    for shard in plan_files.read_shards(run.output, run.plan["shards"]):
        for path, stamp in zip(shard.paths, shard.stamps, strict=True):
            if not unreadable or printable(path) not in unreadable:
                yield path, stamp
