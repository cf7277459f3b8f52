"""How many rows of a Parquet row group can be decoded at a time in bounded memory, and how far decoding can go.

A page of a few bytes may hold gigabytes, and a value that is stored once may appear in every row.
In: the headers of the pages. Out: a `Reach`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from batch_scorer.formats.parquet import pages
from batch_scorer.formats.parquet.footer import Chunk, RowGroup
from batch_scorer.formats.parquet.lists import Lists, lists
from batch_scorer.formats.parquet.pages import Column, Page
from batch_scorer.storage import Beat

BATCH_ROWS = 1_024  # the most rows that are decoded at a time
BATCH_BYTES = 128 << 20  # the most memory that they may take
PAGE_BYTES = 256 << 20  # the most memory for the pages and dictionaries of all columns while one row is decoded
_ENOUGH_ROWS = 256  # decoding fewer at a time is slow
_SCANNED_BYTES = (
    BATCH_BYTES // 2 // _ENOUGH_ROWS,
    16 << 20,
)  # dictionaries to search for their longest value
_ENTRY_BYTES = 20  # what Arrow needs for each value of a dictionary, beside the value
_FEW_BYTES = BATCH_BYTES // 8  # for all values of a page of lists
_LEVEL_BYTES = 8  # what it needs for each value in a list
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reach:
    """How to decode a row group.

    Args:
        rows: in a batch.
        stop: the row of the group before which decoding must stop, or None.
        why: the reason for `stop`.
    """

    rows: int
    stop: int | None = None
    why: str = ""


@dataclass(frozen=True)
class _Costs:
    """The memory that the pages of one column take; a page in which no row begins counts with the one before it.

    Args:
        first, last: the range of rows that a page has values of, without `last`.
        page: bytes in memory while the page is decoded, with the dictionary.
        batch: bytes that all its values together add to a batch.
        each: bytes that any row may add to a batch on top of that, if values come from a dictionary.
        stop, why: as in `Reach`.
    """

    name: str
    first: Numbers
    last: Numbers
    page: Numbers
    batch: Numbers
    each: int
    stop: int
    why: str

    def batch_bytes(self, rows: int, stop: int) -> int:
        """The most that this many consecutive rows before `stop` can take."""
        return int(self._from_each_page(rows)[self.first < stop].max(initial=0)) + rows * self.each

    def too_large_a_row(self) -> int | None:
        """The first row that may take more than a page may: a long list, or a value that claims to be this wide."""
        over = np.flatnonzero(self._from_each_page(1) + self.each > PAGE_BYTES)
        return int(self.first[over[0]]) if len(over) else None

    def _from_each_page(self, rows: int) -> Numbers:
        total = np.concatenate([[0], np.cumsum(self.batch)])
        sums: Numbers = total[np.searchsorted(self.first, self.last + rows - 1)] - total[:-1]
        return sums


def reach(stream: BinaryIO, schema: Any, group: RowGroup, beat: Beat | None) -> Reach:
    """How the columns of a row group can be decoded in bounded memory.

    Args:
        schema: Parquet's, in pyarrow's form.
        group: with the wanted columns.
    """
    wanted = [_column(schema.column(place), chunk) for place, chunk in group.chunks.items()]
    how = Reach(BATCH_ROWS)
    for exact in (False, True) if wanted else ():
        how = _reach(group.rows, [_costs(stream, column, group.rows, exact, beat) for column in wanted])
        if how.rows >= _ENOUGH_ROWS and not how.why:
            break
    return how


def _column(leaf: Any, chunk: Chunk) -> Column:
    width = leaf.length if leaf.physical_type == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(leaf.physical_type, 0)
    return Column(leaf.path, chunk, width, leaf.max_repetition_level, leaf.max_definition_level)


def _reach(rows: int, costs: list[_Costs]) -> Reach:
    stop, why = min(((c.stop, c.why) for c in costs if c.why), default=(rows, ""))
    points = np.unique(np.concatenate([c.first for c in costs]))
    shares = np.stack([c.page[np.searchsorted(c.first, points, "right") - 1] for c in costs])
    over = np.flatnonzero((shares.sum(axis=0) > PAGE_BYTES) & (points < stop))
    if len(over):
        largest = int(shares[:, over[0]].argmax())
        stop = int(points[over[0]])
        why = (
            f"a page of the column {costs[largest].name!r} takes {shares[largest, over[0]]:,} bytes of memory, and all "
            f"pages together may take {PAGE_BYTES:,}: write the file again with smaller pages"
        )
    for c in costs:
        row = c.too_large_a_row()
        if row is not None and row < stop:
            stop, why = row, f"a row of the column {c.name!r} may take more than {PAGE_BYTES:,} bytes of memory"
    count = BATCH_ROWS
    while count > 1 and sum(c.batch_bytes(count, stop) for c in costs) > BATCH_BYTES:
        count //= 2
    if not why:
        return Reach(count)
    # Small batches that end at the stop, or shortly before it, lose the fewest rows.
    few = max(1, min(count, _ENOUGH_ROWS // 2, stop))
    return Reach(min(range(few // 2 + 1, few + 1), key=lambda n: stop % n), stop, why)


def _costs(stream: BinaryIO, column: Column, rows: int, exact: bool, beat: Beat | None) -> _Costs:
    """Walks over the pages of a column.

    Args:
        exact: also look into the pages for what their headers do not say.
    """
    made = _Walk(column, rows)
    try:
        if not column.repetition and column.chunk.values != rows:
            raise OSError(f"{column.chunk.values:,} values for {rows:,} rows")
        for page in pages.walk(stream, column, beat):
            made.add(stream, page, exact)
    except OSError as error:
        made.stop = max(0, made.row - 1) if column.repetition else made.row
        made.why = f"the column {column.name!r}: {error}"
    return made.costs()


class _Walk:
    """The costs of a column, page by page."""

    def __init__(self, column: Column, rows: int) -> None:
        self._column, self._rows = column, rows
        self._pages = array("q", [0, 1, 0, 0])  # first, last, page and batch of each
        self._dictionary = self._longest = self._each = 0
        self._lists, self._listed = Lists(), 0  # and the largest value in a list that comes from a dictionary
        self.row = 0
        self.stop, self.why = rows, ""

    def add(self, stream: BinaryIO, page: Page, exact: bool) -> None:
        column = self._column
        memory = max(page.stored, page.inflated) if not column.chunk.codec else page.stored + page.inflated
        if page.kind == pages.DICTIONARY:
            if page.values * (column.width or 4) > page.inflated:
                raise OSError(f"a dictionary of {page.values:,} values in {page.inflated:,} bytes")
            self._dictionary = memory + page.inflated + _ENTRY_BYTES * page.values
            self._longest = page.inflated
            least, most = _SCANNED_BYTES
            if exact and page.inflated <= most and not column.width and (column.repetition or page.inflated > least):
                self._longest = pages.longest_value(stream, column, page)
        if not page.is_data:
            return
        if page.encoding in (pages.DELTA_LENGTHS, pages.DELTA_STRINGS) and not column.width:
            memory += 8 * page.values
            if memory <= PAGE_BYTES:
                pages.check_lengths(stream, column, page)
        first, last, begun = self.row, self.row + page.values, page.values
        is_counted = exact and memory + self._dictionary <= PAGE_BYTES
        if column.repetition:
            first, last, begun = 0, self._rows, 0  # the header does not say which rows
            if exact:
                first = max(0, self.row - 1)  # its first values may belong to the previous row
            if is_counted:
                self._lists = lists(stream, column, page, self._lists)
                begun = self._lists.begun
                last = self.row + begun
        self._pages.extend((first, last, memory + self._dictionary, self._batch_bytes(page, is_counted)))
        self.row += begun

    def _batch_bytes(self, page: Page, is_counted: bool) -> int:
        """What the values of a page together add to a batch; sets what each row may add on top of that.

        Args:
            is_counted: whether the lengths of the lists in the page are known.
        """
        value, together = self._column.width, 0
        if not value and page.encoding in pages.BY_DICTIONARY:
            value = self._longest
        elif not value and page.encoding == pages.DELTA_STRINGS:
            value = page.inflated  # each may begin with the whole previous one
        elif not value:
            together = page.inflated
        if self._column.repetition:
            listed = page.values * (value + _LEVEL_BYTES)
            if not is_counted or listed <= _FEW_BYTES:
                return together + listed
            self._listed = max(self._listed, value + _LEVEL_BYTES)  # most rows take much less than all of this
            return together
        self._each = max(self._each, value)
        return together

    def costs(self) -> _Costs:
        each = max(self._each, self._listed * max(self._lists.longest, self._lists.open))
        first, last, page, batch = np.frombuffer(self._pages, np.int64).reshape(-1, 4).T
        starts, at = np.unique(first, return_index=True)
        return _Costs(
            self._column.name,
            starts,
            np.maximum.reduceat(last, at),
            np.maximum.reduceat(page, at),
            np.add.reduceat(batch, at),
            each,
            self.stop,
            self.why,
        )
