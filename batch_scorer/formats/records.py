"""What planning and reading share: an input file and what is in it, a shard of it, the fields to read, a record."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

from batch_scorer.config import InputConfig, Kept
from batch_scorer.escape import counted
from batch_scorer.formats.table import FILES, FORMATS

EXCERPT_BYTES = 1_000  # of a record shown to a person; far more than an excerpt's characters need
# What reading raises if a file is damaged or gone; `UnicodeDecodeError` comes from Parquet's own metadata.
DAMAGE = (OSError, EOFError, zlib.error, pa.ArrowException, UnicodeDecodeError)

Partitions = tuple[tuple[str, str | None], ...]
_compact = json.JSONEncoder(separators=(",", ":")).encode


class Contents(NamedTuple):
    """What a look into a file shows.

    Args:
        reviews: how many there are; an estimate from the first lines if `estimated`.
        row_groups: the number of rows in each row group, if the format has row groups.
        columns: the columns and their types, fields of structs as `a.b`; None if the format has no columns.
        remark: what the user should know, or "".
        format: the one that it turned out to have, or "" if it is the one that was expected.
        wordiest: the column with the longest fields, where the format can tell and the one asked for is missing, or "".
    """

    reviews: int
    estimated: bool = False
    row_groups: tuple[int, ...] = ()
    columns: pa.Schema | None = None
    remark: str = ""
    format: str = ""
    wordiest: str = ""


class InputFile(NamedTuple):
    """An input file and its `Contents`, in one flat tuple: there may be millions.

    Args:
        format: the name of one of `table.FORMATS`.
        partitions: the requested columns that are in its path (`year=2024/`) and not in the file.
        damage: why the file cannot be read, or None.
        modified: seconds since the epoch, 0 if unknown.
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
    remark: str = ""
    wordiest: str = ""


class Member(NamedTuple):
    """Neighbours among the files of a shard that are read alike.

    Args:
        files: how many there are.
        format, row_groups, partitions, damage: as in `InputFile`, the same for each.
    """

    files: int
    format: str
    row_groups: tuple[int, ...] = ()
    partitions: Partitions = ()
    damage: str | None = None


@dataclass(frozen=True)
class Shard:
    """What one worker reads at a time; each shard becomes one part of the output.

    Args:
        index: the number of the shard and of its parts.
        format: of its file; where there are `members`, of the first.
        paths: the file, or several if they are small.
        start, stop: rows or bytes of the file, as the format is cut; a `stop` of None is the end of the file.
        row_group, row_group_start: the row group, and which row of the file is its first, if the format has row groups.
        partitions: as in `InputFile`.
        max_records: stop after this many; None for no limit.
        damage: why the file cannot be read at all, as planning found, or None.
        stamps: size in bytes and modification time of each path when the job was planned.
        members: what the files are, in the order of `paths`, where they are several and not just one-review files of
            the same partitions; they are read whole. Plans of earlier versions have none.
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
    members: tuple[Member, ...] = ()

    def __str__(self) -> str:
        more = counted(len(self.paths) - 1, "more file")
        part = f", {FORMATS[self.format].cut} {self.start:,} to {self.stop:,}" if self.stop is not None else ""
        return f"shard {self.index}: {self.paths[0]}{part}{f' and {more}' if len(self.paths) > 1 else ''}"

    def each(self) -> Iterator[Shard]:
        """Shards without members that have the same records in the same order: what a reader of a format can read."""
        if not self.members:
            yield self
            return
        files = zip(self.paths, self.stamps, strict=True)
        for count, kind, row_groups, partitions, damage in self.members:
            paths, stamps = zip(*islice(files, count), strict=True)
            alike = Shard(self.index, kind, paths, partitions=partitions, damage=damage, stamps=stamps)
            if FORMATS[kind].cut == FILES and damage is None:
                yield alike
                continue
            for path, stamp in zip(paths, stamps, strict=True):
                file = replace(alike, paths=(path,), stamps=(stamp,))
                first = 0
                for group, rows in enumerate(row_groups):
                    if rows:
                        yield replace(file, start=first, stop=first + rows, row_group=group, row_group_start=first)
                    first += rows
                if not row_groups:
                    yield file

    def damaged(self) -> Iterator[tuple[str, str]]:
        """The paths of files that cannot be read at all, as planning found, each with the reason."""
        return ((one.paths[0], one.damage) for one in self.each() if one.damage is not None)

    def to_json(self) -> str:
        """One line of the plan."""
        return _compact({name: value for name, value in vars(self).items() if value or name != "members"})

    @staticmethod
    def from_json(line: str) -> Shard:
        """The inverse of `to_json`.

        Raises:
            ValueError, LookupError, TypeError: the line is damaged.
        """
        fields = json.loads(line)
        tuples = {name: _pairs(fields[name]) for name in ("partitions", "stamps")}
        members = tuple(
            Member(files, kind, tuple(row_groups), _pairs(partitions), damage)
            for files, kind, row_groups, partitions, damage in fields.get("members", ())
        )
        if members and sum(member.files for member in members) != len(fields["paths"]):
            raise ValueError("the members of a shard are not as many as its files")
        return Shard(**{**fields, **tuples, "paths": tuple(fields["paths"]), "members": members})


def _pairs(values: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    return tuple(tuple(pair) for pair in values)


@dataclass(frozen=True)
class Fields:
    """Which columns to read, and how.

    Args:
        kept_schema: the output name and the type of each of `kept`, the same for all parts.
        max_text_bytes: the largest text that is scored, in UTF-8.
        encoding, delimiter, quote, escape, columns, null_values, sheet: as in `InputConfig`; formats that have no use
            for them ignore them.
        kept_option: the option that names the kept columns, for messages.
    """

    text: str
    id: str | None
    kept: tuple[Kept, ...]
    kept_schema: pa.Schema
    max_text_bytes: int
    encoding: str = InputConfig.encoding
    delimiter: str | None = None
    kept_option: str = "--keep"
    quote: str = InputConfig.quote
    escape: str | None = None
    columns: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()
    sheet: str | None = None

    @staticmethod
    def of(config: InputConfig) -> Fields:
        """The fields that `config` asks for; the types of the kept ones come from the inputs."""
        c, no_types_yet = config, pa.schema([])
        return Fields(
            c.text_column, c.id_column, c.kept, no_types_yet, c.max_text_bytes, c.encoding, c.delimiter,
            quote=c.quote, escape=c.escape, columns=c.columns, null_values=c.null_values, sheet=c.sheet,
        )  # fmt: skip


class Record(NamedTuple):
    """A review as it was read; `record_id` is None if the input has no id for it."""

    source: str
    offset: int
    record_id: str | None
    text: str
    kept: tuple[Any, ...]


def shown(data: bytes) -> str:
    """The beginning of `data`, for an excerpt."""
    return data[:EXCERPT_BYTES].decode("utf-8", "replace")


def encoding_problem(error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that do not fit their encoding."""
    return f"byte {error.start} ({error.object[error.start]:#04x}): {error.reason}"


def first_line(error: Exception) -> str:
    """The first line of an exception's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)
