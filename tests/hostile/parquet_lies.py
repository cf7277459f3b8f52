"""Parquet files whose footer or page headers lie: takes a whole file apart, and puts it together with what was changed.

Footer and page headers are structs of Thrift's compact protocol; here one is `{field: (type, value)}`.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

Struct = dict[int, tuple[int, Any]]
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

# Fields of FileMetaData, RowGroup, ColumnChunk, ColumnMetaData and PageHeader (parquet.thrift).
SCHEMA, NUM_ROWS, ROW_GROUPS, KEY_VALUES = 2, 3, 4, 5
COLUMNS, GROUP_ROWS = 1, 3
META = 3
NUM_VALUES, UNCOMPRESSED, COMPRESSED, DATA_PAGE, DICTIONARY_PAGE = 5, 6, 7, 9, 11
PAGE_UNCOMPRESSED, PAGE_COMPRESSED, DATA_HEADER, DICTIONARY_HEADER = 2, 3, 5, 7


def decode(file: io.BytesIO) -> Struct:
    """Reads one struct."""
    found: Struct = {}
    field = 0
    while head := file.read(1)[0]:
        kind = head & 15
        field = field + (head >> 4) if head >> 4 else _signed(_varint(file))
        found[field] = (kind, _value(file, kind))
    return found


def encode(fields: Struct) -> bytes:
    """The inverse of `decode`."""
    out, last = bytearray(), 0
    for field, (kind, value) in fields.items():
        gap = field - last
        out += bytes([gap << 4 | kind]) if 0 < gap < 16 else bytes([kind]) + _unsigned(field << 1)
        out += _encoded(kind, value)
        last = field
    return bytes(out + b"\0")


def _value(file: io.BytesIO, kind: int) -> Any:
    if kind in (TRUE, FALSE):
        return kind == TRUE
    if kind == BYTE:
        return file.read(1)
    if kind in (I16, I32, I64):
        return _signed(_varint(file))
    if kind == DOUBLE:
        return struct.unpack("<d", file.read(8))[0]
    if kind == BINARY:
        return file.read(_varint(file))
    if kind == STRUCT:
        return decode(file)
    assert kind == LIST, kind
    head = file.read(1)[0]
    count = _varint(file) if head >> 4 == 15 else head >> 4
    inner = head & 15
    if inner in (TRUE, FALSE):
        return inner, [file.read(1) for _ in range(count)]
    return inner, [_value(file, inner) for _ in range(count)]


def _encoded(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return b""
    if kind == BYTE:
        return bytes(value)
    if kind in (I16, I32, I64):
        return _unsigned((value << 1) ^ (value >> 63))
    if kind == DOUBLE:
        return struct.pack("<d", value)
    if kind == BINARY:
        return _unsigned(len(value)) + value
    if kind == STRUCT:
        return encode(value)
    inner, items = value
    head = bytes([len(items) << 4 | inner]) if len(items) < 15 else bytes([0xF0 | inner]) + _unsigned(len(items))
    return head + b"".join(item if inner in (TRUE, FALSE) else _encoded(inner, item) for item in items)


def _varint(file: io.BytesIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)[0]
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value


def _signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def change_footer(data: bytes, change: Callable[[Struct], None]) -> bytes:
    """The file `data` with its footer changed in place by `change`."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = decode(io.BytesIO(data[-8 - length : -8]))
    change(footer)
    changed = encode(footer)
    return data[: -8 - length] + changed + struct.pack("<I", len(changed)) + b"PAR1"


def column_meta(footer: Struct, group: int, column: int) -> Struct:
    """ColumnMetaData of a column chunk."""
    chunk: Struct = footer[ROW_GROUPS][1][1][group][COLUMNS][1][1][column]
    meta: Struct = chunk[META][1]
    return meta


def put(fields: Struct, field: int, value: int) -> None:
    """Sets a number that is there."""
    fields[field] = (fields[field][0], value)


