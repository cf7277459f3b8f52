"""Excel workbooks: a record is a row of one sheet, below its first row that is not empty; a shard is a whole workbook.

Cells have types of their own: a number, a date and a text are kept as such. python-calamine, which reads them, takes
all of a workbook into memory, so its size is checked first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from batch_scorer import storage
from batch_scorer.errors import InputError
from batch_scorer.escape import python, safe
from batch_scorer.formats.records import EXCERPT_BYTES, Contents, Fields, Record, Shard
from batch_scorer.formats.xlsx_size import check_size
from batch_scorer.schema import Rejection, printable
from batch_scorer.storage import Beat, StoredFile

Row = list[Any]  # str, int, float, bool, a date or a time; None where a cell is empty
_KINDS = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    dt.datetime: pa.timestamp("us"),
    dt.date: pa.date32(),
    dt.time: pa.time64("us"),
    dt.timedelta: pa.duration("us"),
}
_TOGETHER = {frozenset((int, float)): pa.float64(), frozenset((dt.date, dt.datetime)): pa.timestamp("us")}
_WHOLE = 1 << 53  # up to here, a whole number of Excel's, which are doubles, is an integer
_SHOWN_SHEETS = 10


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Reads the sheet: the types of its columns are those of all their cells.

    Raises:
        InputError: there is no such sheet, or the package that reads workbooks is missing.
        OSError: the workbook is damaged, or too large.
    """
    with _rows(file.path, fields, None) as rows:
        header = next(rows, None)
        if header is None:
            return Contents(0)
        names, reviews = _names(header[1]), 0
        kinds: list[set[type]] = [set() for _ in names]
        for _, row in rows:
            reviews += 1
            for seen, value in zip(kinds, row, strict=False):
                if value is not None:
                    seen.add(type(value))
    columns = [pa.field(name, _kind(seen)) for name, seen in zip(names, kinds, strict=True) if name]
    return Contents(reviews, columns=pa.schema(columns))


def _kind(types: set[type]) -> pa.DataType:
    if not types:
        return pa.null()
    if len(types) == 1:
        return _KINDS.get(next(iter(types)), pa.string())
    return _TOGETHER.get(frozenset(types), pa.string())  # the cells as text


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The rows below the header that are not empty; offsets count all rows below it, from 0."""
    path = shard.paths[0]
    with _rows(path, fields, beat) as rows:
        first, header = next(rows, (0, []))
        names = _names(header)
        missing = {fields.text, *([fields.id] if fields.id else [])} - {*names}
        if missing:
            raise OSError(f"the file has changed since it was planned: no column {', '.join(sorted(missing))}")
        text_at, id_at = names.index(fields.text), names.index(fields.id) if fields.id else None
        kept_at = [names.index(kept.name) if kept.name in names else None for kept in fields.kept]
        for number, row in rows:
            yield _record(path, number - first - 1, row, text_at, id_at, kept_at, fields)


def _record(
    path: str, offset: int, row: Row, text_at: int, id_at: int | None, kept_at: list[int | None], fields: Fields
) -> Record | Rejection:
    cells = [*row, *[None] * (max(text_at, id_at or 0, *(at or 0 for at in kept_at)) + 1 - len(row))]
    record_id = None if id_at is None or cells[id_at] is None else as_text(cells[id_at])
    text = cells[text_at]
    if text is None:
        return Rejection(path, offset, record_id, "missing_text", "the cell is empty", is_empty=True)
    if not isinstance(text, str):
        message = f"the cell is a {type(text).__name__}"
        return Rejection(path, offset, record_id, "text_not_a_string", message, as_text(text))
    kept = []
    for column, kind, at in zip(fields.kept, fields.kept_schema.types, kept_at, strict=True):
        try:
            kept.append(None if at is None else fit(cells[at], kind))
        except ValueError as error:
            message = f"the column {column.name!r}: {error}"
            return Rejection(path, offset, record_id, "kept_value_mismatch", message, text[:EXCERPT_BYTES])
    return Record(path, offset, record_id, text, tuple(kept))


def as_text(value: Any) -> str:
    """A cell as text, a whole number without a fraction.

    Example:
        >>> as_text(17), as_text(0.5), as_text(True), as_text(dt.datetime(2024, 2, 29, 12))
        ('17', '0.5', 'true', '2024-02-29 12:00:00')
    """
    if isinstance(value, bool):
        return str(value).lower()
    return printable(str(value))


def fit(value: Any, kind: pa.DataType) -> Any:
    """A cell as a value of the column type `kind`: in Python, or as an array of one.

    Raises:
        ValueError: it does not fit the type; the message does not show it.
    """
    if value is None:
        return None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return as_text(value)
    try:
        if isinstance(value, bool) == pa.types.is_boolean(kind):
            return pa.array([value]).cast(kind)
    except pa.ArrowException:
        pass
    raise ValueError(f"expected {kind}, got {type(value).__name__}")


def _names(header: Row) -> list[str]:
    """The names of the columns, "" for one without a name."""
    return ["" if value is None else as_text(value).strip() for value in header]


@contextmanager
def _rows(path: str, fields: Fields, beat: Beat | None) -> Iterator[Iterator[tuple[int, Row]]]:
    """The rows of the sheet that are not empty, each with its number in the sheet from 0."""
    try:
        import python_calamine as calamine
    except ImportError:
        raise InputError(
            "Excel workbooks are read by a package that is not installed",
            where=path,
            expected="the package python-calamine",
            fix=f"run `{python()} -m pip install python-calamine`, or save the sheet as CSV",
        ) from None
    with storage.open_read(path, beat) as stream:
        check_size(stream, beat)
        stream.seek(0)
        try:
            workbook = calamine.CalamineWorkbook.from_filelike(stream)
            names = workbook.sheet_names
            if fields.sheet is not None and fields.sheet not in names:
                raise InputError(
                    f"the workbook has no sheet {fields.sheet!r}",
                    where=path,
                    expected=", ".join(safe(name, 40) for name in names[:_SHOWN_SHEETS]),
                    got=f"--sheet {safe(fields.sheet, 40)}",
                    fix="name one of these with --sheet, or leave it out for the first",
                )
            sheet = workbook.get_sheet_by_name(fields.sheet or names[0]) if names else None
        except (calamine.CalamineError, ValueError) as error:
            raise OSError(f"the workbook cannot be read: {type(error).__name__}") from None
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # of the reader, on damage that it did not expect
                raise
            raise OSError("the workbook is damaged") from None
        yield iter(()) if sheet is None else _filled(sheet, beat)


def _filled(sheet: Any, beat: Beat | None) -> Iterator[tuple[int, Row]]:
    for number, row in enumerate(sheet.iter_rows()):
        if beat and number % 1_000 == 0:
            beat()
        cells = [_cell(value) for value in row]
        if any(cell is not None for cell in cells):
            yield number, cells


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, float) and value.is_integer() and abs(value) <= _WHOLE:
        return int(value)
    return value
