"""The formats: one entry each, with everything that the rest of the program knows about a format.

A new format is a module in this package with `inspect` and `records`, and an entry in `FORMATS`. Nothing heavy is
imported here: the command line lists the names.

    inspect(file, fields) -> Contents          looks into a file while planning; never reads all of it
    records(shard, fields, beat) -> Iterator   reads a shard: yields a `Record` or a `Rejection` for each record

Both raise one of `records.DAMAGE` if the file is damaged; the caller turns that into an `unreadable` row.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_scorer.formats.records import Contents, Fields, Record, Shard
    from batch_scorer.schema import Rejection
    from batch_scorer.storage import Beat, StoredFile

ROWS, BYTES, WHOLE, FILES = "rows", "bytes", "whole", "files"
COMPRESSIONS = (".gz", ".bz2", ".zst")


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        name: as `--input-format` takes it, and as plans hold it.
        suffixes: the endings of file names that identify it, in lower case.
        module: the one with its `inspect` and `records`, in this package.
        cut: how a file is cut into shards: `ROWS`, ranges of rows within a row group; `BYTES`, ranges of bytes;
            `WHOLE`, not at all; `FILES`, a shard is several files with one record each.
        compressible: whether a file may be compressed as a whole; a compressed file is never cut.
        takes_encoding: whether --encoding applies to it.
        is_typed: whether its columns have types. Others have values alone, which can be kept as text.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    cut: str
    compressible: bool = True
    takes_encoding: bool = False
    is_typed: bool = False

    def inspect(self, file: StoredFile, fields: Fields) -> Contents:
        """Looks into a file; raises one of `records.DAMAGE`, or `InputError` for what the user has to fix."""
        contents: Contents = self._module().inspect(file, fields)
        return contents

    def records(self, shard: Shard, fields: Fields, beat: Beat | None) -> Iterator[Record | Rejection]:
        """The records of a shard; raises one of `records.DAMAGE`."""
        records: Iterator[Record | Rejection] = self._module().records(shard, fields, beat)
        return records

    def _module(self) -> Any:
        return import_module(f"batch_scorer.formats.{self.module}")


FORMATS = {
    entry.name: entry
    for entry in (
        Format("parquet", (".parquet", ".pq"), "parquet.reader", ROWS, compressible=False, is_typed=True),
        Format("jsonl", (".jsonl", ".ndjson", ".json"), "jsonl", BYTES),
        Format("json", (), "json_values", WHOLE),  # what is not in lines, as looking into it shows
        Format("xlsx", (".xlsx", ".xlsm"), "xlsx", WHOLE, compressible=False),
        # A quoted field may contain line ends.
        Format("csv", (".csv", ".tsv", ".tab"), "csv", WHOLE, takes_encoding=True),
        Format("lines", (), "lines", BYTES, takes_encoding=True),
        Format("files", (".txt",), "text_files", FILES, takes_encoding=True),
    )
}
SUFFIXES = {suffix: entry.name for entry in FORMATS.values() for suffix in entry.suffixes}


def plain_name(path: str) -> str:
    """`path` without the suffix of a compression, if it has one."""
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in COMPRESSIONS else path


def is_compressed(path: str) -> bool:
    """Whether `path` is compressed, by its name: such a file can only be read from its beginning."""
    return plain_name(path) != path


def column_names(spec: str) -> tuple[str, ...]:
    """The names in `--columns text,label`; an empty one is of a column that is not asked for."""
    return tuple(name.strip() for name in spec.split(","))


def null_values(specs: Iterable[str]) -> tuple[str, ...]:
    """The texts in `--null-values n/a,- --null-values none`, each once."""
    values = (value.strip() for spec in specs for value in spec.split(","))
    return tuple(dict.fromkeys(value for value in values if value))


def format_of(name: str) -> str | None:
    """The format of a file by its name; None if the name does not tell."""
    plain = plain_name(name)
    kind = SUFFIXES.get(os.path.splitext(plain)[1].lower())
    return None if kind and plain != name and not FORMATS[kind].compressible else kind
