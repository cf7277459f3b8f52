"""Columns of Arrow batches by name, and their values in Python: no value is lost, and none stops the reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_STRINGS = (pa.string(), pa.large_string(), pa.string_view())
_BYTES = (pa.binary(), pa.large_binary(), pa.binary_view())


def values(batch: pa.RecordBatch, name: str, kind: pa.DataType) -> list[Any]:
    """The values of a column as the type `kind`; those of nested types are arrays of one value.

    Raises:
        OSError: they do not fit the type.
    """
    column = decoded_column(batch, name)
    if kind in _STRINGS and (column.type in (*_STRINGS, *_BYTES) or pa.types.is_fixed_size_binary(column.type)):
        # A review is not lost because its id or a kept value is not UTF-8.
        texts = strings(column)
        return [v.object.decode("utf-8", "replace") if isinstance(v, UnicodeDecodeError) else v for v in texts]
    try:
        # Unsafe for floats only: a large integer is rounded if another file has floats, and no row group is lost.
        column = column if column.type == kind else column.cast(kind, safe=not pa.types.is_floating(kind))
    except MemoryError:
        raise
    except pa.ArrowException:  # whose message shows a value
        raise OSError(f"the column {name!r} has {column.type} values that do not fit {kind}") from None
    if pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        # A round trip through Python would lose something (nanoseconds, maps), and Arrow cannot build every nested
        # column from its scalars. Slices of a copy, since each would otherwise keep the whole batch in memory.
        copy = column.take(pa.array(range(len(column))))
        if pa.types.is_nested(kind):
            return [copy.slice(i, 1) for i in range(len(copy))]
        return [value if value.is_valid else None for value in copy]
    return list(column.to_pylist())


def strings(column: pa.Array) -> list[str | UnicodeDecodeError | None]:
    """The strings; for one that is not UTF-8, which Parquet does not check, what is wrong with it."""
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
    """Each field, and the fields of structs as `a.b`."""
    for field in fields:
        yield field.with_name(prefix + field.name)
        if pa.types.is_struct(field.type):
            yield from flat(field.type, f"{prefix}{field.name}.")


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column by its name, or a field of a struct by its path."""
    top, *path = _find(batch.schema, name)
    return pc.struct_field(batch.column(top), path) if path else batch.column(top)


def _find(fields: Iterable[pa.Field], name: str) -> list[int]:
    """The position of a field, one index per level; `a.b` is the field b of the struct a. Names may contain dots."""
    names = [field.name for field in fields]
    if name in names:
        return [names.index(name)]
    for i, field in enumerate(fields):
        inner = name.removeprefix(f"{field.name}.")
        if inner != name and pa.types.is_struct(field.type) and (path := _find(field.type, inner)):
            return [i, *path]
    return []


def decoded_column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The same as `column`, with dictionaries decoded."""
    values = column(batch, name)
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
