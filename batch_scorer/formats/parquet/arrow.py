"""Columns of Arrow batches by name, and their values in Python: no value is changed, and none stops the reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

t = pa.types
_STRINGS = (pa.string(), pa.large_string(), pa.string_view())
_BYTES = (pa.binary(), pa.large_binary(), pa.binary_view())
_HEX = "0x"  # before the digits of bytes that are not text
# Their values are the same in Python. Others would lose something on the way, nanoseconds for instance.
_SAME_IN_PYTHON = (t.is_boolean, t.is_integer, t.is_float32, t.is_float64)
_LINE_ENDS = "\t\n\r"


@dataclass(frozen=True)
class Unfit:
    """A value that its column cannot hold, and why."""

    why: str


def kept_values(column: pa.Array, kind: pa.DataType) -> list[Any]:
    """The values of a column as the type `kind`: in Python, or as arrays of one; `Unfit` for one that does not fit.

    A value that would be rounded or cut off does not fit, nor do strings that are not UTF-8, which Parquet does not
    check.
    """
    column = _decoded(_storage(column, kind))
    if kind == pa.string() and column.type not in _STRINGS:  # a label, of whatever type
        return list(id_texts(column))
    try:
        return _exact(column, kind)
    except MemoryError:
        raise
    except pa.ArrowException:
        return [_one(column.slice(i, 1), kind) for i in range(len(column))]


def _storage(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column, or what is stored of it where it has a type of its own that `kind` is not."""
    return column.storage if isinstance(column, pa.ExtensionArray) and not column.type.equals(kind) else column


def _exact(column: pa.Array, kind: pa.DataType) -> list[Any]:
    column = column if column.type.equals(kind) else column.cast(kind)
    column.validate(full=True)
    if any(test(kind) for test in _SAME_IN_PYTHON) or kind in (*_STRINGS, *_BYTES):
        return list(column.to_pylist())
    copy = column.take(pa.array(range(len(column))))  # else each value would keep the whole batch in memory
    return [copy.slice(i, 1) for i in range(len(copy))]


def _one(column: pa.Array, kind: pa.DataType) -> Any:
    try:
        return _exact(column, kind)[0]
    except MemoryError:
        raise
    except pa.ArrowException:  # whose message shows the value
        same = column.type.equals(kind)
        return Unfit(f"not valid {kind}" if same else f"a {column.type} that {kind} does not hold exactly")


def id_texts(column: pa.Array) -> list[str | None]:
    """The values of a column as text: different ones as different texts.

    A UUID has its usual form. Bytes that are not text become ``0x`` and their digits, as do those that begin like
    that themselves.
    """
    column = _decoded(column)
    if isinstance(column, pa.ExtensionArray):
        if column.type.extension_name == "arrow.uuid":
            return [None if value is None else str(UUID(bytes=value)) for value in column.storage.to_pylist()]
        column = column.storage
    if column.type in _STRINGS:
        return [_HEX + v.object.hex() if isinstance(v, UnicodeDecodeError) else v for v in strings(column)]
    if column.type in _BYTES or t.is_fixed_size_binary(column.type):
        return [None if value is None else _name_of(value) for value in column.to_pylist()]
    return list(column.cast(pa.string()).to_pylist())


def _name_of(value: bytes) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return _HEX + value.hex()
    is_text = all((c >= " " and not "\x7f" <= c <= "\x9f") or c in _LINE_ENDS for c in text)
    return text if is_text and not text.startswith(_HEX) else _HEX + value.hex()


def strings(column: pa.Array) -> list[str | UnicodeDecodeError | None]:
    """The strings; for one that is not UTF-8, which Parquet does not check, what is wrong with it."""
    column = _decoded(column)
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    if column.type in _STRINGS:
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            column = column.cast(pa.large_binary())
    return [None if value is None else _decode(value) for value in column.to_pylist()]


def _decode(value: bytes) -> str | UnicodeDecodeError:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        return error


def flat(fields: Iterable[pa.Field], prefix: str = "") -> Iterator[pa.Field]:
    """Each field, and the fields of structs as `a.b`."""
    for field in fields:
        yield field.with_name(prefix + field.name)
        if t.is_struct(field.type):
            yield from flat(field.type, f"{prefix}{field.name}.")


def has_column(schema: pa.Schema, name: str) -> bool:
    """Whether there is a column of this name, or a field of a struct of this path."""
    return bool(_find(schema, name))


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column by its name, or a field of a struct by its path."""
    top, *path = _find(batch.schema, name)
    return pc.struct_field(batch.column(top), path) if path else batch.column(top)


def places(schema: pa.Schema, names: Iterable[str]) -> list[int]:
    """The places, among Parquet's columns, of those that hold the values of `names`, which may be structs or lists.

    Parquet's own paths do not tell a column `a.b` from the field b of the column a.
    """
    chosen = set[int]()
    for name in names:
        fields, at, width = list(schema), 0, 0
        for position in _find(schema, name):
            at += sum(_leaves(field.type) for field in fields[:position])
            kind = fields[position].type
            width, fields = _leaves(kind), list(kind) if t.is_struct(kind) else []
        chosen |= set(range(at, at + width))
    return sorted(chosen)


def _leaves(kind: pa.DataType) -> int:
    """How many columns of Parquet a type takes."""
    if isinstance(kind, pa.BaseExtensionType):
        return _leaves(kind.storage_type)
    if t.is_dictionary(kind):
        return 1
    if t.is_nested(kind):
        return sum(_leaves(kind.field(i).type) for i in range(kind.num_fields))
    return 1


def _find(fields: Iterable[pa.Field], name: str) -> list[int]:
    """The position of a field, one index per level; `a.b` is the field b of the struct a. Names may contain dots."""
    names = [field.name for field in fields]
    if name in names:
        return [names.index(name)]
    for i, field in enumerate(fields):
        inner = name.removeprefix(f"{field.name}.")
        if inner != name and t.is_struct(field.type) and (path := _find(field.type, inner)):
            return [i, *path]
    return []


def _decoded(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if t.is_dictionary(values.type) else values
