"""What planning and reading share: an input file, a shard of it, the fields wanted, and a record read."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from batch_scorer.config import Kept
from batch_scorer.formats.table import FORMATS

EXCERPT_BYTES = 1_000  # of bytes shown to a person; far more than an excerpt's characters need
# What reading raises when a file is damaged or gone: `UnicodeDecodeError` comes from Parquet's own metadata.
DAMAGE = (OSError, EOFError, zlib.error, pa.ArrowException, UnicodeDecodeError)

Partitions = tuple[tuple[str, str | None], ...]
_compact = json.JSONEncoder(separators=(",", ":")).encode


class InputFile(NamedTuple):
    """One input file, looked into; there may be millions, so that it is a tuple.

    Args:
        format: the name of one of `table.FORMATS`.
        reviews: how many; a guess from the first lines if `estimated`.
        row_groups: rows of each row group (Parquet).
        columns: the columns it has, with their types, fields of structs as `a.b`; None where it has none.
        partitions: columns that stand in its path (`year=2024/`), of those asked for and not in the file.
        damage: why it cannot be read, if so.
        modified: when, in seconds since the epoch, if it is known.
    """

    path: str
    format: str
    size_bytes: int
    reviews: int
    estimated: bool = False
    row_groups: tuple[int, ...] = ()
    columns: pa.Schema | None = None
    partitions: Partitions = ()
    damage: str | None = None
    modified: float = 0.0


@dataclass(frozen=True)
class Shard:
    """What one worker reads at a time, and one part of the output.

    Args:
        index: number of the shard and of its parts.
        paths: the file, or the group of one-review files.
        start, stop: rows of the file (parquet) or bytes (jsonl, lines); without `stop` to the end.
        row_group, row_group_start: which row group, and the row of the file that it begins at (parquet).
        partitions: as in `InputFile`.
        max_records: stop after so many.
        damage: why the file cannot be read at all, found while planning.
        stamps: size in bytes and date of each path, as they were then.
    """

    index: int
    format: str
    paths: tuple[str, ...]
    start: int = 0
    stop: int | None = None
    row_group: int = 0
    row_group_start: int = 0
    partitions: Partitions = ()
    max_records: int | None = None
    damage: str | None = None
    stamps: tuple[tuple[int, float], ...] = ()

    def __str__(self) -> str:
        name, more = self.paths[0], len(self.paths) - 1
        part = f", {FORMATS[self.format].cut} {self.start:,} to {self.stop:,}" if self.stop is not None else ""
        return f"shard {self.index}: {name}{part}{f' and {more:,} files more' if more else ''}"

    def to_json(self) -> str:
        """One line of the plan."""
        return _compact(vars(self))  # its fields, in their order

    @staticmethod
    def from_json(line: str) -> Shard:
        """The inverse of `to_json`."""
        fields = json.loads(line)
        tuples = {name: tuple(tuple(pair) for pair in fields[name]) for name in ("partitions", "stamps")}
        return Shard(**{**fields, **tuples, "paths": tuple(fields["paths"])})


@dataclass(frozen=True)
class Fields:
    """Which columns to read, and what they must be.

    Args:
        kept_schema: the output's name and type of each of `kept`, the same for all parts.
        max_text_bytes: the largest text that is scored, in UTF-8.
        encoding: of CSV, line and one-review files.
        delimiter: of CSV files; None goes by the name.
    """

    text: str
    id: str | None
    kept: tuple[Kept, ...]
    kept_schema: pa.Schema
    max_text_bytes: int
    encoding: str = "utf-8"
    delimiter: str | None = None


class Record(NamedTuple):
    """A review as it was read; `record_id` is None where the input has none."""

    source: str
    offset: int
    record_id: str | None
    text: str
    kept: tuple[Any, ...]


def shown(data: bytes) -> str:
    """The beginning of `data`, for an excerpt."""
    return data[:EXCERPT_BYTES].decode("utf-8", "replace")


def encoding_problem(error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that are not in their encoding."""
    return f"byte {error.start} ({error.object[error.start]:#04x}): {error.reason}"


def first_line(error: Exception) -> str:
    """An exception as a message of one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
