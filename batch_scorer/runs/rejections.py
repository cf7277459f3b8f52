"""The records of a run that were rejected, and the files and ranges that could not be read: how many, and the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from batch_scorer import storage
from batch_scorer.errors import StoreError, UnavailableError
from batch_scorer.runs import layout
from batch_scorer.storage.parallel import read_ahead

UNREADABLE_SHOWN = 3  # files
UNREADABLE_READ = 1_000  # files and ranges
PARTS_COUNTED = 1_000  # of errors; to open more would keep a person waiting
_OF_A_STORE = (StoreError, UnavailableError)
_TOLD = ("unreadable", "invalid_utf8", "no_words")  # codes that are explained elsewhere, or by themselves


class Unreadable(NamedTuple):
    """A file, or a range of one, that cannot be read; `str` makes a sentence of it."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} cannot be read: {self.why}"


def count_codes(output: str, parts: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """Rejected records by stage and code, from the parts of a run."""

    def codes(part: Mapping[str, Any]) -> Counter[tuple[str, str]]:
        with storage.open_read(storage.join(output, part["path"])) as file, pq.ParquetFile(file) as parquet:
            table = parquet.read(["stage", "code"])
        rows = table.group_by(["stage", "code"]).aggregate([([], "count_all")]).to_pylist()
        return Counter({(row["stage"], row["code"]): row["count_all"] for row in rows})

    total = Counter[tuple[str, str]]()
    for counts in read_ahead(codes, layout.parts_of(layout.ERRORS, parts), storage.is_remote(output)):
        total += counts
    return total


def rejected_by_code(output: str, manifest: Mapping[str, Any]) -> dict[str, int] | None:
    """Records by code, most frequent first; None where they are in too many parts, or cannot be counted."""
    if len(layout.parts_of(layout.ERRORS, manifest["parts"])) > PARTS_COUNTED:
        return None
    try:
        counts = count_codes(output, manifest["parts"])
    except (*_OF_A_STORE, OSError, ValueError, LookupError):
        return None  # the run is over all the same, and `inspect` says what is wrong
    return {code: count for (_, code), count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def unreadable_files(output: str, manifest: Mapping[str, Any]) -> list[Unreadable]:
    """The first files and ranges that could not be read, `UNREADABLE_READ` of them."""
    most = min(manifest["counts"]["unreadable"], UNREADABLE_READ)
    return [Unreadable(*row) for row in _rejections(output, manifest, "unreadable", most)] if most else []


def first_rejected(output: str, manifest: Mapping[str, Any], rejected: Mapping[str, int] | None) -> str | None:
    """The first record with the most frequent fault, and what is wrong with it, if that is in no other line."""
    if manifest["not_a_success"] is None or rejected is None:
        return None
    # A text that is null is no fault; those without words are not counted as one either.
    null = manifest["counts"].get("empty", 0) - rejected.get("no_words", 0)
    faults = {code: count - (null if code == "missing_text" else 0) for code, count in rejected.items()}
    code = max((code for code in faults if code not in _TOLD), key=faults.__getitem__, default=None)
    return code and next((f"{code} in {path}: {why}" for path, why in _rejections(output, manifest, code, 1)), None)


def badly_encoded_input(output: str, manifest: Mapping[str, Any], rejected: Mapping[str, int] | None) -> str | None:
    """The first input with texts that are not in the encoding they were read in."""
    if not (rejected or {}).get("invalid_utf8"):
        return None
    return next((source for source, _ in _rejections(output, manifest, "invalid_utf8", 1)), None)


def _rejections(output: str, manifest: Mapping[str, Any], code: str, most: int) -> list[tuple[str, str]]:
    """Source and message of the first rejections with a code."""
    found: list[tuple[str, str]] = []
    for part in layout.parts_of(layout.ERRORS, manifest["parts"])[:PARTS_COUNTED]:
        try:
            with storage.open_read(storage.join(output, part["path"])) as file:
                table = pq.read_table(file, columns=["source", "message"], filters=[("code", "=", code)])
        except _OF_A_STORE:
            break  # each further one would be waited for
        except (OSError, ValueError, LookupError):
            continue  # the run is over all the same, and `inspect` says what is wrong
        found += [(row["source"], row["message"]) for row in table.slice(0, most).to_pylist()]
        if len(found) >= most:
            break
    return found[:most]


def by_file(unreadable: Sequence[Unreadable], total: int | None = None) -> tuple[list[str], list[str]]:
    """Sentences on the first files, each with the reason of the first of its ranges; and one on those left, if any.

    Args:
        total: how many files and ranges there are; None: these.

    Example:
        >>> by_file([Unreadable("a", "cut"), Unreadable("a", "gone")], 9)
        (['a cannot be read: cut (the first of several ranges)'], ['and 7 more files or ranges'])
    """
    ranges = Counter(file.path for file in unreadable)
    first = {file.path: file for file in reversed(unreadable)}
    shown = [*ranges][:UNREADABLE_SHOWN]
    sentences = [f"{first[path]}{' (the first of several ranges)' if ranges[path] > 1 else ''}" for path in shown]
    more = (len(unreadable) if total is None else total) - sum(ranges[path] for path in shown)
    return sentences, [f"and {more:,} more {'file or range' if more == 1 else 'files or ranges'}"] if more else []
