"""Files that are not read, or not as they are: by their names and first bytes -> a refusal with the command that cures.

The commands run in a POSIX shell where batch-scorer runs, and leave the file as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Callable

from batch_scorer import storage
from batch_scorer.errors import InputError
from batch_scorer.escape import python, python_runs
from batch_scorer.formats.encodings import wide_encoding
from batch_scorer.formats.table import FORMATS, format_of, plain_name
from batch_scorer.formats.text_lines import Sample

_READERS = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".zst": "zstd -dc"}
_EXCEL = "import sys, pandas; pandas.read_excel(sys.argv[1], engine='calamine').to_csv(sys.argv[2], index=False)"
_XML = (
    "import sys, pandas; "
    "pandas.read_xml(sys.argv[1], parser='etree').to_json(sys.argv[2], orient='records', lines=True)"
)
_UNASSIGNED = (
    "import re, sys; sys.stdout.buffer.write("
    r're.sub(rb"\A[^=\[{]*=", b"", sys.stdin.buffer.read()).strip().rstrip(b";"))'
)
_HTML = "import sys, pandas; pandas.read_html(sys.argv[1])[0].to_csv(sys.argv[2], index=False)"
_TO_PARQUET = "import sys, pyarrow as pa, pyarrow.parquet as pq; pq.write_table({}, sys.argv[2])"
_ORC = _TO_PARQUET.format("__import__('pyarrow.orc').orc.read_table(sys.argv[1])")
_FEATHER = _TO_PARQUET.format("__import__('pyarrow.feather').feather.read_table(sys.argv[1])")
_AVRO = _TO_PARQUET.format("pa.Table.from_pylist(list(__import__('fastavro').reader(open(sys.argv[1], 'rb'))))")
_DICT_LIST = "import ast, json, sys; [print(json.dumps(row)) for row in ast.literal_eval(sys.stdin.read())]"
_DICTS = "import ast, json, sys; [print(json.dumps(ast.literal_eval(line))) for line in sys.stdin if line.strip()]"


def _converted(program: str, ending: str) -> Callable[[str, str], str]:
    return lambda path, stem: f"{python_runs(program)} {_word(path)} {_word(stem + ending)}"


def _unpacked(command: str) -> Callable[[str, str], str]:
    """Into a folder of its own; `{0}` for the file, `{1}` for the folder, `{2}` for Python."""
    return lambda path, stem: command.format(_word(path), _word(f"{stem}.unpacked"), python())


def _beside(command: str) -> Callable[[str, str], str]:
    return lambda path, stem: command.format(_word(path))


# A file of these formats has its own compression, and is not read as a compressed one.
_COMPRESSED = {
    suffix + ending: ("compressed as a whole", _beside(command))
    for entry in FORMATS.values()
    if not entry.compressible
    for suffix in entry.suffixes
    for ending, command in ((".gz", "gzip -dk {}"), (".bz2", "bzip2 -dk {}"), (".zst", "zstd -dk {}"))
}
_TAR = _unpacked("{2} -m tarfile -e {0} {1}")
# Ending -> what such a file is, and the command for its path, and its path without the ending.
_FOREIGN: dict[str, tuple[str, Callable[[str, str], str]]] = {
    ".zip": ("a ZIP archive", _unpacked("{2} -m zipfile -e {0} {1}")),
    **dict.fromkeys((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz"), ("a tar archive", _TAR)),
    ".7z": ("a 7z archive", _unpacked("7z x {0} -o{1}")),
    ".rar": ("a RAR archive", _unpacked("mkdir {1} && unrar x {0} {1}")),
    ".xz": ("compressed with xz", _beside("xz -dk {}")),
    ".lz4": ("compressed with lz4", _beside("lz4 -dk {}")),
    ".xls": ("an old Excel workbook", _converted(_EXCEL, ".csv")),
    ".xlsb": ("a binary Excel workbook", _converted(_EXCEL, ".csv")),
    ".ods": ("a spreadsheet of LibreOffice", _converted(_EXCEL, ".csv")),
    ".xml": ("XML", _converted(_XML, ".jsonl")),
    ".orc": ("an ORC file", _converted(_ORC, ".parquet")),
    **dict.fromkeys((".arrow", ".feather"), ("an Arrow file", _converted(_FEATHER, ".parquet"))),
    ".js": ("JavaScript", lambda path, stem: f"{python_runs(_UNASSIGNED)} < {_word(path)} > {_word(stem + '.json')}"),
    ".avro": ("an Avro file", _converted(_AVRO, ".parquet")),
    **_COMPRESSED,
}
_CALAMINE = (".xls", ".xlsb", ".ods")
# What files with the endings .zip and .xls may be as well.
_LOCKED_ZIP = ("an encrypted ZIP archive", _unpacked("7z x {0} -o{1}"))
_HTML_TABLE = ("a table in HTML", _converted(_HTML, ".csv"))
# How files begin that no text begins like -> the ending that they should have, and of `_FOREIGN` or the formats.
_MAGIC = {
    b"PK\x03\x04": ".zip",
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
_HEAD_BYTES = 512
_ZIP_FLAGS_AT = 6  # in the header of its first file; the lowest bit says that it is encrypted
_TAR_MARK, _TAR_MARK_AT = b"ustar", 257
_SHEETS = re.compile(rb"xl/work(book|sheets)").search  # what the archive of a workbook holds
_FEW_RETURNS = 2  # in a line that is longer than the sample
_is_html = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|meta|style|body|table)\b", re.IGNORECASE).match
_DICT = rb"\s*\{\s*u?'(?:[^'\\]|\\.)*'\s*:"
# JavaScript that gives a value a name, as exports of accounts do: `window.YTD.tweets.part0 = [`.
_is_assigned = re.compile(rb"\s*((var|let|const|export)\s+)*[A-Za-z_$][\w.$]*\s*=\s*([\[{]|$)").match
_is_dict, _is_dict_list = re.compile(_DICT).match, re.compile(rb"\s*\[" + _DICT).match


def ending_of(name: str) -> str | None:
    """The ending of a file that is not read, by its name; None for all others."""
    lower = name.lower()
    return next((e for e in sorted(_FOREIGN, key=len, reverse=True) if lower.endswith(e) and len(lower) > len(e)), None)


def refusal(path: str, ending: str) -> InputError:
    """The refusal of a file with one of the endings that `ending_of` gives."""
    here, before = _here(path)
    stem = here[: -len(ending)] if here.lower().endswith(ending) else here
    what, command = entry = _entry(path, ending)
    if package := "lxml" if entry is _HTML_TABLE else "python-calamine" if ending in _CALAMINE else "":
        before += f"{python()} -m pip install {package} && "
    return InputError(
        f"the input is {what}, which is not read as it is",
        where=path,
        expected="Parquet, JSON, CSV, a workbook (.xlsx) or text, compressed with gzip, bzip2 or zstd or not",
        fix=f"run `{before}{command(here, stem)}` and score what it writes",
    )


def _entry(path: str, ending: str) -> tuple[str, Callable[[str, str], str]]:
    """The entry of `_FOREIGN` for a file with this ending, or what else it is by its first bytes."""
    start = b""
    if ending in (".xls", ".zip") and not storage.is_remote(path):
        with contextlib.suppress(OSError), storage.open_read(path) as stream:
            start = stream.read(_HEAD_BYTES)
    if ending == ".zip" and len(start) > _ZIP_FLAGS_AT and start[_ZIP_FLAGS_AT] & 1:
        return _LOCKED_ZIP
    return _HTML_TABLE if ending == ".xls" and _is_html(start) else _FOREIGN[ending]


def check_text(path: str, head: Sample) -> None:
    """Checks that a file is text in lines, as its format has it.

    Raises:
        InputError: it is something else, in UTF-16, without line ends, or made of Python's dicts.
    """
    start = head.lines[0][:_HEAD_BYTES] if head.lines else b""
    for magic, ending in _MAGIC.items():
        if start.startswith(magic):
            raise _by_content(path, ".xlsx" if ending == ".zip" and any(map(_SHEETS, head.lines)) else ending)
    if start.startswith(_TAR_MARK, _TAR_MARK_AT):
        raise _by_content(path, ".tar")
    encoding = wide_encoding(b"\n".join(head.lines[:20])[:_HEAD_BYTES])
    if encoding:
        raise in_wide_encoding(path, encoding)
    if len(head.lines) == 1 and head.lines[0].strip().count(b"\r") > (0 if head.is_whole else _FEW_RETURNS):
        what = "has no line ends but the carriage returns of old Macs"
        raise rewritten(path, what, r"tr '\r' '\n'", "line ends: \\n or \\r\\n")


def check_json(path: str, head: Sample) -> None:
    """Checks that a file is JSON rather than JavaScript, or Python's dicts, one on each line or all in one list.

    Raises:
        InputError: it holds JavaScript or dicts.
    """
    filled = [line for line in head.lines if line.strip()][:3]
    is_record_next = len(filled) > 1 and filled[1].startswith(b"{") and filled[1].rstrip().endswith(b"}")
    if head.lines and _is_assigned(head.lines[0]) and not is_record_next:
        raise rewritten(path, "is JavaScript, which gives a name to JSON", python_runs(_UNASSIGNED), "JSON")
    is_list = _is_dict_list(b"\n".join(filled))
    if is_list or (filled and all(map(_is_dict, filled))):
        command = python_runs(_DICT_LIST if is_list else _DICTS)
        raise rewritten(path, "holds dicts as Python prints them", command, "JSON, with double quotes")


def in_wide_encoding(path: str, encoding: str) -> InputError:
    """The refusal of a file in UTF-16 or UTF-32."""
    return rewritten(path, f"is in {encoding}", f"iconv -f {encoding} -t UTF-8", "UTF-8")


def rewritten(path: str, what: str, command: str, expected: str, after: str = "") -> InputError:
    """The refusal of a file that a command which reads it from standard input makes right.

    Args:
        path: of the file.
        what: the file is, or holds.
        command: the command.
        expected: what the file should be.
        after: with which options to score what the command writes.
    """
    return InputError(f"the input {what}", where=path, expected=expected, fix=rewriting(path, command, after=after))


def rewriting(path: str, command: str, ending: str = "", after: str = "") -> str:
    """How to have a file rewritten by a command that reads it from standard input.

    Args:
        ending: of what the command writes; "" for that of the file.
        after: with which options to score it.
    """
    here, before = _here(path)
    plain = plain_name(here)
    stem, old = os.path.splitext(plain)
    reader = _READERS.get(here[len(plain) :].lower())
    source = f"{reader} {_word(here)} | {command}" if reader else f"{command} < {_word(here)}"
    return f"run `{before}{source} > {_word(f'{stem}.new{ending or old}')}` and score what it writes{after}"


def _by_content(path: str, ending: str) -> InputError:
    if ending == ".xlsx" or (ending == ".zip" and format_of(path) == "xlsx"):
        named = ", or leave it out" if format_of(path) == "xlsx" else ""
        what, fix = "is an Excel workbook", f"give --input-format xlsx{named}"
    elif ending in _FOREIGN:
        return refusal(path, ending)
    elif ending == ".parquet":
        what, fix = "is Parquet", "give --input-format parquet"
    else:
        here, before = _here(path)
        what = f"is compressed, which its name does not say: {ending}"
        fix = f"run `{before}cp {_word(here)} {_word(here + ending)}` and score that"
    return InputError(f"the input {what}", where=path, expected="text", fix=fix)


def _here(path: str) -> tuple[str, str]:
    """The name of a file on this machine, and what copies it here from a store."""
    if not storage.is_remote(path):
        return path, ""
    name = os.path.basename(path)
    copy = "gcloud storage cp" if path.startswith("gs://") else "aws s3 cp"
    return name, f"{copy} {_word(path)} {_word(name)} && "


def _word(path: str) -> str:
    """A path as a word of a shell, and not as an option."""
    return shlex.quote(f"./{path}" if path.startswith("-") else path)
