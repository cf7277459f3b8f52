"""Columns of Arrow batches by their names, and their values as Python has them, none lost and none a reason to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_STRINGS = (pa.string(), pa.large_string(), pa.string_view())
_BYTES = (pa.binary(), pa.large_binary(), pa.binary_view())


def values(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> list[Any]:
    """The values of a column as the type `kind`; of nested types, arrays of one value.

    Raises:
        OSError: they do not fit.
    """
    column = decoded_column(batch, name)
    if kind in _STRINGS and (column.type in (*_STRINGS, *_BYTES) or pa.types.is_fixed_size_binary(column.type)):
        # An id or a kept value that is not UTF-8 is no reason to lose its review.
        found = strings(column)
        return [v.object.decode("utf-8", "replace") if isinstance(v, UnicodeDecodeError) else v for v in found]
    try:
        # Not `safe` for floats alone: a large integer beside a file of floats is rounded, not its row group lost.
        column = column if column.type == kind else column.cast(kind, safe=not pa.types.is_floating(kind))
    except MemoryError:
        raise
    except pa.ArrowException:  # whose message shows a value
        raise OSError(f"the column {name!r} holds {column.type} values that are no {kind}") from None
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        # A round trip through Python would lose something (nanoseconds, maps), and Arrow cannot put every nested column
        # together from its scalars. Of a copy, since each value would keep the whole batch in memory.
        copy = column.take(pa.array(range(len(column))))
        if pa.types.is_nested(kind):
            return [copy.slice(i, 1) for i in range(len(copy))]
        return [value if value.is_valid else None for value in copy]
    return list(column.to_pylist())


def strings(column: pa.Array) -> list[str | UnicodeDecodeError | None]:
    """The strings, or what is wrong with them: Parquet does not check that a string is UTF-8."""
    if column.type in _STRINGS:
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            column = column.cast(pa.large_binary())
    return [None if value is None else _decoded(value) for value in column.to_pylist()]


def _decoded(value: bytes) -> str | UnicodeDecodeError:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        return error


def flat(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[pa.Field]:
    """Each field, and those of structs as `a.b`."""
    for field in fields:
        yield field.with_name(prefix + field.name)
        if pa.types.is_struct(field.type):
            yield from flat(field.type, f"{prefix}{field.name}.")


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column by its name, or a field of a struct by its path."""
    top, *path = _find(batch.schema, name)
    return pc.struct_field(batch.column(top), path) if path else batch.column(top)


def _find(fields: Iterable[pa.Field], name: str) -> list[int]:
    """Where the field `name` stands, or `a.b` the field b of the struct a: an index a level. Names may hold dots."""
    names = [field.name for field in fields]
    if name in names:
        return [names.index(name)]
    for i, field in enumerate(fields):
        inner = name.removeprefix(f"{field.name}.")
        if inner != name and pa.types.is_struct(field.type) and (path := _find(field.type, inner)):
            return [i, *path]
    return []


def decoded_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column as `column` finds it; dictionaries are decoded."""
    found = column(batch, name)
    return found.dictionary_decode() if pa.types.is_dictionary(found.type) else found
