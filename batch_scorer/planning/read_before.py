"""What earlier runs have read (`--after`), as planning needs it: `runs.earlier` finds it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from batch_scorer.planning.places import Places
from batch_scorer.storage import StoredFile


@dataclass(frozen=True)
class ReadBefore:
    """The files that earlier runs have read to the end.

    Args:
        runs: these runs, by their output and run_id.
        stamps: path -> size in bytes and modification time of each file, when the newest run that read it was planned;
            those of newer runs are last. A file may be given by another path now, which leads to the same place.
        notices: what the user should know.
        records: with --after-by record, how many `rows` these runs have for records, and a `fingerprint` of them;
            None: no record is passed over by itself.

    Example:
        >>> before = ReadBefore(stamps={"a.csv": (120, 1_790_000_000.5)})
        >>> before.has(StoredFile("a.csv", 120, 1_790_000_000.5)), before.has(StoredFile("a.csv", 160, 1_790_000_900.0))
        (True, False)
    """

    runs: tuple[dict[str, str], ...] = ()
    stamps: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    records: Mapping[str, Any] | None = None

    def has(self, file: StoredFile) -> bool:
        """Whether `file` was read to the end and has not changed since."""
        if not self.stamps:  # without --after: a million files are not looked up
            return False
        return self._by_place.get(self._places.of(file.path)) == (file.size_bytes, file.modified)

    @cached_property
    def _places(self) -> Places:
        return Places("")

    @cached_property
    def _by_place(self) -> dict[str, tuple[int, float]]:
        """`stamps` by where their paths lead: `in`, `./in` and a link to it are one folder."""
        return {self._places.of(path): stamp for path, stamp in self.stamps.items()}


NOTHING = ReadBefore()
