"""The names of the files in a run's directory: no other module spells one.

OUT/plan.json  OUT/plan/00000.jsonl ...           what to do; `plan_files` writes and reads it
OUT/predictions/part-00000.parquet ...            one row per review
OUT/errors/part-00000.parquet ...                 one row per record that was not scored
OUT/shards/00000.json ...                         a marker for each finished shard
OUT/manifest.json  OUT/_SUCCESS                   what was done; `_SUCCESS` is written last
OUT/.staging/                                     parts that are being written, in a local output only
OUT/earlier/records-*.u64                         records to pass over, while a run is going on; `record_index` reads it
OUT/.claim.json                                   whose output it is while a job writes there, in a store only
OUT/report.html                                   what `report` writes there
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batch_scorer import storage

PLAN, MANIFEST, SUCCESS, REPORT = "plan.json", "manifest.json", "_SUCCESS", "report.html"
PREDICTIONS, ERRORS = "predictions", "errors"
PIECES, MARKERS, EARLIER = "plan", "shards", "earlier"
CLAIM = ".claim.json"
STAGING = ".staging"  # inside the output: on the same file system, so that a finished part can be renamed

# Everything that a run writes except its plan, folder by folder. `_SUCCESS` comes first: a directory that is being
# emptied must not look complete. Anything else in the output is not ours.
OURS = {
    "": rf"{SUCCESS}|{re.escape(MANIFEST)}",
    MARKERS: r"\d{5,}\.json",
    PREDICTIONS: r"part-\d{5,}\.parquet",
    ERRORS: r"part-\d{5,}\.parquet",
    PIECES: r"\d{5,}\.jsonl",
    EARLIER: r"records-[0-9a-f]{12}\.u64",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A finished file of the output; `path` is relative to the output directory."""

    path: str
    rows: int
    sha256: str


def plan_path(output: str) -> str:
    """Where the plan is."""
    return storage.join(output, PLAN)


def manifest_path(output: str) -> str:
    """Where the manifest is."""
    return storage.join(output, MANIFEST)


def success_path(output: str) -> str:
    """Where `_SUCCESS` is, if the run succeeded."""
    return storage.join(output, SUCCESS)


def claim_path(output: str) -> str:
    """Where the claim of a job on an output in a store is."""
    return storage.join(output, CLAIM)


def piece_name(number: int) -> str:
    """The name of a piece of the plan, relative to the output."""
    return f"{PIECES}/{number:05d}.jsonl"


def index_name(fingerprint: str) -> str:
    """The name of the index of the records of earlier runs, relative to the output; `fingerprint` says of which."""
    return f"{EARLIER}/records-{fingerprint[:12]}.u64"


def part_name(kind: str, shard: int) -> str:
    """The name of a shard's part, relative to the output; `kind` is `PREDICTIONS` or `ERRORS`."""
    return f"{kind}/part-{shard:05d}.parquet"


def order_of(part: str) -> tuple[str, int]:
    """The key by which names of parts are sorted: beyond part 99999, that is not the order of the letters."""
    kind, _, name = part.partition("/")
    return kind, int(name.removeprefix("part-").removesuffix(".parquet"))


def examples(output: str) -> list[str]:
    """One path of each kind of file that a run has, for a look at what it could be mistaken for."""
    parts = (part_name(PREDICTIONS, 0), part_name(ERRORS, 0), piece_name(0), PLAN, MANIFEST, REPORT)
    return [marker_path(output, 0), *(storage.join(output, name) for name in parts)]


def is_part(path: str) -> bool:
    """Whether a relative path is the name of a part."""
    folder, _, name = path.partition("/")
    return folder in (PREDICTIONS, ERRORS) and re.fullmatch(OURS[folder], name) is not None


def strays(output: str, parts: Collection[str], shard_count: int) -> list[str]:
    """The parts and markers in an output that are not of a run: of an earlier attempt, before an input was repaired.

    Args:
        parts: the names of the run's parts.
        shard_count: how many shards it has.
    """
    names = (f"{folder}/{name}" for folder in (PREDICTIONS, ERRORS) for name in _names_in(output, folder))
    others = [storage.join(output, name) for name in names if is_part(name) and name not in parts]
    return others + [marker_path(output, shard) for shard in finished_shards(output) if shard >= shard_count]


def stray_pieces(output: str, pieces: Collection[str]) -> list[str]:
    """The pieces in an output that its plan does not name: of an earlier plan, which was longer."""
    names = (f"{PIECES}/{name}" for name in _names_in(output, PIECES) if re.fullmatch(OURS[PIECES], name))
    return [storage.join(output, name) for name in names if name not in pieces]


def _names_in(output: str, folder: str) -> list[str]:
    return [os.path.basename(file.path) for file in storage.match_in(storage.join(output, folder), "*")]


def parts_of(kind: str, parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The parts in a manifest that are of one kind, `PREDICTIONS` or `ERRORS`."""
    return [part for part in parts if part["path"].startswith(f"{kind}/")]


def part_glob(output: str, kind: str) -> str:
    """A glob that matches the parts of one kind, for people and for SQL."""
    return storage.join(output, kind, "*.parquet")


def marker_path(output: str, shard: int) -> str:
    """Where the marker of a finished shard is."""
    return storage.join(output, MARKERS, f"{shard:05d}.json")


def finished_shards(output: str) -> set[int]:
    """The numbers of the shards that have a marker. Reads no marker: there may be 100 000, in a store."""
    return {*marker_stamps(output)}


def marker_stamps(output: str) -> dict[int, tuple[int, float]]:
    """The shards that have a marker, with its size and when it was written."""
    stems = ((os.path.basename(file.path).removesuffix(".json"), file) for file in markers(output))
    return {int(stem): (file.size_bytes, file.modified) for stem, file in stems if stem.isascii() and stem.isdecimal()}


def markers(output: str) -> list[storage.StoredFile]:
    """The markers of an output."""
    return storage.match_in(storage.join(output, MARKERS), "*.json")


def staging(output: str) -> str | None:
    """Where parts are built; None for an output in a store: its parts are built in the system's temporary folder."""
    return None if storage.is_remote(output) else storage.join(output, STAGING)
