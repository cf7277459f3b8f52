"""The Arrow types that a writer stored in a Parquet footer: changed there into those that can be read in every case.

In and out: the bytes of a footer. What Arrow stores beside Parquet's own schema is a hint: where it cannot be read,
the file can be read without it.
"""

from __future__ import annotations

import base64
import binascii

import pyarrow as pa

from batch_scorer.formats.arrow_types import plain
from batch_scorer.formats.parquet import thrift

_KEY_VALUES, _KEY, _VALUE = 5, 1, 2  # of FileMetaData and KeyValue (parquet.thrift)
_NAME, _IGNORED = b"ARROW:schema", b"arrow:schema"  # of the same length


def with_plain_types(footer: bytes) -> bytes:
    """The footer, its Arrow types as `arrow_types.plain` gives them.

    Raises:
        thrift.Malformed: it is damaged.
    """
    for key, value in _key_values(footer):
        if footer[slice(*key)] != _NAME:
            continue
        old = footer[slice(*value)]
        new = _plain(old)
        if new is None:
            return footer[: key[0]] + _IGNORED + footer[key[1] :]
        if new != old:
            before = value[0] - len(thrift.as_varint(len(old)))
            return footer[:before] + thrift.as_varint(len(new)) + new + footer[value[1] :]
    return footer


def without(footer: bytes) -> bytes:
    """The footer, its Arrow types ignored.

    Raises:
        thrift.Malformed: it is damaged.
    """
    for key, _ in _key_values(footer):
        if footer[slice(*key)] == _NAME:
            footer = footer[: key[0]] + _IGNORED + footer[key[1] :]
    return footer


def _key_values(footer: bytes) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the keys and the values of the file's metadata begin and end."""
    places = []
    for field in thrift.fields(footer)[0]:
        if field.number == _KEY_VALUES and field.kind == thrift.LIST:
            for start in thrift.starts(footer, field.start):
                pair = {f.number: f for f in thrift.fields(footer, start)[0] if f.kind == thrift.BINARY}
                if _KEY in pair and _VALUE in pair:
                    key, value = ((thrift.varint(footer, f.start)[1], f.end) for f in (pair[_KEY], pair[_VALUE]))
                    places.append((key, value))
    return places


def _plain(encoded: bytes) -> bytes | None:
    """A serialized schema with plain types, None if it cannot be read."""
    try:
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(encoded, validate=True)))
        kinds = [plain(field.type) for field in schema]
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, binascii.Error, ValueError):
        return None
    if all(kind.equals(field.type) for kind, field in zip(kinds, schema, strict=True)):
        return encoded
    changed = pa.schema([field.with_type(kind) for field, kind in zip(schema, kinds, strict=True)], schema.metadata)
    return base64.b64encode(changed.serialize())
