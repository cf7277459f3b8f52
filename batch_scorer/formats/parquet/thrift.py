"""Thrift's compact protocol, in which Parquet writes its footer and page headers: numbers are read, others skipped.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from dataclasses import dataclass

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_WIDTHS = {TRUE: 0, FALSE: 0, BYTE: 1, DOUBLE: 8}
_MASKS = {I32: (1 << 32) - 1, I64: (1 << 64) - 1}  # too long numbers are truncated, as Arrow does
_DEPTH = 64  # levels of structs and lists; Arrow has the same limit


class Malformed(ValueError):
    """The bytes are not in this protocol, or end too soon."""


@dataclass(frozen=True)
class Field:
    """A field of a struct: its number and type, and where its value begins and ends."""

    number: int
    kind: int
    start: int
    end: int


def fields(data: bytes, at: int = 0) -> tuple[list[Field], int]:
    """The fields of the struct that begins at `at`, and where it ends.

    Raises:
        Malformed: it is not a struct.
    """
    members: list[Field] = []
    number = 0
    try:
        while head := data[at]:
            at += 1
            if head >> 4:
                number += head >> 4
            else:
                number, at = _signed(data, at, 0xFFFF)
            end = _skip(data, at, head & 15, 0)
            members.append(Field(number, head & 15, at, end))
            at = end
    except IndexError:
        raise Malformed("cut off") from None
    return members, at + 1


def numbers(data: bytes, of: list[Field]) -> dict[int, int]:
    """The 32-bit and 64-bit integers and the booleans among fields, by number; of repeated ones, the last."""
    values = {}
    for field in of:
        if field.kind in _MASKS:
            values[field.number] = _signed(data, field.start, _MASKS[field.kind])[0]
        elif field.kind in (TRUE, FALSE):
            values[field.number] = int(field.kind == TRUE)
    return values


def starts(data: bytes, at: int) -> list[int]:
    """Where each item begins of the list of structs at `at`.

    Raises:
        Malformed: it is not a list of structs.
    """
    count, kind, at = items(data, at)
    if kind != STRUCT and count:
        raise Malformed(f"a list of type {kind}")
    places = []
    try:
        for _ in range(count):
            places.append(at)
            at = _skip(data, at, STRUCT, 1)
    except IndexError:
        raise Malformed("cut off") from None
    return places


def items(data: bytes, at: int) -> tuple[int, int, int]:
    """The number and the type of the items in the list that begins at `at`, and where the first begins.

    Raises:
        Malformed: it is not a list.
    """
    head = data[at]
    count, at = varint(data, at + 1) if head >> 4 == 15 else (head >> 4, at + 1)
    return count, head & 15, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned integer that begins at `at`, seven bits per byte, and where it ends.

    Raises:
        Malformed: it has more than ten bytes.
        IndexError: the data end within it.
    """
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise Malformed("a number of more than ten bytes")


def as_varint(value: int) -> bytes:
    """The inverse of `varint`."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def _signed(data: bytes, at: int, mask: int) -> tuple[int, int]:
    value, at = varint(data, at)
    value &= mask
    return (value >> 1) ^ -(value & 1), at


def _skip(data: bytes, at: int, kind: int, depth: int) -> int:
    """Where a value ends. The footer of a wide table has a million of them, so calls are avoided where possible."""
    if kind in (I32, I64, I16):
        while data[at] > 127:
            at += 1
        return at + 1
    if kind == BINARY:
        length, at = varint(data, at)
        return at + length
    if depth > _DEPTH:
        raise Malformed("nested too deep")
    if kind == STRUCT:
        while head := data[at]:
            at += 1
            if head < 16:
                at = varint(data, at)[1]
            at = _skip(data, at, head & 15, depth + 1)
        return at + 1
    if kind in (LIST, SET):
        count, inner, at = items(data, at)
        if inner in (TRUE, FALSE, BYTE):
            return at + count
        for _ in range(count):
            at = _skip(data, at, inner, depth + 1)
        return at
    if kind in _WIDTHS:
        return at + _WIDTHS[kind]
    raise Malformed(f"a field of type {kind}")  # maps too: Parquet has none
