"""The header of a CSV file: whether it is one, and whether its columns are separated as was said."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from batch_scorer.config import InputConfig
from batch_scorer.errors import InputError
from batch_scorer.escape import counted, quoted
from batch_scorer.formats.csv_rows import QUOTE, SINGLE_QUOTES, TAB, Dialect, Lines, Malformed, read_rows
from batch_scorer.formats.encodings import how_to_decode
from batch_scorer.formats.records import Fields
from batch_scorer.formats.table import plain_name
from batch_scorer.schema import printable

_TABS = (".tsv", ".tab")
_DELIMITERS = f",;{TAB}|"  # nearly every file uses one of these
_SHOWN = 200  # characters of a header
_NAME_CHARACTERS, _NAME_WORDS = 60, 6  # the longest names of columns
_SURE_CHARACTERS, _SURE_WORDS = 40, 4  # of what is shown of a line that may be a review
_SENTENCE = re.compile(r"[.!?;,\u2026](\s|$)|[\u3002\uff01\uff1f]")
_SEPARATOR = re.compile(r'"?sep=([^\r\n"])"?[ \t]*[\r\n]*', re.IGNORECASE)
_VALUE = re.compile(r"[-+]?\d+(\.\d*)?")
_YEAR = re.compile(r"(19|20)\d\d")
COMPARED_ROWS = 100  # with the header, to see whether it is one of them
_FEW_NUMBERS = 3  # of a column, for its header to be told from them
_WORD = re.compile(r"[^\W\d_]{2}")
_NULLS = ("n/a", "na", "nan", "null", "none", "nil")


def delimiter_of(path: str, fields: Fields) -> str:
    """The delimiter of a file: as given, or by its name. Text files with columns have tabs between them."""
    tabs = (*_TABS, ".txt") if fields.columns else _TABS
    return fields.delimiter or (TAB if os.path.splitext(plain_name(path))[1].lower() in tabs else ",")


def delimiter_in(line: str) -> str | None:
    """The delimiter that a line tells Excel, which is not part of the table: ``sep=;``; None if it tells none."""
    match = _SEPARATOR.fullmatch(line)
    return match[1] if match else None


def in_a_shell(character: str) -> str:
    """A character as one writes it in a shell."""
    return quoted(character)


def check_delimiter(
    path: str, dialect: Dialect, header: list[str] | Malformed, lines: Sequence[str], fields: Fields
) -> None:
    """Checks that the text column is not missing because the columns are separated by another usual character.

    Args:
        lines: the first ones, of which one is not blank.

    Raises:
        InputError: it is.
    """
    text_column, line = fields.text, next(filter(str.strip, lines), "")
    if isinstance(header, list) and text_column in header:
        return
    names = {other: row for other, row in _split(line, dialect).items() if len(row) > 1}
    with_text = [other for other, row in names.items() if text_column in row]
    # A quote that is never closed makes a header malformed too; then only the name of the text column is evidence.
    is_single = isinstance(header, list) and len(header) == 1
    candidates = with_text or (sorted(names, key=lambda other: -len(names[other])) if is_single else [])
    if candidates:
        option, header = f"--delimiter {in_a_shell(candidates[0])}", names[candidates[0]]
        rows = read_rows(Lines(iter(lines), sum(map(len, lines))), replace(dialect, delimiter=candidates[0]))
        records = [row for row in islice(rows, 1, COMPARED_ROWS) if isinstance(row, list)]
        how = "" if with_text else f" if that separates the columns, and {how_to_name(header, text_column, records)}"
        raise InputError(
            f"the columns are not separated by {'a tab' if dialect.delimiter == TAB else repr(dialect.delimiter)}"
            if with_text
            else f"the column {text_column!r} is missing: the header has a single column",
            where=path,
            expected=f"a column {text_column!r}",
            got=_line(line, header, records, is_header=bool(with_text)),
            fix=f"give {option}{how}{how_to_decode(path, fields.encoding)}",
        )


def check_quotes(path: str, dialect: Dialect, header: list[str], fields: Fields) -> None:
    """Checks that the text column is not missing because all names are in single quotes.

    Raises:
        InputError: it is.
    """
    names = [name[1:-1] for name in header if len(name) > 1 and name[0] == name[-1] == "'"]
    if dialect.quote == QUOTE and fields.text not in header and len(names) == len(header):
        raise InputError(
            "the fields are in single quotes",
            where=path,
            expected=f"a column {fields.text!r}, in double quotes or none",
            fix=f"give {SINGLE_QUOTES}{how_to_decode(path, fields.encoding)}",
        )


def _split(line: str, dialect: Dialect) -> dict[str, list[str]]:
    """The fields of a line by each of the other usual delimiters, where it is well-formed by that."""
    others = [other for other in _DELIMITERS if other != dialect.delimiter]
    dialects = [Dialect(other, dialect.quote, dialect.escape) for other in others]
    rows = [next(read_rows(Lines(iter([line]), len(line)), other), None) for other in dialects]
    return {other: row for other, row in zip(others, rows, strict=True) if isinstance(row, list)}


def check_named(path: str, first: list[str] | Malformed, line: str, dialect: Dialect, fields: Fields) -> None:
    """Checks that the first record of a file without a header has as many fields as there are names.

    Raises:
        InputError: it has not, or it is a header after all.
    """
    if isinstance(first, Malformed):
        return  # and is rejected like any other
    names = fields.columns
    if [name.strip() for name in first] == list(names):
        raise InputError(
            "the first record holds the names of the columns: it is a header",
            where=path,
            got=f"--columns {','.join(names)}",
            fix="leave --columns out",
        )
    fitting = [other for other, row in _split(line, dialect).items() if len(row) == len(names) > 1]
    if len(first) == len(names) and TAB in fitting and fields.delimiter is None:
        raise InputError(
            "it is not clear what separates the columns: by commas and by tabs, there are as many as are named",
            where=path,
            fix=f"give --delimiter {in_a_shell(TAB)} or --delimiter ,",
        )
    if len(first) != len(names):
        fix = f"give --delimiter {in_a_shell(fitting[0])}" if fitting else "name every column, in order"
        raise InputError(
            "the records have other columns than are named",
            where=path,
            expected=f"{counted(len(names), 'field')}: --columns {','.join(names)}",
            got=f"{counted(len(first), 'field')} in the first record",
            fix=fix,
        )


def _line(line: str, header: list[str], records: Sequence[Sequence[str]], is_header: bool) -> str:
    """What a message shows of the first line, which may hold a review if it is not a header."""
    if is_header or _are_names(header, records):
        return f"the line {printable(line.strip())[:_SHOWN]}"
    return f"a line of {counted(len(header), 'field')}"


def is_record(header: Iterable[str], records: Sequence[Sequence[str]] = ()) -> bool:
    """Whether a header looks like a record.

    A field is a number, or has a value that its column has again, or is longer than names are. Questions of a survey
    are as long; a field that is a word where all others of its column are numbers shows that they are names. Numbers
    are names where they are years above no years, or count the columns.

    Args:
        records: some of those that follow.
    """
    header = list(header)
    others = [row for row in records if list(row) != header]  # where files were joined, a header occurs again
    numbers = {at: name.strip() for at, name in enumerate(header) if _VALUE.fullmatch(name.strip())}
    if numbers and not _count_columns(header) and not _are_years_above_others(numbers, others):
        return True
    if any(name.strip() and name == row[at] for row in others for at, name in enumerate(header[: len(row)])):
        return True
    if any(
        _is_above_numbers(name, [row[at].strip() for row in others if at < len(row)]) for at, name in enumerate(header)
    ):
        return False
    return any(len(name) > _NAME_CHARACTERS or len(name.split()) > _NAME_WORDS for name in header)


def _count_columns(header: Sequence[str]) -> bool:
    """Whether these are the numbers of the columns, perhaps after an index: what pandas writes without names."""
    names = [name.strip() for name in header]
    return names[not names[0] :] == [str(number) for number in range(len(names) - (not names[0]))]


def _are_years_above_others(numbers: Mapping[int, str], records: Sequence[Sequence[str]]) -> bool:
    """Whether numbers in a header, by their columns, are years, and what is known of these columns is not."""
    below = [row[at].strip() for row in records for at in numbers if at < len(row)]
    return bool(below) and all(map(_YEAR.fullmatch, numbers.values())) and not any(map(_YEAR.fullmatch, below))


def _is_above_numbers(name: str, values: Iterable[str]) -> bool:
    """Whether a field is a word, and no sign that a number is unknown, and all those below it are numbers or blank."""
    numbers = [value for value in values if value]
    is_word = bool(_WORD.search(name)) and name.strip().casefold() not in _NULLS
    return is_word and len(numbers) >= _FEW_NUMBERS and all(map(_VALUE.fullmatch, numbers))


def is_name(text: str) -> bool:
    """Whether a field of the first line can be nothing but the name of a column: a text is longer, or a sentence."""
    return len(text) <= _SURE_CHARACTERS and len(text.split()) <= _SURE_WORDS and not _SENTENCE.search(text)


def _are_names(header: list[str], records: Sequence[Sequence[str]]) -> bool:
    """Whether a header can be nothing but one, so that it may be shown."""
    return all(is_name(name) and name == name.strip() for name in header) and not is_record(header, records)


def how_to_name(header: list[str], text_column: str, records: Sequence[Sequence[str]]) -> str:
    """What to do about a header without the text column: it may be a record."""
    if is_record(header, records):
        return _columns(header, text_column, records)
    advice, name = "name the review's column with --text-column", header[longest_column([header, *records])]
    return f"{advice}, for instance --text-column {quoted(name)}" if _are_names(header, records) else advice


def _columns(header: list[str], text_column: str, records: Sequence[Sequence[str]] = ()) -> str:
    """The option that names the columns; the review is where the fields are longest."""
    longest = longest_column([header, *records])
    rest = iter(["label", *(f"column_{number}" for number in range(2, len(header) + 1))])
    names = [text_column if at == longest else next(rest) for at in range(len(header))]
    return f"if the file has no header, name its columns: --columns {quoted(','.join(names))}"


def longest_column(rows: Sequence[Sequence[str]]) -> int:
    """The column of the first row whose fields are the longest in all rows: most likely, the reviews."""
    return max(range(len(rows[0])), key=lambda at: sum(len(row[at]) for row in rows if at < len(row)))


def remark(header: list[str], fields: Fields, records: Sequence[Sequence[str]] = ()) -> str:
    """What to say of a header that looks like a record, where the text column is missing or has such a name; or "".

    Args:
        records: some of those that follow.
    """
    if fields.text not in map(printable, header):
        return _columns(header, fields.text, records) if is_record(header, records) else ""
    if not is_record([fields.text]) or not is_record(header, records):
        return ""
    return f"the header looks like a record, which is not scored; {_columns(header, InputConfig.text_column, records)}"
