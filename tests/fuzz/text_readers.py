"""The readers of text under fuzzing: bytes in, nothing out unless a record is lost, doubled or wrong.

What must come of a file is worked out here a second time, in the plainest way: lines by `split`, CSV by its states.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from batch_scorer.config import InputConfig
from batch_scorer.errors import InputError
from batch_scorer.formats.encodings import wide_encoding
from batch_scorer.formats.json_values import is_other_than_lines
from batch_scorer.formats.records import Fields
from batch_scorer.formats.text_lines import Sample
from tests.fuzz import seeds
from tests.fuzz.case import OPTION_BYTES, Case, compressed, inflated, options, seed_of
from tests.fuzz.oracle import ALL, Expected, Work, holds, outcome_of, place, scored, small
from tests.fuzz.seeds import SEPARATOR

NESTING = 200  # of JSON, beyond which a line is malformed


def check_text(
    data: bytes,
    scratch: Path,
    name: str,
    expect: Callable[[Case, bytes], Expected],
    refusable: Callable[[Case, bytes], bool],
    unusable: Callable[[Case, bytes], bool] = lambda case, content: False,
    one_value: Callable[[bytes], bool] = lambda content: False,
    **config: Any,
) -> None:
    """One file of lines or of CSV: planned, read and scored, whole and in small shards.

    Args:
        expect: what is to come of the decompressed content.
        refusable: whether the plan may refuse it, a column being missing.
        unusable: whether all of it counts as damage, no matter what is in it.
        one_value: whether it may be read in another way than by lines, so that only its shards can be compared.
    """
    case = Case.of(data)
    stored = case.stored(case.content)
    content, whole = inflated(stored, case.ending)
    more = {"encoding": case.encoding, "delimiter": case.delimiter, "max_text_bytes": case.max_text_bytes}
    work = Work(place(name + case.ending, [stored], scratch), {**more, **config}, scratch)
    try:
        _check_lines(case, work, content, whole, expect, refusable, unusable, one_value)
    finally:
        work.paths[0].unlink()


def _check_lines(
    case: Case,
    work: Work,
    content: bytes,
    whole: bool,
    expect: Callable[[Case, bytes], Expected],
    refusable: Callable[[Case, bytes], bool],
    unusable: Callable[[Case, bytes], bool],
    one_value: Callable[[bytes], bool],
) -> None:
    if not whole:
        content = content[: content.rfind(b"\n") + 1]  # of a line that damage cuts off nothing can be told
    whole = whole and not unusable(case, content)
    expected = expect(case, content)[: case.limit]
    try:
        plan, shards = work.planned(shard_rows=ALL, limit=case.limit)
    except InputError as error:
        holds(refusable(case, content) or _is_wide(content), "refused", str(error), content)
        return
    one = outcome_of(plan, shards)
    if one_value(content):
        pass
    elif whole:
        holds(expected == one.found, "other records", expected, one.found, one.codes)
        holds(one.unreadable == 0, "unreadable", one)
    else:
        holds(expected[: len(one.found)] == one.found, "other records before damage", expected, one.found)
        enough = case.limit is not None and len(one.found) == case.limit
        holds(one.unreadable == 1 or enough, "damage told not once", one)
    plan, shards = work.planned(shard_rows=small(case.shard_rows, plan), limit=case.limit)
    rows, unreadable, _ = scored(plan, shards, work.scratch)
    places = sorted((str(work.paths[0]), offset) for offset, _ in one.found)
    holds((places, one.unreadable) == (rows, unreadable), "other records from other shards", places, rows)


def _is_wide(content: bytes) -> bool:
    """Whether a file looks like UTF-16 or UTF-32, and so is refused."""
    return wide_encoding(content.removeprefix(codecs.BOM_UTF8)[:512]) is not None


def _lines(content: bytes) -> list[tuple[int, bytes]]:
    """The lines that are not blank, with their offsets; a byte-order mark at the beginning is nothing."""
    found, offset = [], 0
    for line in content.split(b"\n"):
        if (line if offset else line.removeprefix(codecs.BOM_UTF8)).strip(b" \t\r"):
            found.append((offset, line))
        offset += len(line) + 1
    return found


def _taken(text: str, case: Case) -> str | None:
    """`text` if it is to be scored, None if it is to be rejected."""
    try:
        return text if len(text.encode()) <= case.max_text_bytes else None
    except UnicodeEncodeError:
        return None


def check_lines(data: bytes, scratch: Path) -> None:
    """One review a line."""

    def expect(case: Case, content: bytes) -> Expected:
        return [(offset, taken(case, offset, line)) for offset, line in _lines(content)]

    def taken(case: Case, offset: int, line: bytes) -> str | None:
        line = line.removeprefix(codecs.BOM_UTF8) if offset == 0 else line
        try:
            return _taken(line.removesuffix(b"\r").decode(case.encoding), case)
        except UnicodeDecodeError:
            return None

    def refusable(case: Case, content: bytes) -> bool:
        # A single line with carriage returns within it is a file of old Macs.
        return len(content.removesuffix(b"\n").split(b"\n")) == 1 and b"\r" in content.strip()

    check_text(data, scratch, ".log", expect, refusable, input_format="lines")


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.removeprefix(codecs.BOM_UTF8).decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _depth(value) <= NESTING else None


def _depth(value: Any) -> int:
    """How many lists and objects are nested in each other."""
    depth, level = 0, [value]
    while level := [inner for inner in level if isinstance(inner, (dict, list))]:
        depth += 1
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return depth


def check_jsonl(data: bytes, scratch: Path) -> None:
    """JSON lines, with an id."""
    case = Case.of(data)

    def expect(case: Case, content: bytes) -> Expected:
        objects = [(offset, _object(line)) for offset, line in _lines(content)]
        texts = [(offset, found.get("text") if found else None) for offset, found in objects]
        return [(offset, _taken(text, case) if isinstance(text, str) else None) for offset, text in texts]

    def refusable(case: Case, content: bytes) -> bool:
        objects = [found for _, line in _lines(content) if (found := _object(line)) is not None]
        has_text = any(isinstance(found.get("text"), str) for found in objects)
        return not has_text or (case.with_id and not any("id" in found for found in objects))

    def one_value(content: bytes) -> bool:
        # Lines without an object among them may be a document that goes on over many lines, whole or broken.
        lines = [line.removeprefix(codecs.BOM_UTF8) for _, line in _lines(content)]
        head = Sample(lines, True, len(content), len(content))
        few = sum(_object(line) is not None for line in lines) <= 1
        return few and is_other_than_lines(head, Fields.of(InputConfig(())))

    named = "id" if case.with_id else None
    check_text(data, scratch, ".jsonl", expect, refusable, one_value=one_value, id_column=named)


def check_csv(data: bytes, scratch: Path) -> None:
    """CSV with a header; a quote that is never closed is blamed on the line that opens it."""
    case = Case.of(data)

    def expect(case: Case, content: bytes) -> Expected:
        header, *rows = csv_rows(case, content) or [[]]
        if header is None or "text" not in header:
            return []
        at, width = header.index("text"), len(header)
        texts = [row[at] if row is not None and len(row) == width else None for row in rows]
        return [(i, None if text is None else _taken(text, case)) for i, text in enumerate(texts)]

    def refusable(case: Case, content: bytes) -> bool:
        header = (csv_rows(case, content) or [None])[0] or []
        return any(header.count(name) != 1 for name in ("text", *(["id"] if case.with_id else [])))

    def unusable(case: Case, content: bytes) -> bool:
        return csv_rows(case, content)[:1] == [None]

    check_text(data, scratch, ".csv", expect, refusable, unusable, id_column="id" if case.with_id else None)


def csv_rows(case: Case, content: bytes) -> list[list[str] | None]:
    """The records of CSV, None for a malformed one, blank lines left out."""
    decoded = [line.decode(case.encoding, "surrogateescape") for line in _bytes_lines(content)]
    rows: list[list[str] | None] = []
    at = 0
    while at < len(decoded):
        fields, end = _csv_record(decoded, at, case.delimiter or ",")
        tabs = len(next(filter(None, rows), [])) - 1  # between the fields of the header
        if end - at > 1 and case.delimiter == "\t" and tabs > 0:
            filled = [line for line in decoded[at:end] if line.strip()]
            records = len(fields or ()) != tabs + 1 or filled[0].count("\t") == filled[-1].count("\t") == tabs
            fields = None if len(filled) > 1 and records else fields
        if fields is None or fields:
            rows.append(fields)
        at = at + 1 if fields is None else end
    return rows


def _bytes_lines(content: bytes) -> list[bytes]:
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _csv_record(lines: list[str], at: int, delimiter: str) -> tuple[list[str] | None, int]:
    """The fields of the record that begins at line `at` (None: malformed) and the line after it; RFC 4180, strictly."""
    fields: list[str] = []
    value, state = "", "start"  # of a field; else: plain, quoted, quote (perhaps the end of a quoted field), ended
    while True:
        if at == len(lines):
            return None, at
        for char in lines[at]:
            if state == "ended":
                if char != "\r":
                    return None, at
            elif state == "quoted":
                state, value = ("quote", value) if char == '"' else (state, value + char)
            elif state == "quote" and char == '"':
                state, value = "quoted", value + char
            elif char in (delimiter, "\r"):
                fields, value, state = [*fields, value], "", "start" if char == delimiter else "ended"
            elif state == "quote":
                return None, at
            elif state == "start" and char == '"':
                state = "quoted"
            else:
                state, value = "plain", value + char
        at += 1
        if state != "quoted":
            blank = not fields and state == "start"
            return ([] if blank or (state == "ended" and fields == [""] and lines[at - 1].strip("\r") == "")
                    else fields if state == "ended" else [*fields, value]), at  # fmt: skip
        value += "\n"


def check_files(data: bytes, scratch: Path) -> None:
    """Several one-review files; damage is done to one of them."""
    case = Case.of(data)
    contents = case.content.split(SEPARATOR)[:6]
    chosen = int(case.place * len(contents))
    plain = [compressed(content, case.ending) if case.ending else content for content in contents]
    stored = [case.stored(content) if i == chosen else plain[i] for i, content in enumerate(contents)]
    more = {"encoding": case.encoding, "max_text_bytes": case.max_text_bytes}
    work = Work(place(".txt" + case.ending, stored, scratch), more, scratch)
    try:
        _check_files(case, work, stored)
    finally:
        for path in work.paths:
            path.unlink()


def _check_files(case: Case, work: Work, stored: list[bytes]) -> None:
    expected, damaged = [], 0
    for data in stored[: case.limit]:
        content, whole = inflated(data, case.ending)
        if not whole and len(content) >= case.max_text_bytes:
            return  # it may be too large before the damage comes
        damaged += not whole
        if whole:
            expected.append(_file_text(content, case))
    try:
        plan, shards = work.planned(shard_rows=ALL, limit=case.limit)
    except InputError as error:
        # One such file among others is rejected by itself.
        holds(len(stored) == 1 and _is_wide(inflated(stored[0], case.ending)[0]), "refused", str(error), stored)
        return
    one = outcome_of(plan, shards)
    holds(sorted(map(repr, expected)) == sorted(repr(text) for _, text in one.found), "other files", expected, one)
    holds(damaged == one.unreadable, "damaged files", damaged, one)
    plan, shards = work.planned(shard_rows=small(case.shard_rows, plan), limit=case.limit)
    rows, unreadable, _ = scored(plan, shards, work.scratch)
    holds((len(one.found), damaged) == (len(rows), unreadable), "other records from other shards", one, rows)


def _file_text(content: bytes, case: Case) -> str | None:
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return _taken(content.decode(case.encoding), case) if len(content) <= case.max_text_bytes else None
    except UnicodeDecodeError:
        return None


def seed_csv(rng: Random) -> bytes:
    """CSV, its delimiter told by the options nine times in ten."""
    chosen = options(rng)
    delimiter = Case.of(chosen).delimiter or ","

    def content(rng: Random) -> bytes:
        return seeds.table(rng, delimiter if rng.random() < 0.9 else rng.choice(",;\t|"))

    return chosen + seed_of(content)(rng)[OPTION_BYTES:]
