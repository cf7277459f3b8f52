"""The types of kept columns: how a type is read, and the one type that holds the values of several unchanged.

In: Arrow types, as the files have them. Out: a type, or None where no type would hold every value exactly.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

t = pa.types
_VIEWS = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
_EXACT_FLOATS = {16: 8, 32: 16, 64: 32}  # the bits of a float type -> of the integers of which it holds every one
_INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
_UNITS = ("s", "ms", "us", "ns")  # the later, the finer
DOUBLE_INTEGER = 1 << 53  # up to here, every integer is a double
WIDE = {b"batch-scorer.wide": b"1"}  # metadata of an integer column: some of its values are too large for a double


def plain(kind: pa.DataType) -> pa.DataType:
    """`kind` as its values are read: without dictionaries and views, and lists of a fixed size as lists, at any depth.

    Arrow cannot `take` from views, and fails on a null among lists of a fixed size (apache/arrow issue 35692).
    """
    if isinstance(kind, pa.BaseExtensionType):
        storage = plain(kind.storage_type)
        return kind if storage == kind.storage_type else storage
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if t.is_struct(kind):
        return pa.struct([pa.field(field.name, plain(field.type)) for field in kind])
    if t.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type), kind.keys_sorted)
    if t.is_large_list(kind) or t.is_large_list_view(kind):
        return pa.large_list(pa.field("element", plain(kind.value_type)))
    if t.is_list(kind) or t.is_list_view(kind) or t.is_fixed_size_list(kind):
        return pa.list_(pa.field("element", plain(kind.value_type)))
    return _VIEWS.get(kind, kind)


def common(kinds: Iterable[pa.DataType], wide: bool = False) -> pa.DataType | None:
    """The type that holds the values of all `kinds`, None if there is none. Single values may still not fit it.

    Integers beside floats become floats. If they would not fit into a double, the floats become integers instead, as
    they were before a missing value made floats of a file's integers.

    Args:
        kinds: as `plain` gives them.
        wide: whether some of the integers are beyond 2**53, and so not all of them doubles.

    Example:
        >>> common([pa.int8(), pa.int64()]), common([pa.int64(), pa.uint64()]), common([pa.string(), pa.int8()])
        (DataType(int64), Decimal128Type(decimal128(20, 0)), None)
        >>> common([pa.int64(), pa.float64()]), common([pa.int64(), pa.float64()], wide=True)
        (DataType(double), DataType(int64))
    """
    kinds = [kind for kind in kinds if not t.is_null(kind)]
    whole = [kind for kind in kinds if t.is_integer(kind)]
    if wide and whole and all(t.is_integer(kind) or t.is_floating(kind) for kind in kinds):
        kinds = whole
    result: pa.DataType | None = kinds[0] if kinds else pa.null()
    for kind in kinds[1:]:
        result = None if result is None else _both(result, kind)
    return result


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if one.equals(other):
        return one
    for a, b in ((one, other), (other, one)):
        if isinstance(a, pa.BaseExtensionType) and a.extension_name in ("arrow.json", "arrow.bool8"):
            storage = pa.bool_() if a.extension_name == "arrow.bool8" else a.storage_type
            return _both(storage, b)
        if t.is_null(a):
            return b
    for find in (_numbers, _texts_or_bytes, _times, _nested):
        if (found := find(one, other)) is not None:
            return found
    return None


def _numbers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    pair = (one, other)
    if all(t.is_integer(kind) or t.is_decimal(kind) for kind in pair):
        if all(map(t.is_integer, pair)):
            return _integers(one, other)
        digits = [_digits(kind) for kind in pair]
        scale = max(scale for _, scale in digits)
        precision = max(whole for whole, _ in digits) + scale
        if precision > 76 or scale < 0:
            return None
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    if not all(t.is_integer(kind) or t.is_floating(kind) for kind in pair):
        return None
    floats = max(kind.bit_width for kind in pair if t.is_floating(kind))
    for bits, kind in ((16, pa.float16()), (32, pa.float32())):
        if floats <= bits and all(t.is_floating(k) or k.bit_width <= _EXACT_FLOATS[bits] for k in pair):
            return kind
    return pa.float64()  # a large integer that it does not hold is rejected by itself


def _integers(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if t.is_signed_integer(one) == t.is_signed_integer(other):
        return max(one, other, key=lambda kind: kind.bit_width)
    signed, unsigned = (one, other) if t.is_signed_integer(one) else (other, one)
    if unsigned.bit_width == 64:
        return pa.decimal128(20, 0)
    bits = max(signed.bit_width, 2 * unsigned.bit_width)
    return {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[bits]


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """Digits before and after the point."""
    return (_INTEGER_DIGITS[kind.bit_width], 0) if t.is_integer(kind) else (kind.precision - kind.scale, kind.scale)


def _texts_or_bytes(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    pair = (one, other)
    if all(t.is_string(kind) or t.is_large_string(kind) for kind in pair):
        return pa.large_string()
    if all(t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) for kind in pair):
        return pa.large_binary() if any(map(t.is_large_binary, pair)) else pa.binary()
    return None


def _times(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    pair = (one, other)
    if all(map(t.is_date, pair)):
        return pa.date32()
    if all(map(t.is_time, pair)) or all(map(t.is_duration, pair)):
        return max(pair, key=lambda kind: _UNITS.index(kind.unit))
    if all(map(t.is_timestamp, pair)) and one.tz == other.tz:
        return max(pair, key=lambda kind: _UNITS.index(kind.unit))
    return None


def _nested(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    pair = (one, other)
    if all(t.is_list(kind) or t.is_large_list(kind) for kind in pair):
        inner = _both(one.value_type, other.value_type)
        make = pa.large_list if any(map(t.is_large_list, pair)) else pa.list_
        return None if inner is None else make(pa.field("element", inner))
    if all(map(t.is_map, pair)):
        key, item = _both(one.key_type, other.key_type), _both(one.item_type, other.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if all(map(t.is_struct, pair)):
        names = [field.name for field in one]
        if names != [field.name for field in other] or len({*names}) < len(names):
            return None
        inner = [_both(a.type, b.type) for a, b in zip(one, other, strict=True)]
        return None if None in inner else pa.struct(list(zip(names, inner, strict=True)))
    return None
