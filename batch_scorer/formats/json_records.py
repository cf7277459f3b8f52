"""JSON values as records, and the columns that they have together; how they lie in a file is for `jsonl` and `json`."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from batch_scorer.formats.arrow_types import DOUBLE_INTEGER, WIDE
from batch_scorer.formats.json_numbers import Numeral, decode_exactly, may_differ, written
from batch_scorer.formats.records import DAMAGE, EXCERPT_BYTES, Fields, Record, encoding_problem, shown
from batch_scorer.schema import Rejection, has_surrogates, printable

SEARCHED_BYTES = 16 << 20  # of a file, for fields that its first records lack
NAME_MAX = 1_000  # characters in the name of a field
NESTING_MAX = 200  # levels of lists and objects
REMEMBERED_BYTES = 1 << 16
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_string_or_bracket = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def record(path: str, offset: int, data: bytes, fields: Fields) -> Record | Rejection:
    """One JSON value as a record, or why it is none."""
    try:
        value = parse(data)
    except UnicodeDecodeError as error:
        return Rejection(path, offset, None, "invalid_utf8", encoding_problem(error), shown(data))
    except ValueError as error:
        return Rejection(path, offset, None, "malformed_json", str(error), shown(data))
    if not isinstance(value, dict):
        message = f"the record is a JSON {type(value).__name__}"
        return Rejection(path, offset, None, "not_an_object", message, shown(data))
    text = value_of(value, fields.text)
    wanted = [column.name for column in fields.kept] + ([fields.id] if fields.id else [])
    if any(may_differ(value_of(value, name)) for name in wanted):
        value = parse(data, decode_exactly)
    identity = value_of(value, fields.id) if fields.id else None
    record_id = identity if isinstance(identity, str) or identity is None else written(identity, ascii_only=True)
    if text is None:
        is_null = has_null(value, fields.text)
        message = f"the field {fields.text!r} is {'null' if is_null else 'missing'}"
        return Rejection(path, offset, record_id, "missing_text", message, is_empty=is_null)
    if not isinstance(text, str):
        message = f"the field {fields.text!r} is a {type(text).__name__}"
        return Rejection(path, offset, record_id, "text_not_a_string", message, json.dumps(text)[:EXCERPT_BYTES])
    kept = []
    for column, kind in zip(fields.kept, fields.kept_schema, strict=True):
        one = value_of(value, column.name)
        try:
            kept.append(fit(one, kind.type))
        except ValueError as error:
            message = f"the field {column.name!r}: {error}"
            return Rejection(path, offset, record_id, "kept_value_mismatch", message, text[:EXCERPT_BYTES])
    return Record(path, offset, record_id, text, tuple(kept))


def parse(data: bytes, decode: Callable[[str], Any] = json.loads) -> Any:
    """One JSON value in Python; a byte-order mark is skipped.

    Raises:
        UnicodeDecodeError: the bytes are not UTF-8.
        ValueError: they are not one JSON value, or are nested too deep.
    """
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    # Python's own limit depends on how deep the caller's stack already is.
    if text.count("[") + text.count("{") > NESTING_MAX and _depth(text) > NESTING_MAX:
        raise ValueError(f"nested deeper than {NESTING_MAX}")
    return decode(text)


def glance(data: bytes) -> Any:
    """`parse` for a look into a file, in which several checks read the same short lines; not to be changed.

    Raises:
        UnicodeDecodeError, ValueError: as `parse`.
    """
    return _remembered(data) if len(data) <= REMEMBERED_BYTES else parse(data)


@lru_cache(maxsize=128)
def _remembered(data: bytes) -> Any:
    return parse(data)


def is_json(data: bytes) -> bool:
    """Whether `data` is an object or an array."""
    try:
        return isinstance(glance(data), (dict, list))
    except ValueError:  # covers invalid UTF-8
        return False


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text are nested."""
    depth = deepest = 0
    for match in _string_or_bracket.finditer(text):
        depth += _STEP.get(match[0], 0)
        deepest = max(deepest, depth)
    return deepest


def value_of(record: dict[str, Any], name: str) -> Any:
    """The value of a field; `a.b` is the field b of the object a, unless there is a field called `a.b`."""
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    nested = record.get(outer) if inner else None
    return value_of(nested, inner) if isinstance(nested, dict) else None


