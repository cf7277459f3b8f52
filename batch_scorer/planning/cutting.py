"""Inspected files -> pieces, each of which becomes a shard: part of a large file, or small files that share one.

How they are cut depends on the files and on the wanted size alone (docs/decisions/0037-small-files.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

from batch_scorer.formats.records import InputFile
from batch_scorer.formats.table import BYTES, FILES, FORMATS, ROWS, is_compressed


class Piece(NamedTuple):
    """What becomes a shard: its files, roughly how many reviews they have, and which part of a single file it is."""

    files: Sequence[InputFile]
    reviews: int
    part: dict[str, int]


Cut = Callable[[Iterable[InputFile], int], Iterator[Piece]]


def cut(files: Iterable[InputFile], rows: int) -> Iterator[Piece]:
    """Pieces of about `rows` reviews, in the order of the files. Neighbours that fit into one shard share it.

    A file without a review, or one that cannot be read, counts like a review: it has to be opened too.
    """
    small: list[InputFile] = []
    weight = 0
    for file in files:
        if _is_nothing(file):
            continue
        more = max(_reviews(file), 1)
        if weight + more > rows:
            yield from _together(small, rows)
            small, weight = [], 0
        if more > rows:
            yield from _cut_file(file, rows)
        else:
            small.append(file)
            weight += more
    yield from _together(small, rows)


def cut_apart(files: Iterable[InputFile], rows: int) -> Iterator[Piece]:
    """The same as earlier versions cut them: only one-review files share a shard."""
    for (kind, _, damaged), group in groupby(files, lambda f: (f.format, f.partitions, f.damage is not None)):
        if FORMATS[kind].cut == FILES and not damaged:
            while some := list(islice(group, rows)):
                yield Piece(some, len(some), {})
        else:
            for file in group:
                yield from _together([file], rows)


def _together(files: list[InputFile], rows: int) -> Iterator[Piece]:
    if len(files) > 1:
        yield Piece(files, sum(map(_reviews, files)), {})
    elif files and (files[0].damage is not None or FORMATS[files[0].format].cut == FILES):
        yield Piece(files, _reviews(files[0]), {})
    elif files:
        yield from _cut_file(files[0], rows)


def _reviews(file: InputFile) -> int:
    return 0 if file.damage is not None else file.reviews


def _is_nothing(file: InputFile) -> bool:
    """Whether a file is known to have no record, so that nobody need open it again."""
    if file.reviews or file.damage is not None:
        return False
    return FORMATS[file.format].cut != BYTES or is_compressed(file.path) or not file.size_bytes


def _cut_file(file: InputFile, rows: int) -> Iterator[Piece]:
    how = FORMATS[file.format].cut
    if how == ROWS:
        first = 0
        for group, size in enumerate(file.row_groups):
            for start, stop in _ranges(size, rows):
                part = {"start": first + start, "stop": first + stop, "row_group": group, "row_group_start": first}
                yield Piece((file,), stop - start, part)
            first += size
    elif how != BYTES or is_compressed(file.path):
        if file.reviews:
            yield Piece((file,), file.reviews, {})
    else:
        bytes_a_shard = max(1, round(rows * file.size_bytes / max(file.reviews, 1)))
        for start, stop in _ranges(file.size_bytes, bytes_a_shard):
            reviews = file.reviews * stop // file.size_bytes - file.reviews * start // file.size_bytes
            yield Piece((file,), reviews, {"start": start, "stop": stop})


def _ranges(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of nearly equal size, at most `size`, that cover 0 to `total`."""
    count = -(-total // size)
    for i in range(count):
        yield total * i // count, total * (i + 1) // count
