"""JSON that is not in lines: one array, an object around an array, or values one after another, printed in any way.

A shard is a whole file. It is read as a stream: only one record at a time is in memory, however large the array.
"""

from __future__ import annotations

import contextlib
import json
from codecs import BOM_UTF8
from collections.abc import Iterator

from batch_scorer.formats.compression import open_text
from batch_scorer.formats.first_bytes import check_json, check_text
from batch_scorer.formats.json_records import (
    SEARCHED_BYTES,
    columns_of,
    has_null,
    is_json,
    objects,
    record,
    value_of,
)
from batch_scorer.formats.json_scanner import Scanner
from batch_scorer.formats.json_tables import check_objects
from batch_scorer.formats.records import DAMAGE, Contents, Fields, Record, Shard
from batch_scorer.formats.text_lines import SAMPLE_BYTES, Sample, max_line_bytes, sample
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile

NAME = "json"
_LINES = 100  # of a file, to see whether they are objects
_WRAPS = 3  # objects around the array of records


def is_other_than_lines(head: Sample, fields: Fields) -> bool:
    """Whether a file, by its beginning, is JSON but has no record on each line."""
    # Where files with byte-order marks were joined, there are some in the middle, too.
    lines = [line for line in (line.removeprefix(BOM_UTF8).strip() for line in head.lines[:_LINES]) if line]
    if not lines or lines[0][:1] not in (b"[", b"{"):
        return False
    first, alone = lines[0], len(lines) == 1
    records = sum(bool(one) for one in objects(lines))
    if is_json(first):
        if first[:1] == b"[":
            return alone or (not records and not is_json(lines[1]))
        return alone and _wrapping(first, fields) is not None
    if records > 1:
        return False
    if first[:1] == b"[" or is_json(first.rstrip(b",")):
        return True
    if alone:
        return not head.is_whole and _wrapping(first, fields) is not None
    # An object that goes on in the next line, which is no record of its own.
    return lines[1][:1] != b"{" and first.count(b"{") + first.count(b"[") > first.count(b"}") + first.count(b"]")


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the first records, for the columns and their mean size; more of them where fields appear later."""
    head = sample(file)
    check_text(file.path, head)
    check_json(file.path, head, fields.text)
    check_objects(file.path, head, fields)
    values, end = list[bytes](), 1
    for offset, value in _until_damage(file.path, fields, SAMPLE_BYTES):
        values += [] if value is None else [value]
        end = offset + len(value or b"")
    reviews = len(values) if head.is_whole else round(head.size_bytes * len(values) / end)
    later = () if head.is_whole else (v for _, v in _until_damage(file.path, fields, SEARCHED_BYTES) if v)
    columns = columns_of(objects(values), later, fields, head.is_damaged)
    # Where the first record is damaged, it has to be read all the same, to be rejected.
    return Contents(max(1, reviews), estimated=not head.is_whole, columns=columns, format=NAME)


def _until_damage(path: str, fields: Fields, most: int) -> Iterator[tuple[int, bytes | None]]:
    """The records that begin in the first `most` bytes of a file, as far as they can be read."""
    with contextlib.suppress(*DAMAGE), open_text(path) as (stream, _):
        for offset, value in _values(Scanner(stream, max_line_bytes(fields.max_text_bytes)), fields):
            if offset > most:
                return
            yield offset, value


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The objects of the file, in order; offsets are bytes of the (decompressed) file."""
    path, longest = shard.paths[0], max_line_bytes(fields.max_text_bytes)
    with open_text(path, beat) as (stream, _):
        for offset, value in _values(Scanner(stream, longest), fields):
            if value is None:
                message = f"a record of more than {longest:,} bytes"
                yield Rejection(path, offset, None, "text_too_large", message)
            else:
                yield record(path, offset, value, fields)


def _values(scanner: Scanner, fields: Fields) -> Iterator[tuple[int, bytes | None]]:
    """Each record and where it begins; None for one that is too long.

    Raises:
        EOFError: the file ends within an array or an object.
    """
    path = _wrapping(scanner.head(SAMPLE_BYTES), fields)
    if path is not None:
        if _enter(scanner, path):
            yield from _items(scanner)
        return
    while sign := scanner.next_sign():
        if sign == b"[":
            scanner.skip_sign()
            yield from _items(scanner)
        elif sign == b",":
            scanner.skip_sign()
        else:
            yield scanner.value()


def _items(scanner: Scanner) -> Iterator[tuple[int, bytes | None]]:
    """The items of the array that has just been opened."""
    while sign := scanner.next_sign():
        if sign in b",]":
            scanner.skip_sign()
            if sign == b"]":
                return
        else:
            yield scanner.value()
    raise EOFError("the file ends within a JSON array")


def _enter(scanner: Scanner, path: tuple[str, ...]) -> bool:
    """Goes on to the array of this path in the next object, which is opened; False if there is none."""
    scanner.next_sign()
    scanner.skip_sign()  # the object's bracket
    while (sign := scanner.next_sign()) not in (b"}", b""):
        if sign != b'"':
            scanner.skip_sign()
            continue
        _, name = scanner.value()
        if scanner.next_sign() == b":":
            scanner.skip_sign()
            scanner.next_sign()
        if name is not None and is_json(b"[%b]" % name) and json.loads(name) == path[0]:
            if len(path) > 1:
                return _enter(scanner, path[1:])
            scanner.skip_sign()
            return True
        scanner.value()
    return False


def _wrapping(head: bytes, fields: Fields) -> tuple[str, ...] | None:
    """Where in the object at the beginning the array of records is, whose first has the text; None if in none."""
    text = head.decode("utf-8-sig", "replace").lstrip()
    return _array_in(text, 0, fields, _WRAPS)[0] if text[:1] == "{" else None


_decoder, _whitespace = json.JSONDecoder(), " \t\r\n"


def _array_in(text: str, at: int, fields: Fields, depth: int) -> tuple[tuple[str, ...] | None, int]:
    """The path of the array in the object that begins at `at`, and where the object ends; -1 if that is not known."""
    at = _skip(text, at + 1)
    try:
        while text[at : at + 1] == '"':
            name, at = _decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] != ":" or fields.text in (name, name.partition(".")[0]):
                return None, -1  # the object is a record itself
            at = _skip(text, at + 1)
            if text[at : at + 1] == "{" and depth > 1:
                found, at = _array_in(text, at, fields, depth - 1)
                if found is not None or at < 0:
                    return (name, *found) if found is not None else None, -1
            elif text[at : at + 1] == "[" and text[(first := _skip(text, at + 1)) : first + 1] == "{":
                item, _ = _decoder.raw_decode(text, first)
                if value_of(item, fields.text) is not None or has_null(item, fields.text):
                    return (name,), -1
                _, at = _decoder.raw_decode(text, at)
            else:
                _, at = _decoder.raw_decode(text, at)
            at = _skip(text, at)
            if text[at : at + 1] == ",":
                at = _skip(text, at + 1)
    except (ValueError, RecursionError):  # cut off, or no JSON
        return None, -1
    return None, at + 1


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _whitespace:
        at += 1
    return at