def columns_of(
    first: list[dict[str, Any]], later: Iterable[bytes], fields: Fields, is_damaged: bool
) -> pa.Schema | None:
    """The columns of a file by its first records, and those that come later; None without any.

    Args:
        first: records from its beginning.
        later: the JSON values of the file, to look for fields that the first records lack, or have only null.
        is_damaged: whether the file could be read no further than the first records.
    """
    kept = {column.name for column in fields.kept}
    asked = list(dict.fromkeys([fields.text, *([fields.id] if fields.id else []), *(c.name for c in fields.kept)]))
    wanted, found = set(asked), list(first)

    def settle(one: dict[str, Any]) -> bool:
        """Whether it has what is still wanted: of a kept field, a value, which tells its type."""
        names = {n for n in wanted if value_of(one, n) is not None or (n not in kept and has_null(one, n))}
        wanted.difference_update(names)
        return bool(names)

    for one in first:
        settle(one)
    if wanted and not is_damaged:
        with contextlib.suppress(*DAMAGE):
            for data in later:
                found += filter(settle, objects([data]))
                if not wanted:
                    break
    columns = infer_columns(found) if found else None
    if columns is not None and is_damaged:  # columns that are missing may be in the part that cannot be read
        for name in asked:
            columns = columns if name in columns.names else columns.append(pa.field(name, pa.null()))
    return columns


def has_null(record: dict[str, Any], name: str) -> bool:
    """Whether a field is null, or is in an object that is null, rather than absent."""
    if name in record:
        return record[name] is None
    outer, _, inner = name.partition(".")
    if not inner or outer not in record:
        return False
    nested = record[outer]
    return nested is None or (isinstance(nested, dict) and has_null(nested, inner))


def objects(values: Iterable[bytes]) -> list[dict[str, Any]]:
    """Those of the values that are objects."""
    found = []
    for data in values:
        try:
            value = glance(data)
        except ValueError:  # covers invalid UTF-8
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def infer_columns(records: list[dict[str, Any]]) -> pa.Schema:
    """Column types from a sample: bool, int64, double or string; null without any value.

    Other or mixed values become strings of JSON.
    """
    values: dict[str, list[Any]] = {}
    for one in records:
        for name in dict.fromkeys(_names(one)):
            value = value_of(one, name)
            values.setdefault(name, []).extend([] if value is None else [value])
    return pa.schema([_infer(name, seen) for name, seen in values.items()])


def _names(record: dict[str, Any], depth: int = 3) -> Iterator[str]:
    """The fields of an object, and those of nested objects as `a.b`, except names that no option could give."""
    for name, value in record.items():
        if len(name) > NAME_MAX or has_surrogates(name):
            continue
        yield name
        if depth and isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _names(value, depth - 1))


def _infer(name: str, values: list[Any]) -> pa.Field:
    kinds = {type(value) for value in values}
    whole = [value for value in values if type(value) is int]
    wide = any(abs(value) > DOUBLE_INTEGER for value in whole)
    if not kinds:
        return pa.field(name, pa.null())
    if kinds == {bool}:
        return pa.field(name, pa.bool_())
    if kinds == {int} and all(-(1 << 63) <= value < 1 << 63 for value in whole):
        return pa.field(name, pa.int64(), metadata=WIDE if wide else None)
    if kinds <= {int, float} and not wide:
        return pa.field(name, pa.float64())
    return pa.field(name, pa.string())  # of JSON; the digits of integers that no number type holds


def fit(value: Any, kind: pa.DataType) -> Any:
    """`value` as a value of the column type `kind`.

    Raises:
        ValueError: the value does not fit the type; the message does not show the value.
    """
    if value is None:
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return printable(value if isinstance(value, str) else written(value, ascii_only=False))
    if isinstance(value, Numeral):
        raise ValueError(f"expected {kind}, got a number that no double holds")
    if pa.types.is_boolean(kind) != isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected {kind}, got {type(value).__name__}")
    if pa.types.is_integer(kind) and isinstance(value, float) and not value.is_integer():
        raise ValueError(f"expected {kind}, got a number with a fraction")  # which Arrow would cut off
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError):  # whose message shows the value
        raise ValueError(f"expected {kind}, got a number out of its range") from None
