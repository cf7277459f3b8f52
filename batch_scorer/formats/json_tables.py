"""JSON that holds no object for each review, as pandas' `to_json` writes it by default -> a refusal with a command.

A table column by column, rows without names, objects by key, or bare texts. The commands need Python alone.
"""

from __future__ import annotations

import json
import re
from typing import Any

from batch_scorer.escape import python_runs
from batch_scorer.formats.foreign import rewritten
from batch_scorer.formats.json_records import glance, has_null, value_of
from batch_scorer.formats.records import Fields
from batch_scorer.formats.text_lines import Sample

_EACH = "import json, sys; d = json.load(sys.stdin); [print(json.dumps({})) for {}]"
_COLUMNS = _EACH.format("{c: d[c][i] for c in d}", "i in next(iter(d.values()))")
_LISTS = _EACH.format("dict(zip(d, row))", "row in zip(*d.values(), strict=True)")
_SPLIT = _EACH.format("dict(zip(d['columns'], row))", "row in d['data']")
_KEYED = _EACH.format("{'key': k, **row}", "k, row in d.items()")
_ROWS = _EACH.format("dict(enumerate(row))", "row in d")
_WRAPS = 3  # objects around the one whose values are records
_ITEMS = 20  # of an array that is not known as a whole
# How a table begins that pandas numbered, where the rest of it is not known: by columns, by rows.
_numbered_columns = re.compile(r'\{\s*"[^"\\]*"\s*:\s*\{\s*"0"\s*:\s*[^\s{\[]').match
_numbered_rows = re.compile(r'\{\s*"0"\s*:\s*\{').match
_split = re.compile(r'\{\s*"columns"\s*:\s*\[\s*"').match
_decoder = json.JSONDecoder()


def check_objects(path: str, head: Sample, fields: Fields) -> None:
    """Checks that a file of JSON has an object for each review.

    Raises:
        InputError: it is a single value that holds reviews in another way.
    """
    data = b"\n".join(head.lines)
    if head.is_whole and not head.is_damaged:
        try:
            found = _in_value(glance(data), fields)
        except ValueError:  # lines, or several values, or damaged ones
            found = None
    else:
        found = _at_beginning(data.decode("utf-8-sig", "replace").lstrip(), fields)
    if found:
        what, program, after = found
        command = python_runs(program)
        raise rewritten(path, f"holds {what}", command, "an object for each review", after)


def _in_value(value: Any, fields: Fields) -> tuple[str, str, str] | None:
    """What a value is if it is no records: in words, the program that makes lines of it, and what to do after that."""
    if isinstance(value, list):
        return _in_array(value, fields)
    if not isinstance(value, dict) or not value:
        return None
    columns = [*value.values()]
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list) and fields.text not in value:
        return "the names of the columns apart from the rows", _SPLIT, ""
    if fields.text in value and all(isinstance(column, dict) for column in columns):
        same = all(column.keys() == columns[0].keys() for column in columns)
        same = same and (len(columns) > 1 or all(key.isdigit() for key in columns[0]))
        return ("a table column by column", _COLUMNS, "") if same else None
    if fields.text in value and all(isinstance(column, list) for column in columns):
        same = len({len(column) for column in columns}) == 1
        return ("a table column by column", _LISTS, "") if same else None
    path = _path_of_keyed(value, fields.text, _WRAPS)
    if path is None:
        return None
    program = _KEYED.replace("(sys.stdin)", "(sys.stdin)" + "".join(f"[{name!r}]" for name in path))
    return "an object for each review, but under keys instead of in an array", program, ""


def _path_of_keyed(value: dict[str, Any], text: str, depth: int) -> tuple[str, ...] | None:
    """Where in an object the one is whose values are records, by the names that lead there; None if there is none."""
    inner = [one for one in value.values() if isinstance(one, dict)]
    if text in value or not inner:
        return None
    if len(value) == len(inner) > 1 and all(_has(one, text) for one in inner):
        return ()
    for name, one in value.items():
        if depth and isinstance(one, dict) and (path := _path_of_keyed(one, text, depth - 1)) is not None:
            return (name, *path)
    return None


def _has(row: dict[str, Any], name: str) -> bool:
    return value_of(row, name) is not None or has_null(row, name)


def _in_array(items: list[Any], fields: Fields) -> tuple[str, str, str] | None:
    if items and all(isinstance(item, str) for item in items):
        return "texts without the names of fields", _EACH.format(f"{{{fields.text!r}: text}}", "text in d"), ""
    if items and all(isinstance(item, list) for item in items):
        lengths = [len(value) if isinstance(value, str) else 0 for value in items[-1]]  # the first may be a header
        column = lengths.index(max(lengths)) if lengths else 0
        return "rows without the names of fields", _ROWS, f" with --text-column {column}"
    return None


def _at_beginning(text: str, fields: Fields) -> tuple[str, str, str] | None:
    """The same, of a value of which only the beginning is known."""
    if _split(text):
        return "the names of the columns apart from the rows", _SPLIT, ""
    if _numbered_columns(text):
        return "a table column by column", _COLUMNS, ""
    if _numbered_rows(text):
        return "an object for each review, but under keys instead of in an array", _KEYED, ""
    items, at = list[Any](), 1
    while text[:1] == "[" and len(items) < _ITEMS:
        at += len(text[at:]) - len(text[at:].lstrip(", \t\r\n"))
        try:
            item, at = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        items.append(item)
    return _in_array(items, fields)
