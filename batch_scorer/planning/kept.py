"""The kept columns: one type for each, which holds the values of all inputs unchanged, or the job is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa

from batch_scorer.config import Kept
from batch_scorer.errors import InputError
from batch_scorer.escape import counted, quoted
from batch_scorer.formats.arrow_types import WIDE, common, plain
from batch_scorer.formats.records import Fields, InputFile
from batch_scorer.formats.table import FORMATS
from batch_scorer.planning.missing import missing

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_WIDE_DIGITS = 15  # an integer of more may not be a double


class KeptColumns:
    """The kept columns, as seen in the files so far.

    Args:
        allow_empty: whether there may be no records at all; then a column that no file has is null.
    """

    def __init__(self, fields: Fields, allow_empty: bool = False) -> None:
        self._fields, self._allow_empty = fields, allow_empty
        self._seen = [_Seen(kept, fields) for kept in fields.kept]
        self._damaged, self._files = False, 0

    def add(self, file: InputFile) -> InputFile:
        """Looks at the columns of one more file, and returns it."""
        self._damaged = self._damaged or file.damage is not None
        if self._seen and file.damage is None:
            self._files += file.reviews > 0
            for column in self._seen:
                column.add(file)
        return file

    def schema(self) -> pa.Schema:
        """The type of each kept column in the output.

        Raises:
            InputError: no type can hold the values of all inputs, or no input has the column.
        """
        unknown = self._damaged or (self._allow_empty and not self._files)
        return pa.schema([column.field(unknown) for column in self._seen])

    def notices(self) -> tuple[str, ...]:
        """Which columns only some of the files have."""
        return tuple(
            f"the kept column {column.name!r} is missing in {column.lacking:,} of {counted(self._files, 'file')}: "
            "null there"
            for column in self._seen
            if column.lacking and column.has_any
        )


class _Seen:
    """A kept column, as seen in the files so far."""

    def __init__(self, kept: Kept, fields: Fields) -> None:
        self._kept, self._fields, self._option = kept, fields, fields.kept_option
        self._kinds: dict[pa.DataType, None] = {}  # in the order of the inputs
        self._in_paths = self._wide = False
        self._whole_numbers = True  # so far, all values in paths are
        self._untyped = True  # and all formats have values without types, which can be kept as text
        self.lacking = 0
        self._without: InputFile | None = None  # the first file that has columns, but not this one

    @property
    def name(self) -> str:
        return self._kept.name

    @property
    def has_any(self) -> bool:
        return bool(self._kinds) or self._in_paths

    def add(self, file: InputFile) -> None:
        if self.name in dict(file.partitions):
            value = dict(file.partitions)[self.name]
            self._in_paths = True
            self._whole_numbers = self._whole_numbers and (value is None or bool(_INTEGER.fullmatch(value)))
            self._wide = self._wide or len(value or "") > _WIDE_DIGITS
        elif file.columns is not None and self.name in file.columns.names:
            column = file.columns.field(self.name)
            self._kinds[plain(column.type)] = None
            self._wide = self._wide or WIDE.items() <= (column.metadata or {}).items()
            self._untyped = self._untyped and not FORMATS[file.format].is_typed
        elif file.reviews:  # an empty file needs no columns
            self.lacking += 1
            self._without = self._without or (file if file.columns is not None else None)

    def field(self, unknown: bool) -> pa.Field:
        """The column in the output; `unknown` says whether no file that can be read need have it."""
        kept, kinds = self._kept, [*self._kinds]
        if self._in_paths:
            kinds.append(pa.int64() if self._whole_numbers else pa.string())
        if not kinds and unknown:
            return pa.field(kept.output_name, pa.null())
        if not kinds and self._without:
            raise missing(self._without, self._option, self.name, self._fields)
        if not kinds:
            raise InputError(
                f"no input has a column {self.name!r} to keep",
                where=f"{self._option} {quoted(self.name)}",
                expected="a column, or a directory `NAME=VALUE` in the path",
                fix=f"check the name, or leave {self._option} out: not every format has columns",
            )
        kind = common(kinds, self._wide)
        if self._untyped and (kind is None or pa.types.is_null(kind)):
            kind = pa.string()
        if kind is None:
            raise InputError(
                f"the kept column {self.name!r} has types that cannot be combined",
                where=f"{self._option} {quoted(self.name)}",
                got=", ".join(str(kind) for kind in kinds),
                fix="score the inputs in separate runs, or leave the column out",
            )
        return pa.field(kept.output_name, kind)


def kept_schema(looked_into: Iterable[InputFile], fields: Fields) -> pa.Schema:
    """The type of each kept column in the output.

    Args:
        looked_into: is iterated once.

    Raises:
        InputError: no type can hold the values of all inputs, or no input has the column.
    """
    columns = KeptColumns(fields)
    for file in looked_into:
        columns.add(file)
    return columns.schema()