def change_page(data: bytes, number: int, change: Callable[[Struct], None], column: int = 0) -> bytes:
    """The file `data` with the header of a page of the first row group changed by `change`.

    The header must not become longer than it was; that it is shorter is made up for at the end of the chunk.
    """
    length = int.from_bytes(data[-8:-4], "little")
    meta = column_meta(decode(io.BytesIO(data[-8 - length : -8])), 0, column)
    start = meta[DICTIONARY_PAGE][1] if DICTIONARY_PAGE in meta else meta[DATA_PAGE][1]
    file = io.BytesIO(data)
    file.seek(start)
    for _ in range(number):
        file.seek(decode(file)[PAGE_COMPRESSED][1], io.SEEK_CUR)
    at = file.tell()
    header = decode(file)
    after = file.tell()
    change(header)
    changed = encode(header)
    grown = len(changed) - (after - at)

    def move(footer: Struct) -> None:
        for group, (_, chunks) in enumerate(g[COLUMNS][1] for g in footer[ROW_GROUPS][1][1]):
            for place in range(len(chunks)):
                other = column_meta(footer, group, place)
                for offset in (DATA_PAGE, DICTIONARY_PAGE):
                    if offset in other and other[offset][1] > at:
                        put(other, offset, other[offset][1] + grown)
                if (group, place) == (0, column):
                    put(other, COMPRESSED, other[COMPRESSED][1] + grown)

    return change_footer(data[:at] + changed + data[after:], move)


PLAIN, RLE, DELTA_LENGTHS, DELTA_STRINGS, BY_DICTIONARY = 0, 3, 6, 7, 8  # Encoding
NO_CODEC, GZIP = 0, 2  # CompressionCodec
_BYTE_ARRAY, _REQUIRED = 6, 0  # Type, FieldRepetitionType


def data_page(values: int, body: bytes, encoding: int = PLAIN, inflated: int | None = None) -> bytes:
    """A data page; `inflated` is what its header says, by default the truth about bytes that are not compressed."""
    inner: Struct = {1: (I32, values), 2: (I32, encoding), 3: (I32, RLE), 4: (I32, RLE)}
    return _page(0, {DATA_HEADER: (STRUCT, inner)}, body, inflated)


def dictionary_page(values: int, body: bytes, inflated: int | None = None) -> bytes:
    """A dictionary, encoded plainly."""
    return _page(2, {DICTIONARY_HEADER: (STRUCT, {1: (I32, values), 2: (I32, PLAIN)})}, body, inflated)


def _page(kind: int, inner: Struct, body: bytes, inflated: int | None) -> bytes:
    size = len(body) if inflated is None else inflated
    return encode({1: (I32, kind), PAGE_UNCOMPRESSED: (I32, size), PAGE_COMPRESSED: (I32, len(body)), **inner}) + body


def parquet(pages: list[bytes], rows: int, codec: int = NO_CODEC) -> bytes:
    """A file of one column `text`, never null, in one row group that is made of `pages`."""
    data = b"".join(pages)
    meta: Struct = {
        1: (I32, _BYTE_ARRAY),
        2: (LIST, (I32, [PLAIN])),
        3: (LIST, (BINARY, [b"text"])),
        4: (I32, codec),
        NUM_VALUES: (I64, rows),
        UNCOMPRESSED: (I64, len(data)),
        COMPRESSED: (I64, len(data)),
        DATA_PAGE: (I64, 4),
    }
    group: Struct = {
        COLUMNS: (LIST, (STRUCT, [{2: (I64, 4), META: (STRUCT, meta)}])),
        2: (I64, len(data)),
        GROUP_ROWS: (I64, rows),
    }
    root: Struct = {4: (BINARY, b"schema"), 5: (I32, 1)}
    column: Struct = {1: (I32, _BYTE_ARRAY), 3: (I32, _REQUIRED), 4: (BINARY, b"text"), 6: (I32, 0)}
    footer = encode(
        {
            1: (I32, 2),
            SCHEMA: (LIST, (STRUCT, [root, column])),
            NUM_ROWS: (I64, rows),
            ROW_GROUPS: (LIST, (STRUCT, [group])),
        }
    )
    return b"PAR1" + data + footer + struct.pack("<I", len(footer)) + b"PAR1"


def strings(values: list[bytes]) -> bytes:
    """Values as a plain page has them."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def deltas(count: int, first: int, then: int | None = None, block: int = 128) -> bytes:
    """`first` and after it `then` (by default the same) again and again, delta-encoded in blocks of so many."""
    step = 0 if then is None else then - first
    least, width = min(0, step), abs(step).bit_length()
    head = _unsigned(block) + _unsigned(4) + _unsigned(count) + _unsigned(first << 1)
    blocks = -(-(count - 1) // block)
    nothing = _unsigned(0) + bytes(4)
    if not step:
        return head + nothing * blocks
    quarters = [_packed([(step if i == 0 else 0) - least] + [-least] * (block // 4 - 1), width) for i in range(4)]
    return (
        head
        + _unsigned((least << 1) ^ (least >> 63))
        + bytes([width] * 4)
        + b"".join(quarters)
        + nothing * (blocks - 1)
    )


def _packed(numbers: list[int], width: int) -> bytes:
    return sum(number << width * i for i, number in enumerate(numbers)).to_bytes(len(numbers) * width // 8, "little")
