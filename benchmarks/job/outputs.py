"""What runs wrote: counts and a hash of every part, and whether two of them wrote the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Protocol

from batch_scorer import storage
from batch_scorer.errors import EngineError
from batch_scorer.runs import layout


class Written(Protocol):
    """What a run wrote: `counts` as in the manifest, and the sha256 of every part, by its path in the output."""

    @property
    def counts(self) -> Mapping[str, int]: ...

    @property
    def parts(self) -> Mapping[str, str]: ...


def look(output: str) -> tuple[dict[str, int], dict[str, str]]:
    """Counts, and the sha256 of every part as it lies in an output, here or in a store."""
    manifest = json.loads(storage.read_bytes(layout.manifest_path(output)))
    paths = [part["path"] for part in manifest["parts"]]
    hashes = {path: hashlib.sha256(storage.read_bytes(storage.join(output, path))).hexdigest() for path in paths}
    return manifest["counts"], hashes


def check_same(first: Written, other: Written, where: str) -> None:
    """Checks that two runs wrote the same parts, byte for byte, and the same counts.

    Args:
        where: which ones they are, for the message.

    Raises:
        EngineError: they did not.
    """
    different = [path for path, digest in first.parts.items() if other.parts.get(path) != digest]
    if different or other.parts.keys() != first.parts.keys() or other.counts != first.counts:
        raise EngineError(
            "the job does not give the same parts in every way",
            where=where,
            expected=f"{len(first.parts):,} identical parts and counts {dict(first.counts)}",
            got=f"{len(different):,} different or missing of {len(other.parts):,}; counts {dict(other.counts)}",
        )
