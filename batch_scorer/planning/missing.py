"""A column that a file does not have -> what to say: which it has, and which of them may be meant.

The first line of a CSV file may be a review, if it has no header: what looks like one is counted and not shown.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import pyarrow as pa

from batch_scorer.config import InputConfig
from batch_scorer.errors import InputError
from batch_scorer.escape import counted, quoted, short
from batch_scorer.formats.csv_header import is_name
from batch_scorer.formats.encodings import how_to_decode
from batch_scorer.formats.records import Fields, InputFile
from batch_scorer.formats.table import FORMATS

_SHOWN, _COMPARED = 20, 1_000  # names
# What columns of reviews are called, or end in, where it is not `text`.
_REVIEW = {"review", "reviews", "comment", "comments", "body", "content", "message", "tweet", "feedback", "reviewtext"}
_FREE = ("csv", "xlsx")  # formats in which the names of columns are whatever stands in the first line


def missing(file: InputFile, option: str, name: str, fields: Fields, count: int = 0) -> InputError:
    """The error to raise if a file, whose columns are known, has no column `name`, or `count` of them.

    Args:
        option: the one that names the column.
        fields: how the file is read. If it is not in that encoding, the advice names another as well.
    """
    assert file.columns is not None
    names = [] if file.remark else [known for known in file.columns.names if file.format not in _FREE or is_name(known)]
    # An object of other columns is not meant, but one of these may be.
    objects = {outer for known in names for outer in _outer(known)} if file.format not in _FREE else set()
    likely = [known for known in names if known not in objects]
    if name != InputConfig.text_column and not file.remark:
        # Whoever gives a name knows that there is a header; a name with a comma would else be taken for a sentence.
        likely += [known for known in file.columns.names if "," in known and is_name(known.replace(",", " "))]
    near = _near(name, likely) if count == 0 else None
    if name == InputConfig.text_column and count == 0 and len(names) > 1 and file.wordiest in names:
        near = near or file.wordiest or None
    if file.format in _FREE and len(file.columns.names) == 1 and near is None and " " in "".join(names):
        names = []  # a line of a few words may be a short review
    advice = (
        f"name another with {option}" if count == 0 else f"rename all but one of them, or name another with {option}"
    )
    if near is not None:
        advice += f", for instance {option} {quoted(near)}"
    if file.remark and count == 0:
        advice += f"; {file.remark}"
    if FORMATS[file.format].takes_encoding:
        advice += how_to_decode(file.path, fields.encoding)
    return InputError(
        f"the column {name!r} is missing" if count == 0 else f"the column {name!r} appears {count} times",
        where=file.path,
        expected=f"a column {name!r}" if count == 0 else f"one column {name!r}",
        got=_shown(file.columns, names),
        fix=advice,
    )


def _near(name: str, names: Sequence[str]) -> str | None:
    """The column that is most likely meant: by its letters, by its words, or because its name is one for reviews."""
    compared = [known for known in names[:_COMPARED] if known != name]
    plain = {known: known.strip().casefold() for known in compared}
    same = [known for known in compared if plain[known] == name.strip().casefold()]
    close = same or difflib.get_close_matches(name, compared, 1)
    words = {known: re.split(r"[\W_]+", plain[known]) for known in compared}
    found = [*close, *(known for known in compared if name.casefold() in words[known])]
    if name == InputConfig.text_column:  # which nobody may have asked for
        found += [known for known in compared if plain[known] in _REVIEW]
        found += [known for known in compared if words[known][-1] in _REVIEW]
    return next(iter(found), None)


def _shown(columns: pa.Schema, names: Sequence[str]) -> str:
    """Some of the names, each shortened; of many, those of fields within other columns are left to the reader."""
    if not names:
        return counted(len(columns.names), "column")
    hidden = len(columns.names) - len(names)
    if len(names) > _SHOWN:
        known = set(names)
        names = [name for name in names if not any(outer in known for outer in _outer(name))]
    more = len(names) - _SHOWN
    listed = ", ".join(map(short, names[:_SHOWN])) + (f" and {more:,} more" if more > 0 else "")
    return f"columns {listed}" + (f", and {counted(hidden, 'other')} that may be text" if hidden else "")


def _outer(name: str) -> list[str]:
    """The columns that `name` may be a field of: of `a.b.c`, these are `a` and `a.b`."""
    places = [at for at, character in enumerate(name) if character == "."]
    return [name[:at] for at in places]
