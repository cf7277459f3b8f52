"""The columns of the inputs: looks into each file and checks that the requested columns exist and have usable types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice

import pyarrow as pa

from batch_scorer import storage
from batch_scorer.errors import InputError
from batch_scorer.escape import counted
from batch_scorer.formats.partitions import columns_in
from batch_scorer.formats.records import DAMAGE, Fields, InputFile, first_line
from batch_scorer.formats.table import FORMATS
from batch_scorer.planning.listing import Listing
from batch_scorer.planning.missing import missing
from batch_scorer.storage import StoredFile
from batch_scorer.storage.parallel import read_ahead

Say = Callable[[str], None]  # gets a few words about what is being done
_SAY_FILES = 1_000  # between two of its calls


def say_nothing(_: str) -> None:
    """For callers that do not want to know."""


def look_into(listing: Listing, fields: Fields, say: Say = say_nothing) -> Iterator[InputFile]:
    """Looks into each file, in the order of the listing; several are inspected ahead of the caller.

    Raises:
        InputError: a file lacks a column, or its text column does not hold text; the first such file is named.
    """
    remote = any(storage.is_remote(file.path) for file in islice(listing.files, 0, None, 1_000))
    inspected = read_ahead(lambda file: inspect(file, fields), listing, remote)
    for done, file in enumerate(inspected):
        if done % _SAY_FILES == 0:
            say(f"looking into {counted(len(listing.files), 'file')}, {done:,} done")
        yield file


def inspect(listed: tuple[StoredFile, str], fields: Fields) -> InputFile:
    """Looks into one file and checks that it has the requested columns.

    A file that cannot be read does not raise: it becomes a row in `errors/`.

    Raises:
        InputError: a column is missing, or the text column does not hold text.
    """
    file, kind = listed
    try:
        contents = FORMATS[kind].inspect(file, fields)
    except DAMAGE as error:
        return InputFile(file.path, kind, file.size_bytes, 0, damage=first_line(error))
    c = contents
    inspected = InputFile(
        file.path, c.format or kind, file.size_bytes, c.reviews, c.estimated, c.row_groups, c.columns, remark=c.remark,
        wordiest=c.wordiest,
    )  # fmt: skip
    asked = {fields.id, *(kept.name for kept in fields.kept)} - {None}
    if asked and "=" in file.path:
        names = contents.columns.names if contents.columns is not None else []
        partitions = tuple((k, v) for k, v in columns_in(file.path).items() if k in asked and k not in names)
        inspected = inspected._replace(partitions=partitions)
    if contents.columns is not None and contents.reviews:
        _check_columns(inspected, contents.columns, fields)
    return inspected


def _check_columns(file: InputFile, columns: pa.Schema, fields: Fields) -> None:
    options = [("--text-column", fields.text), ("--id-column", fields.id)]
    options += [(fields.kept_option, kept.name) for kept in fields.kept]
    for option, name in options:
        if name is None or name in dict(file.partitions):
            continue
        count = columns.names.count(name)
        if count > 1 or (count == 0 and option != fields.kept_option):  # `planning.kept` looks at all files together
            raise missing(file, option, name, fields, count)
    kind = columns.field(fields.text).type
    if not is_text(kind):
        raise InputError(
            f"the column {fields.text!r} does not hold text",
            where=file.path,
            expected="string, large_string, binary, or a dictionary of these",
            got=str(kind),
            fix="name the column of the review with --text-column",
        )
    if fields.id is not None and fields.id in columns.names:
        check_as_text(file.path, columns.field(fields.id), "name another with --id-column, or leave it out")


def check_as_text(path: str, column: pa.Field, fix: str) -> None:
    """Checks that the values of a column can be read as text.

    Raises:
        InputError: they cannot.
    """
    kind = column.type.storage_type if isinstance(column.type, pa.BaseExtensionType) else column.type
    if pa.types.is_fixed_size_binary(kind):
        return
    if (problem := _as_text_problem(kind)) is not None:
        raise InputError(
            f"the column {column.name!r} cannot be written as text",
            where=path,
            expected="text, numbers or times",
            got=str(kind),
            fix=fix,
        ) from problem


@cache  # a million files have the same few types
def _as_text_problem(kind: pa.DataType) -> pa.ArrowException | None:
    """What Arrow says if values of a type cannot be cast to text."""
    try:
        # Arrow notices an unknown time zone only if there is a value.
        pa.array([0] if pa.types.is_timestamp(kind) else [], kind).cast(pa.string())
    except pa.ArrowException as error:
        return error.with_traceback(None)
    return None


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold reviews. An all-null column can; all its rows are rejected."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
             pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_null)  # fmt: skip
    return any(test(kind) for test in tests)
