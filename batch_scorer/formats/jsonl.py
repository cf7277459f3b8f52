"""JSON lines: one object a line, lines ending at `\\n` and nowhere else; a shard is a range of bytes.

Real reviews hold U+2028 and U+0085, at which Python's `str.splitlines` would cut them.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from batch_scorer import storage
from batch_scorer.records import EXCERPT_BYTES, Fields, InputFile, Record, Shard, shown, utf8_problem
from batch_scorer.schema import Rejection, printable
from batch_scorer.storage import StoredFile

SAMPLE_BYTES = 1 << 18  # read to guess the records' size and columns
_SKIP_BYTES = 1 << 20


def inspect(file: StoredFile) -> InputFile:
    """Reads the first lines, for the columns and the mean size of a record."""
    with storage.open_read(file.path) as stream:
        head = stream.read(SAMPLE_BYTES)
    whole = len(head) == file.size_bytes
    lines = head.split(b"\n")
    if not whole and len(lines) > 1:
        lines.pop()  # cut off by the end of the sample
    count = sum(1 for line in lines if line.strip())
    reviews = count if whole else max(1, round(file.size_bytes * count / sum(len(line) + 1 for line in lines)))
    found = _objects(lines)
    columns = infer_columns(found) if found else None
    return InputFile(file.path, "jsonl", file.size_bytes, reviews, estimated=not whole, columns=columns)


def records(shard: Shard, fields: Fields) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, blank ones left out; offsets are bytes of the file."""
    path = shard.paths[0]
    max_line = 8 * fields.max_text_bytes + (1 << 16)  # an escape, \uXXXX, takes six bytes; other fields some more
    with storage.open_read(path) as stream:
        for offset, line in read_lines(stream, shard.start, shard.stop, max_line):
            if line is None:
                yield Rejection(path, offset, None, "text_too_large", f"a line of more than {max_line:,} bytes")
            elif line.strip(b" \t\r"):
                yield _record(path, offset, line, fields)


def read_lines(file: BinaryIO, start: int, stop: int, max_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """The lines that begin in bytes `start` to `stop` of `file`, in bounded memory.

    However a file is cut into ranges, each of its lines is in exactly one of them.

    Yields:
        offset: where the line begins.
        line: its bytes without the line end; None where it is longer than `max_bytes`.
    """
    position = start
    if start:
        # A line belongs to the range where it begins: the byte before tells whether one begins right here.
        file.seek(start - 1)
        position = start - 1 + _skip_line(file)
    while position < stop:
        line = file.readline(max_bytes + 1)
        if not line:
            return
        offset = position
        position += len(line)
        if line.endswith(b"\n"):
            yield offset, line[:-1]
        elif len(line) > max_bytes:
            position += _skip_line(file)
            yield offset, None
        else:
            yield offset, line


def _skip_line(file: BinaryIO) -> int:
    """Reads to the end of the line and returns how many bytes that were."""
    skipped = 0
    while piece := file.readline(_SKIP_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _record(path: str, offset: int, line: bytes, fields: Fields) -> Record | Rejection:
    try:
        found = parse(line)
    except UnicodeDecodeError as error:
        return Rejection(path, offset, None, "invalid_utf8", utf8_problem(error), shown(line))
    except ValueError as error:
        return Rejection(path, offset, None, "malformed_json", str(error), shown(line))
    if not isinstance(found, dict):
        message = f"the line is a JSON {type(found).__name__}"
        return Rejection(path, offset, None, "not_an_object", message, shown(line))
    identity = found.get(fields.id) if fields.id else None
    record_id = identity if isinstance(identity, str) or identity is None else json.dumps(identity)
    text = found.get(fields.text)
    if text is None:
        state = "null" if fields.text in found else "missing"
        return Rejection(path, offset, record_id, "missing_text", f"the field {fields.text!r} is {state}")
    if not isinstance(text, str):
        message = f"the field {fields.text!r} is a {type(text).__name__}"
        return Rejection(path, offset, record_id, "text_not_a_string", message, json.dumps(text)[:EXCERPT_BYTES])
    kept = []
    for column, kind in zip(fields.kept, fields.kept_schema, strict=True):
        try:
            kept.append(fit(found.get(column.name), kind.type))
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
    names = dict.fromkeys(name for record in found for name in record)
    return pa.schema([pa.field(n, _infer([r[n] for r in found if r.get(n) is not None])) for n in names])


def _infer(values: list[Any]) -> pa.DataType:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
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
