"""Verdicts: whether a job ended as it may, and whether its output holds every row, once, byte for byte."""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.chaos.faults import PATIENCE_S, Fault
from tests.chaos.jobs import Ended

Place = tuple[str, int | None]  # source and offset
# What a finished run may consist of; all else was left over.
_OURS = re.compile(
    r"_SUCCESS|manifest\.json|plan\.json|plan/\d{5}\.jsonl|shards/\d{5}\.json|(predictions|errors)/part-\d{5}\.parquet"
)
# A signal that comes before the command heeds it ends Python, or click, in their own ways: then nothing was begun.
_TOO_EARLY = (-signal.SIGTERM, -signal.SIGINT, 1)


@dataclass(frozen=True)
class Content:
    """What an output holds.

    Args:
        parts: sha256 of each, by its path in the output.
        places: how often the record of each place is there.
        repeated_ids: predictions whose id an earlier one has too.
        manifest: None if it is missing.
        success: whether `_SUCCESS` exists.
        strangers: files and folders that do not belong to a finished run.
    """

    parts: dict[str, str]
    places: Counter[Place]
    repeated_ids: int
    manifest: dict[str, Any] | None
    success: bool
    strangers: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """What is wrong with an output, compared with that of an undisturbed run.

    Args:
        different: parts that are missing, surplus or have other bytes.
        lost, doubled: rows.
        problems: all of it in words.
    """

    different: int
    lost: int
    doubled: int
    problems: tuple[str, ...]


def content(output: Path) -> Content:
    """What `output` holds."""
    parts, places, ids = {}, Counter[Place](), Counter[str]()
    for path in sorted(output.glob("*/part-*.parquet")):
        name = str(path.relative_to(output))
        parts[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        rows = pq.read_table(path, columns=["source", "offset", "record_id"]).to_pydict()
        places.update(zip(rows["source"], rows["offset"], strict=True))
        ids.update(rows["record_id"] if name.startswith("predictions/") else ())
    manifest = output / "manifest.json"
    everything = (path for path in output.rglob("*") if not path.is_dir() or path.name.startswith("."))
    names = [str(path.relative_to(output)) for path in everything]
    return Content(
        parts,
        places,
        sum(ids.values()) - len(ids),
        json.loads(manifest.read_bytes()) if manifest.exists() else None,
        (output / "_SUCCESS").exists(),
        tuple(sorted(name for name in names if not _OURS.fullmatch(name))),
    )


def compare(undisturbed: Content, found: Content, records: int, unreadable: int) -> Loss:
    """What keeps `found` from being a finished run over so many records, equal to the undisturbed one."""
    names = undisturbed.parts.keys() | found.parts.keys()
    different = sum(undisturbed.parts.get(name) != found.parts.get(name) for name in names)
    lost = (undisturbed.places - found.places).total()
    doubled = (found.places - undisturbed.places).total()
    said = list(_missing(undisturbed, found, records, unreadable))
    if different:
        said.append(f"{different} parts differ from the undisturbed run's")
    if lost or doubled:
        said.append(f"{lost} rows are lost, {doubled} are there that should not be")
    return Loss(different, lost, doubled, tuple(said))


def _missing(undisturbed: Content, found: Content, records: int, unreadable: int) -> Iterator[str]:
    if not found.success:
        yield "there is no _SUCCESS"
    if found.strangers:
        yield f"left over: {', '.join(found.strangers)}"
    if found.repeated_ids:
        yield f"{found.repeated_ids} predictions have an id that an earlier one has"
    if found.manifest is None or undisturbed.manifest is None:
        yield "there is no manifest"
        return
    counts = found.manifest["counts"]
    if (records, unreadable) != (counts["read"], counts["unreadable"]):
        yield f"there are {records} records and {unreadable} damaged ranges, and the manifest says {counts}"
    for key in ("counts", "parts", "run_id", "not_a_success"):
        if undisturbed.manifest[key] != found.manifest[key]:
            yield f"the manifest's {key} differ from the undisturbed run's"
    if {part["path"]: part["sha256"] for part in found.manifest["parts"]} != found.parts:
        yield "the manifest's parts are not those that are there"
    rows = sum(part["rows"] for part in found.manifest["parts"])
    if records + unreadable != rows:
        yield f"the manifest's parts have {rows} rows, not {records + unreadable}"


def complaints(
    ended: Ended, fault: Fault, output: Path, struck_at: float, patience_s: float = PATIENCE_S
) -> Iterator[str]:
    """What is wrong with how a job ended after a fault; `compare` looks at its output."""
    if ended.code is None:
        yield f"it had not ended {patience_s:g} s after the fault"
        return
    if ended.left:
        yield f"processes were left: {'; '.join(ended.left)}"
    if ended.in_tmp:
        yield f"temporary files were left: {', '.join(ended.in_tmp)}"
    if ended.at - struck_at > patience_s:
        yield f"it ended {ended.at - struck_at:.0f} s after the fault"
    success = (output / "_SUCCESS").exists()
    if success and ended.code < 0:
        return  # its work was done, and it had only to end itself
    if not output.exists() and ended.code in _TOO_EARLY and 0 in fault.ends and "error:" not in ended.said:
        return
    yield from _complaints_of_message(ended.code, ended.said, fault)
    if ended.code and success:
        yield f"exit code {ended.code}, and yet there is a _SUCCESS"
    if ended.code == 1 and not fault.disk and (output / ".staging").exists():
        yield "the folder for parts in the making was left"


def _complaints_of_message(code: int, said: str, fault: Fault) -> Iterator[str]:
    if code not in fault.ends:
        yield f"exit code {code}, expected one of {sorted(fault.ends)}"
    elif not re.search(fault.ends[code], said[said.rfind("error: ") :]):
        yield f"it does not say what happened: {fault.ends[code]}"
    if "Traceback" in said:
        yield "a traceback is shown"
    if code in (1, 2) and not re.search(r"^error: .+\n  where: ", said, re.MULTILINE):
        yield "it does not say where"
    if code == 1 and "--resume" not in said:
        yield "it does not say how to resume"
