"""Files that are not read, or not as they are: by their names and first bytes -> a refusal with the command that cures.

The commands run in a POSIX shell where batch-scorer runs, and leave the file as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
from codecs import BOM_UTF8
from collections.abc import Callable

from batch_scorer import storage
from batch_scorer.errors import InputError
from batch_scorer.escape import python, python_runs
from batch_scorer.escape import quoted_path as word
from batch_scorer.formats.encodings import wide_encoding
from batch_scorer.formats.table import FORMATS, plain_name

_READERS = {".gz": "gzip -dc", ".bz2": "bzip2 -dc", ".zst": "zstd -dc"}
_EXCEL = "import sys, pandas; pandas.read_excel(sys.argv[1], engine='calamine').to_csv(sys.argv[2], index=False)"
_XML = (
    "import sys, pandas; "
    "pandas.read_xml(sys.argv[1], parser='etree').to_json(sys.argv[2], orient='records', lines=True)"
)
UNASSIGNED = (
    "import re, sys; sys.stdout.buffer.write("
    r're.sub(rb"\A[^=\[{]*=", b"", sys.stdin.buffer.read()).strip().rstrip(b";"))'
)
# Of Excel 2003. Cells that are empty may be missing; the one after them says where it is.
_XML_ROWS = (
    "import csv, sys; from itertools import accumulate; from xml.etree.ElementTree import parse; "
    "u = '{urn:schemas-microsoft-com:office:spreadsheet}'; "
    "rows = [[(c.get(u + 'Index'), ''.join(t for d in c.iter(u + 'Data') for t in d.itertext())) "
    "for c in row.iter(u + 'Cell')] for row in next(parse(sys.argv[1]).iter(u + 'Table')).iter(u + 'Row')]; "
    "rows = [dict(zip(list(accumulate(row, lambda at, c: int(c[0] or at + 1), initial=0))[1:], "
    "[text for _, text in row])) for row in rows]; "
    "columns = range(1, 1 + max(at for row in rows for at in row)); "
    "csv.writer(open(sys.argv[2], 'w', newline='', encoding='utf-8'))"
    ".writerows([row.get(at, '') for at in columns] for row in rows)"
)
_HTML = "import sys, pandas; pandas.read_html(sys.argv[1])[0].to_csv(sys.argv[2], index=False)"
_TO_PARQUET = "import sys, pyarrow as pa, pyarrow.parquet as pq; pq.write_table({}, sys.argv[2])"
_ORC = _TO_PARQUET.format("__import__('pyarrow.orc').orc.read_table(sys.argv[1])")
_FEATHER = _TO_PARQUET.format("__import__('pyarrow.feather').feather.read_table(sys.argv[1])")
_AVRO = _TO_PARQUET.format("pa.Table.from_pylist(list(__import__('fastavro').reader(open(sys.argv[1], 'rb'))))")


def _converted(program: str, ending: str) -> Callable[[str, str], str]:
    return lambda path, stem: f"{python_runs(program)} {word(path)} {word(stem + ending)}"


def _renamed(command: str, ending: str) -> Callable[[str, str], str]:
    return lambda path, stem: command.format(word(path), word(stem + ending))


def _unpacked(command: str) -> Callable[[str, str], str]:
    """Into a folder of its own; `{0}` for the file, `{1}` for the folder, `{2}` for Python."""
    return lambda path, stem: command.format(word(path), word(f"{stem}.unpacked"), python())


def _beside(command: str) -> Callable[[str, str], str]:
    return lambda path, stem: command.format(word(path))


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
FOREIGN: dict[str, tuple[str, Callable[[str, str], str]]] = {
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
    ".js": ("JavaScript", lambda path, stem: f"{python_runs(UNASSIGNED)} < {word(path)} > {word(stem + '.json')}"),
    ".avro": ("an Avro file", _converted(_AVRO, ".parquet")),
    **_COMPRESSED,
}
_CALAMINE = [FOREIGN[ending] for ending in (".xls", ".xlsb", ".ods")]
# What files with the endings .zip and .xls may be as well.
_LOCKED_ZIP = ("an encrypted ZIP archive", _unpacked("7z x {0} -o{1}"))
_HTML_TABLE = ("a table in HTML", _converted(_HTML, ".csv"))
_XML_SHEET = ("a spreadsheet in XML", _converted(_XML_ROWS, ".csv"))
_OLE, ZIPPED = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"  # how old and new workbooks begin
HEAD_BYTES = 512  # by which a file is told
_ZIP_FLAGS_AT = 6  # in the header of its first file; the lowest bit says that it is encrypted
_is_html = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|meta|style|body|table)\b", re.IGNORECASE).match


def ending_of(name: str) -> str | None:
    """The ending of a file that is not read, by its name; None for all others."""
    lower = name.lower()
    return next((e for e in sorted(FOREIGN, key=len, reverse=True) if lower.endswith(e) and len(lower) > len(e)), None)


def refusal(path: str, ending: str) -> InputError:
    """The refusal of a file with one of the endings that `ending_of` gives."""
    here, before = here_of(path)
    stem = here[: -len(ending)] if here.lower().endswith(ending) else here
    what, command = entry = _entry(path, ending)
    if package := "lxml" if entry is _HTML_TABLE else "python-calamine" if entry in _CALAMINE else "":
        before += f"{python()} -m pip install {package} && "
    return InputError(
        f"the input is {what}, which is not read as it is",
        where=path,
        expected="Parquet, JSON, CSV, a workbook (.xlsx) or text, compressed with gzip, bzip2 or zstd or not",
        fix=f"run `{before}{command(here, stem)}` and score what it writes",
    )


def _entry(path: str, ending: str) -> tuple[str, Callable[[str, str], str]]:
    """The entry of `FOREIGN` for a file with this ending, or what else it is by its first bytes."""
    start = b""
    if ending in (".xls", ".zip") and not storage.is_remote(path):
        with contextlib.suppress(OSError), storage.open_read(path) as stream:
            start = stream.read(HEAD_BYTES)
    if ending == ".zip" and len(start) > _ZIP_FLAGS_AT and start[_ZIP_FLAGS_AT] & 1:
        return _LOCKED_ZIP
    return _named_xls(start) if ending == ".xls" else FOREIGN[ending]


def _named_xls(start: bytes) -> tuple[str, Callable[[str, str], str]]:
    """What a file is that is named as an old workbook: programs that export text or HTML for Excel do that, too."""
    wide = wide_encoding(start)
    if _is_html(start):
        return _HTML_TABLE
    if start.removeprefix(BOM_UTF8).startswith(b"<?xml"):
        return _XML_SHEET if b"office:spreadsheet" in start else FOREIGN[".xml"]
    if start.startswith(ZIPPED):
        return "a new Excel workbook under an old name", _renamed("cp {} {}", ".xlsx")
    if not start or start.startswith(_OLE) or (b"\0" in start and not wide):
        return FOREIGN[".xls"]
    ending = ".tsv" if b"\t" in start else ".csv"
    if wide:
        convert = _renamed(f"iconv -f {wide} -t UTF-8 < {{}} > {{}}", ending)
        return f"text in {wide} under the name of a workbook", convert
    return "text under the name of a workbook", _renamed("cp {} {}", ending)


def in_wide_encoding(path: str, encoding: str, start: bytes = b"") -> InputError:
    """The refusal of a file in UTF-16 or UTF-32.

    Args:
        start: its first bytes. What Excel calls Unicode text has tabs, whatever it is named, or semicolons.
    """
    first = start.decode(encoding, "ignore").partition("\n")[0] if plain_name(path).lower().endswith(".csv") else ""
    after = " with --delimiter ';'" if ";" in first and "\t" not in first and "," not in first else ""
    fix = rewriting(path, f"iconv -f {encoding} -t UTF-8", ".tsv" if "\t" in first else "", after)
    return InputError(f"the input is in {encoding}", where=path, expected="UTF-8", fix=fix)


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
    here, before = here_of(path)
    plain = plain_name(here)
    stem, old = os.path.splitext(plain)
    reader = _READERS.get(here[len(plain) :].lower())
    source = f"{reader} {word(here)} | {command}" if reader else f"{command} < {word(here)}"
    return f"run `{before}{source} > {word(f'{stem}.new{ending or old}')}` and score what it writes{after}"


def here_of(path: str) -> tuple[str, str]:
    """The name of a file on this machine, and what copies it here from a store."""
    if not storage.is_remote(path):
        return path, ""
    name = os.path.basename(path)
    copy = "gcloud storage cp" if path.startswith("gs://") else "aws s3 cp"
    return name, f"{copy} {word(path)} {word(name)} && "
