"""The first bytes of a file that should be text -> a refusal with the command that cures, if it is something else."""

from __future__ import annotations

import ast
import re
import warnings

from batch_scorer.errors import InputError
from batch_scorer.escape import python_runs, short
from batch_scorer.escape import quoted_path as word
from batch_scorer.formats.encodings import wide_encoding
from batch_scorer.formats.foreign import (
    FOREIGN,
    HEAD_BYTES,
    UNASSIGNED,
    ZIPPED,
    here_of,
    in_wide_encoding,
    refusal,
    rewritten,
)
from batch_scorer.formats.json_records import is_json
from batch_scorer.formats.table import format_of
from batch_scorer.formats.text_lines import Sample

_DICT_LIST = "import ast, json, sys; [print(json.dumps(row)) for row in ast.literal_eval(sys.stdin.read())]"
_DICTS = "import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in sys.stdin if line.strip()]"
# How files begin that no text begins like -> the ending that they should have, and of `FOREIGN` or the formats.
_MAGIC = {
    ZIPPED: ".zip",
    b"\x1f\x8b\x08": ".gz",
    b"BZh": ".bz2",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"\xfd7zXZ\0": ".xz",
    b"7z\xbc\xaf\x27\x1c": ".7z",
    b"Rar!\x1a\x07": ".rar",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ".xls",
    b"<?xml": ".xml",
    b"Obj\x01": ".avro",
    b"ARROW1\0\0": ".arrow",
    b"PAR1": ".parquet",
}
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_SHEETS = re.compile(rb"xl/work(book|sheets)").search  # what the archive of a workbook holds
_SHOWN = 20  # names
_FEW_RETURNS = 2  # in a line that is longer than the sample
_DICT = rb"\s*\{\s*u?'(?:[^'\\]|\\.)*'\s*:"
# JavaScript that gives a value a name, as exports of accounts do: `window.YTD.tweets.part0 = [`.
_is_assigned = re.compile(rb"\s*((var|let|const|export)\s+)*[A-Za-z_$][\w.$]*\s*=\s*([\[{]|$)").match
_is_dict, _is_dict_list = re.compile(_DICT).match, re.compile(rb"\s*\[" + _DICT).match


def check_text(path: str, head: Sample) -> None:
    """Checks that a file is text in lines, as its format has it.

    Raises:
        InputError: it is something else, or in UTF-16 or UTF-32.
    """
    start = head.lines[0][:HEAD_BYTES] if head.lines else b""
    for magic, ending in _MAGIC.items():
        if start.startswith(magic):
            raise _by_content(path, ".xlsx" if ending == ".zip" and any(map(_SHEETS, head.lines)) else ending)
    if start.startswith(_TAR_MARK, _TAR_MARK_AT):
        raise _by_content(path, ".tar")
    start = b"\n".join(head.lines[:20])[:HEAD_BYTES]
    if encoding := wide_encoding(start):
        raise in_wide_encoding(path, encoding, start)


def check_line_ends(path: str, head: Sample) -> None:
    """Checks that a file does not end its lines with carriage returns alone.

    Where a carriage return may also stand within a value, it is for the caller to see that none of them does.

    Raises:
        InputError: it has a single line, with carriage returns in it.
    """
    if len(head.lines) == 1 and head.lines[0].strip().count(b"\r") > (0 if head.is_whole else _FEW_RETURNS):
        what = "has no line ends but the carriage returns of old Macs"
        raise rewritten(path, what, r"tr '\r' '\n'", "line ends: \\n or \\r\\n")


def check_json(path: str, head: Sample, text_column: str) -> None:
    """Checks that a file is JSON rather than JavaScript, or Python's dicts, one on each line or all in one list.

    Raises:
        InputError: it holds JavaScript or dicts, or its lines end in carriage returns alone.
    """
    if head.lines and not is_json(head.lines[0]):  # within JSON, a carriage return is a blank
        check_line_ends(path, head)
    filled = [line for line in head.lines if line.strip()][:3]
    is_record_next = len(filled) > 1 and filled[1].startswith(b"{") and filled[1].rstrip().endswith(b"}")
    if head.lines and _is_assigned(head.lines[0]) and not is_record_next:
        raise rewritten(path, "is JavaScript, which gives a name to JSON", python_runs(UNASSIGNED), "JSON")
    is_list = _is_dict_list(b"\n".join(filled))
    if is_list or (filled and all(map(_is_dict, filled))):
        command = python_runs(_DICT_LIST if is_list else _DICTS)
        names = _names(filled[0])
        after = ", with --text-column and the name of the one that is the review" if text_column not in names else ""
        what = "holds dicts as Python prints them"
        refused = rewritten(path, what, command, "JSON, with double quotes", after if names else "")
        refused.got = f"dicts of {', '.join(map(short, names[:_SHOWN]))}" if names else None
        raise refused


def _names(line: bytes) -> list[str]:
    """The names in the dict that a line begins with, if it ends there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in its strings
            first, *_ = ast.literal_eval(line.decode().strip().strip("[],") + ",")
            return [name for name in first if isinstance(name, str)]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return []


def _by_content(path: str, ending: str) -> InputError:
    if ending == ".xlsx" or (ending == ".zip" and format_of(path) == "xlsx"):
        named = ", or leave it out" if format_of(path) == "xlsx" else ""
        what, fix = "is an Excel workbook", f"give --input-format xlsx{named}"
    elif ending in FOREIGN:
        return refusal(path, ending)
    elif ending == ".parquet":
        what, fix = "is Parquet", "give --input-format parquet"
    else:
        here, before = here_of(path)
        what = f"is compressed, which its name does not say: {ending}"
        fix = f"run `{before}cp {word(here)} {word(here + ending)}` and score that"
    return InputError(f"the input {what}", where=path, expected="text", fix=fix)
