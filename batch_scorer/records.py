"""What planning and reading share: an input file, a shard of it, the fields wanted, and a record read."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from batch_scorer.config import Kept

EXCERPT_BYTES = 1_000  # of bytes shown to a person; far more than an excerpt's characters need


@dataclass(frozen=True)
class InputFile:
    """One input file, looked into.

    Args:
        format: one of `config.FORMATS`.
        reviews: how many; a guess from the first lines if `estimated`.
        row_groups: rows of each row group (Parquet).
        columns: the columns it has, with their types; None where it has none (a one-review file) or cannot be read.
        damage: why it cannot be read, if so.
    """

    path: str
    format: str
    size_bytes: int
    reviews: int
    estimated: bool = False
    row_groups: tuple[int, ...] = ()
    columns: pa.Schema | None = None
    damage: str | None = None


@dataclass(frozen=True)
class Shard:
    """What one worker reads at a time, and one part of the output.

    Args:
        index: number of the shard and of its parts.
        paths: the file, or the group of one-review files.
        start, stop: rows of the file (parquet) or bytes (jsonl); not used for files.
        row_group, row_group_start: which row group, and the row of the file that it begins at (parquet).
        damage: why the file cannot be read at all, found while planning.
    """

    index: int
    format: str
    paths: tuple[str, ...]
    start: int = 0
    stop: int = 0
    row_group: int = 0
    row_group_start: int = 0
    damage: str | None = None

    def to_json(self) -> str:
        """One line of the plan."""
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(line: str) -> Shard:
        """The inverse of `to_json`."""
        fields = json.loads(line)
        return Shard(**{**fields, "paths": tuple(fields["paths"])})


@dataclass(frozen=True)
class Fields:
    """Which columns to read, and what they must be.

    Args:
        kept_schema: the output's name and type of each of `kept`, the same for all parts.
        max_text_bytes: the largest text that is scored, in UTF-8.
    """

    text: str
    id: str | None
    kept: tuple[Kept, ...]
    kept_schema: pa.Schema
    max_text_bytes: int


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


def utf8_problem(error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that are not UTF-8."""
    return f"byte {error.start} ({error.object[error.start]:#04x}): {error.reason}"


def first_line(error: Exception) -> str:
    """An exception as a message of one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
