"""The formats: one entry each, with all that the rest of the program has to know about a format.

A new format is a module in this package with `inspect` and `records`, and an entry in `FORMATS`. Nothing heavy is
imported here: the command line lists the names.

    inspect(file, fields) -> InputFile         looks at a file while planning; never reads it whole
    records(shard, fields, beat) -> Iterator   reads a shard: a `Record` or a `Rejection` each

Both raise one of `records.DAMAGE` for damage; the caller turns that into an `unreadable` row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_scorer.formats.records import Fields, InputFile, Record, Shard
    from batch_scorer.schema import Rejection
    from batch_scorer.storage import Beat, StoredFile

ROWS, BYTES, WHOLE, FILES = "rows", "bytes", "whole", "files"
COMPRESSIONS = (".gz", ".bz2", ".zst")


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        name: as `--input-format` takes it, and as plans hold it.
        suffixes: the endings of file names by which it is recognised, in lower case.
        module: where its `inspect` and `records` are.
        cut: how a file becomes shards: into ranges of `ROWS` within its row groups, into ranges of `BYTES`, not at all
            (`WHOLE`), or several `FILES`, of a record each, to a shard.
        compressible: whether files may be compressed as a whole; such a file is never cut.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    cut: str
    compressible: bool = True

    def inspect(self, file: StoredFile, fields: Fields) -> InputFile:
        """Looks into a file; raises one of `records.DAMAGE`, or `InputError` for what the user has to mend."""
        found: InputFile = self._module().inspect(file, fields)
        return found

    def records(self, shard: Shard, fields: Fields, beat: Beat | None) -> Iterator[Record | Rejection]:
        """The records of a shard; raises one of `records.DAMAGE`."""
        found: Iterator[Record | Rejection] = self._module().records(shard, fields, beat)
        return found

    def _module(self) -> Any:
        return import_module(f"batch_scorer.formats.{self.module}")


FORMATS = {
    entry.name: entry
    for entry in (
        Format("parquet", (".parquet", ".pq"), "parquet.reader", ROWS, compressible=False),
        Format("jsonl", (".jsonl", ".ndjson", ".json"), "jsonl", BYTES),
        Format("csv", (".csv", ".tsv", ".tab"), "csv", WHOLE),  # a quoted field may hold line ends
        Format("lines", (), "lines", BYTES),
        Format("files", (".txt",), "text_files", FILES),
    )
}
SUFFIXES = {suffix: entry.name for entry in FORMATS.values() for suffix in entry.suffixes}


def plain_name(path: str) -> str:
    """`path` without the ending of a compression."""
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in COMPRESSIONS else path


def is_compressed(path: str) -> bool:
    """Whether the name of `path` says that it is compressed: such a file can be read from its beginning only."""
    return plain_name(path) != path


def format_of(name: str) -> str | None:
    """The format of a file by its name; None where the name does not tell."""
    plain = plain_name(name)
    kind = SUFFIXES.get(os.path.splitext(plain)[1].lower())
    return None if kind and plain != name and not FORMATS[kind].compressible else kind
