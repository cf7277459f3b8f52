"""JSON lines: one object per line; a shard is a range of bytes, or a whole compressed file."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from batch_scorer.formats.arrow_types import DOUBLE_INTEGER, WIDE
from batch_scorer.formats.compression import open_text
from batch_scorer.formats.foreign import check_json, check_text
from batch_scorer.formats.records import (
    DAMAGE,
    EXCERPT_BYTES,
    Contents,
    Fields,
    Record,
    Shard,
    encoding_problem,
    shown,
)
from batch_scorer.formats.text_lines import BLANK, max_line_bytes, read_lines, sample, shard_lines
from batch_scorer.schema import Rejection, has_surrogates, printable
from batch_scorer.storage import Beat, StoredFile

SEARCHED_BYTES = 16 << 20  # of a file, for fields that its first records lack
NAME_MAX = 1_000  # characters in the name of a field
NESTING_MAX = 200  # levels of lists and objects
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_string_or_bracket = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the first lines, for the columns and the mean size of a record; more of them where fields appear later."""
    head = sample(file)
    check_text(file.path, head)
    check_json(file.path, head)
    objects = _objects(head.lines)
    if not head.is_whole and not head.is_damaged:
        objects += _later(file, fields, objects)
    columns = infer_columns(objects) if objects else None
    if columns is not None and head.is_damaged:  # columns that are missing may be in the part that cannot be read
        asked = [fields.text, *([fields.id] if fields.id else []), *(kept.name for kept in fields.kept)]
        for name in dict.fromkeys(asked):
            columns = columns if name in columns.names else columns.append(pa.field(name, pa.null()))
    return Contents(head.estimate(head.count_filled()), estimated=not head.is_whole, columns=columns)


def _later(file: StoredFile, fields: Fields, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first records with the fields that `objects` lack, or have only null; of a kept one, a value tells its type.

    Looks no further than `SEARCHED_BYTES`.
    """
    kept = {column.name for column in fields.kept}
    wanted = {fields.text, *([fields.id] if fields.id else [])} | kept
    later: list[dict[str, Any]] = []

    def settle(record: dict[str, Any]) -> bool:
        names = {n for n in wanted if value_of(record, n) is not None or (n not in kept and has_null(record, n))}
        wanted.difference_update(names)
        return bool(names)

    for record in objects:
        settle(record)
    if not wanted:
        return later
    with contextlib.suppress(*DAMAGE), open_text(file.path) as (stream, _):
        for offset, line in read_lines(stream, 0, None, max_line_bytes(fields.max_text_bytes), BLANK):
            later += filter(settle, _objects([] if line is None else [line]))
            if not wanted or offset > SEARCHED_BYTES:
                break
    return later


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, without blank ones; offsets are bytes of the (decompressed) file."""
    for line in shard_lines(shard, fields, beat):
        yield line if isinstance(line, Rejection) else _record(shard.paths[0], *line, fields)


def _record(path: str, offset: int, line: bytes, fields: Fields) -> Record | Rejection:
    try:
        value = parse(line)
    except UnicodeDecodeError as error:
        return Rejection(path, offset, None, "invalid_utf8", encoding_problem(error), shown(line))
    except ValueError as error:
        return Rejection(path, offset, None, "malformed_json", str(error), shown(line))
    if not isinstance(value, dict):
        message = f"the line is a JSON {type(value).__name__}"
        return Rejection(path, offset, None, "not_an_object", message, shown(line))
    identity = value_of(value, fields.id) if fields.id else None
    record_id = identity if isinstance(identity, str) or identity is None else json.dumps(identity)
    text = value_of(value, fields.text)
    if text is None:
        is_null = has_null(value, fields.text)
        message = f"the field {fields.text!r} is {'null' if is_null else 'missing'}"
        return Rejection(path, offset, record_id, "missing_text", message, is_empty=is_null)
    if not isinstance(text, str):
        message = f"the field {fields.text!r} is a {type(text).__name__}"
        return Rejection(path, offset, record_id, "text_not_a_string", message, json.dumps(text)[:EXCERPT_BYTES])
    kept = []
    for column, kind in zip(fields.kept, fields.kept_schema, strict=True):
        try:
            kept.append(fit(value_of(value, column.name), kind.type))
        except ValueError as error:
            message = f"the field {column.name!r}: {error}"
            return Rejection(path, offset, record_id, "kept_value_mismatch", message, text[:EXCERPT_BYTES])
    return Record(path, offset, record_id, text, tuple(kept))


def parse(line: bytes) -> Any:
    """One line as a Python value; a byte-order mark is skipped.

    Raises:
        UnicodeDecodeError: the line is not UTF-8.
        ValueError: the line is not JSON, or is nested too deep.
    """
    text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    # Python's own limit depends on how deep the caller's stack already is.
    if text.count("[") + text.count("{") > NESTING_MAX and _depth(text) > NESTING_MAX:
        raise ValueError(f"nested deeper than {NESTING_MAX}")
    return json.loads(text)


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


def has_null(record: dict[str, Any], name: str) -> bool:
    """Whether a field is null, or is in an object that is null, rather than absent."""
    if name in record:
        return record[name] is None
    outer, _, inner = name.partition(".")
    if not inner or outer not in record:
        return False
    nested = record[outer]
    return nested is None or (isinstance(nested, dict) and has_null(nested, inner))


def _objects(lines: list[bytes]) -> list[dict[str, Any]]:
    objects = []
    for line in lines:
        try:
            value = parse(line)
        except ValueError:  # covers invalid UTF-8
            continue
        if isinstance(value, dict):
            objects.append(value)
    return objects


def infer_columns(objects: list[dict[str, Any]]) -> pa.Schema:
    """Column types from a sample: bool, int64, double or string; null without any value.

    Other or mixed values become strings of JSON.
    """
    values: dict[str, list[Any]] = {}
    for record in objects:
        for name in dict.fromkeys(_names(record)):
            value = value_of(record, name)
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
        return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if pa.types.is_boolean(kind) != isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected {kind}, got {type(value).__name__}")
    if pa.types.is_integer(kind) and isinstance(value, float) and not value.is_integer():
        raise ValueError(f"expected {kind}, got a number with a fraction")  # which Arrow would cut off
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError):  # whose message shows the value
        raise ValueError(f"expected {kind}, got a number out of its range") from None
