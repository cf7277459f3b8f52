"""JSON lines: one object a line; a shard is a range of bytes, or a whole compressed file."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from batch_scorer.formats.stream import sample, shard_lines
from batch_scorer.records import EXCERPT_BYTES, Fields, InputFile, Record, Shard, encoding_problem, shown
from batch_scorer.schema import Rejection, printable
from batch_scorer.storage import Beat, StoredFile


def inspect(file: StoredFile, fields: Fields) -> InputFile:
    """Reads the first lines, for the columns and the mean size of a record."""
    head = sample(file)
    reviews = head.estimate(sum(1 for line in head.lines if line.strip()))
    found = _objects(head.lines)
    columns = infer_columns(found) if found else None
    return InputFile(file.path, "jsonl", file.size_bytes, reviews, estimated=not head.is_whole, columns=columns)


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, blank ones left out; offsets are bytes of the (decompressed) file."""
    for found in shard_lines(shard, fields, beat):
        yield found if isinstance(found, Rejection) else _record(shard.paths[0], *found, fields)


def _record(path: str, offset: int, line: bytes, fields: Fields) -> Record | Rejection:
    try:
        found = parse(line)
    except UnicodeDecodeError as error:
        return Rejection(path, offset, None, "invalid_utf8", encoding_problem(error), shown(line))
    except ValueError as error:
        return Rejection(path, offset, None, "malformed_json", str(error), shown(line))
    if not isinstance(found, dict):
        message = f"the line is a JSON {type(found).__name__}"
        return Rejection(path, offset, None, "not_an_object", message, shown(line))
    identity = value_of(found, fields.id) if fields.id else None
    record_id = identity if isinstance(identity, str) or identity is None else json.dumps(identity)
    text = value_of(found, fields.text)
    if text is None:
        state = "null" if fields.text in _names(found) else "missing"
        return Rejection(path, offset, record_id, "missing_text", f"the field {fields.text!r} is {state}")
    if not isinstance(text, str):
        message = f"the field {fields.text!r} is a {type(text).__name__}"
        return Rejection(path, offset, record_id, "text_not_a_string", message, json.dumps(text)[:EXCERPT_BYTES])
    kept = []
    for column, kind in zip(fields.kept, fields.kept_schema, strict=True):
        try:
            kept.append(fit(value_of(found, column.name), kind.type))
        except ValueError as error:
            message = f"the field {column.name!r}: {error}"
            return Rejection(path, offset, record_id, "kept_value_mismatch", message, text[:EXCERPT_BYTES])
    return Record(path, offset, record_id, text, tuple(kept))


def parse(line: bytes) -> Any:
    """One line as a Python value; a byte-order mark is passed over.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
        ValueError: it is not JSON, or nested too deep to read.
    """
    text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def value_of(record: dict[str, Any], name: str) -> Any:
    """The value of a field; `a.b` is the field b of the object a, unless there is a field called `a.b`."""
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    nested = record.get(outer) if inner else None
    return value_of(nested, inner) if isinstance(nested, dict) else None


def _objects(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        try:
            value = parse(line)
        except ValueError:  # covers invalid UTF-8
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def infer_columns(found: list[dict[str, Any]]) -> pa.Schema:
    """Column types from a sample: bool, int64, double or string; whatever else, or mixed, is a string of JSON."""
    names = dict.fromkeys(name for record in found for name in _names(record))
    values = {name: [value_of(record, name) for record in found] for name in names}
    return pa.schema([pa.field(n, _infer([v for v in values[n] if v is not None])) for n in names])


def _names(record: dict[str, Any], depth: int = 3) -> Iterator[str]:
    """The fields of an object, and those of the objects in it as `a.b`."""
    for name, value in record.items():
        yield name
        if depth and isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _names(value, depth - 1))


def _infer(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int} and all(-(1 << 63) <= value < 1 << 63 for value in values):
        return pa.int64()
    if kinds == {int}:
        return pa.string()  # larger than any integer type: its digits
    if kinds and kinds <= {int, float}:
        return pa.float64()
    return pa.string()


def fit(value: Any, kind: pa.DataType) -> Any:
    """`value` as a value of the column type `kind`.

    Raises:
        ValueError: it does not fit.
    """
    if value is None:
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if pa.types.is_boolean(kind) != isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"expected {kind}, got {type(value).__name__}")
    if pa.types.is_integer(kind) and isinstance(value, float) and not value.is_integer():
        raise ValueError(f"expected {kind}, got {value!r}")  # Arrow would cut the fraction off
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(f"expected {kind}, got {value!r:.40}") from error
