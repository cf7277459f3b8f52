"""Input files, inspected -> shards. Of a million files, only a few bytes each are kept; the rest is made on demand."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, pairwise
from typing import NamedTuple

from batch_scorer.formats.partitions import records
from batch_scorer.formats.records import DAMAGE, Fields, InputFile, Partitions, Shard
from batch_scorer.formats.table import BYTES, FILES, FORMATS, ROWS, is_compressed
from batch_scorer.planning.listing import Listing

REMARKS = 5  # on files, that are shown


class Files:
    """The inspected files of a listing; iterating makes the `InputFile` objects again each time.

    They come without `columns`, which are only needed when a file is added.
    """

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._reviews = array("q")  # of each file, like the next two
        self._row_groups: list[tuple[int, ...]] = []
        self._partitions: list[Partitions] = []
        self._damage: dict[int, str] = {}  # by the file's place, like the next
        self._formats: dict[int, str] = {}  # where it is not what the listing says
        # Thousands of files have equal ones, which share one tuple.
        self._same_groups: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._same_partitions: dict[Partitions, Partitions] = {}
        self.estimated = False
        self.remarks: list[str] = []  # of the first files that have one

    def add(self, file: InputFile) -> InputFile:
        """Adds the next file of the listing, and returns it."""
        if file.damage is not None:
            self._damage[len(self._reviews)] = file.damage
        if file.format != self._listing.formats[len(self._reviews)]:
            self._formats[len(self._reviews)] = file.format
        self._reviews.append(file.reviews)
        self._row_groups.append(self._same_groups.setdefault(file.row_groups, file.row_groups))
        self._partitions.append(self._same_partitions.setdefault(file.partitions, file.partitions))
        self.estimated = self.estimated or file.estimated
        if file.remark and len(self.remarks) < REMARKS:
            self.remarks.append(f"{file.path}: {file.remark}")
        return file

    def __iter__(self) -> Iterator[InputFile]:
        known = zip(self._reviews, self._row_groups, self._partitions, strict=True)
        for i, ((file, kind), (reviews, row_groups, partitions)) in enumerate(zip(self._listing, known, strict=True)):
            yield InputFile(
                file.path, self._formats.get(i, kind), file.size_bytes, reviews, False, row_groups, None, partitions,
                self._damage.get(i), file.modified,
            )  # fmt: skip

    @property
    def reviews(self) -> int:
        """How many there are in all files, as far as is known."""
        return sum(self._reviews)


class Shards:
    """The shards of a plan, in order. Each iteration cuts the files again, with the same result.

    Args:
        files: the files to cut.
        rows: reviews per shard, roughly.
        fields: the fields to read, in case only reading shows where `limit` is reached.
        limit: score only the first so many records.
    """

    def __init__(self, files: Iterable[InputFile], rows: int, fields: Fields, limit: int | None = None) -> None:
        self._files, self._rows = files, rows
        self._damage: Mapping[int, str] = {}
        self._lefts = None if limit is None else _lefts(self._whole(), fields, limit)
        if self._lefts is None:
            self.reviews = array("q", (piece.reviews for piece in _cut(files, rows)))
        else:
            self.reviews = array("q", (before - after for before, after in pairwise(self._lefts)))

    def __len__(self) -> int:
        return len(self.reviews)

    def __iter__(self) -> Iterator[Shard]:
        if self._lefts is None:
            return self._whole()
        return (_limited(shard, left) for shard, left in zip(self._whole(), self._lefts[:-1], strict=False))

    def with_damage(self, damage: Mapping[int, str]) -> Shards:
        """The same shards, with other words for the damage of some, by the index of the shard."""
        shards = copy.copy(self)
        shards._damage = damage
        return shards

    def _whole(self) -> Iterator[Shard]:
        """The shards, ignoring the limit."""
        for index, (files, _, part) in enumerate(_cut(self._files, self._rows)):
            damage = files[0].damage
            yield Shard(
                index,
                files[0].format,
                tuple(file.path for file in files),
                partitions=files[0].partitions,
                damage=damage if damage is None else self._damage.get(index, damage),
                stamps=tuple((file.size_bytes, file.modified) for file in files),
                **part,
            )


class _Piece(NamedTuple):
    """What becomes a shard: its files, roughly how many reviews they have, and which part of a single file it is."""

    files: Sequence[InputFile]
    reviews: int
    part: dict[str, int]


def _cut(files: Iterable[InputFile], rows: int) -> Iterator[_Piece]:
    """Pieces of about `rows` reviews, in the order of the files."""
    for (kind, _, damaged), group in groupby(files, lambda f: (f.format, f.partitions, f.damage is not None)):
        if FORMATS[kind].cut == FILES and not damaged:
            while some := list(islice(group, rows)):
                yield _Piece(some, len(some), {})
        else:
            for file in group:
                yield from [_Piece((file,), 0, {})] if damaged else _cut_file(file, rows)


def _cut_file(file: InputFile, rows: int) -> Iterator[_Piece]:
    how = FORMATS[file.format].cut
    if how == ROWS:
        first = 0
        for group, size in enumerate(file.row_groups):
            for start, stop in _ranges(size, rows):
                part = {"start": first + start, "stop": first + stop, "row_group": group, "row_group_start": first}
                yield _Piece((file,), stop - start, part)
            first += size
    elif how != BYTES or is_compressed(file.path):
        if file.reviews:
            yield _Piece((file,), file.reviews, {})
    else:
        bytes_a_shard = max(1, round(rows * file.size_bytes / max(file.reviews, 1)))
        for start, stop in _ranges(file.size_bytes, bytes_a_shard):
            reviews = file.reviews * stop // file.size_bytes - file.reviews * start // file.size_bytes
            yield _Piece((file,), reviews, {"start": start, "stop": stop})


def _lefts(shards: Iterable[Shard], fields: Fields, limit: int) -> array[int]:
    """How many records are still wanted before each shard and after the last; ends once none is wanted."""
    lefts = array("q", [limit])
    for shard in shards:
        if not lefts[-1]:
            break
        lefts.append(lefts[-1] - _records_in(shard, fields, lefts[-1]))
    return lefts


def _records_in(shard: Shard, fields: Fields, most: int) -> int:
    """How many records a shard has, up to `most`; reads that many if there is no other way to know."""
    if shard.damage:
        return 0
    if FORMATS[shard.format].cut == ROWS:
        assert shard.stop is not None
        return min(shard.stop - shard.start, most)
    if FORMATS[shard.format].cut == FILES:
        return min(len(shard.paths), most)
    count = 0
    with contextlib.suppress(*DAMAGE):
        for _ in islice(records(shard, fields), most):
            count += 1
    return count


def _limited(shard: Shard, left: int) -> Shard:
    """`shard`, reduced to its first `left` records."""
    if shard.damage:
        return shard
    if FORMATS[shard.format].cut == ROWS:
        assert shard.stop is not None
        return dataclasses.replace(shard, stop=min(shard.stop, shard.start + left))
    if FORMATS[shard.format].cut == FILES:
        return dataclasses.replace(shard, paths=shard.paths[:left], stamps=shard.stamps[:left])
    return dataclasses.replace(shard, max_records=left)


def _ranges(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges of nearly equal size, at most `size`, that cover 0 to `total`."""
    count = -(-total // size)
    for i in range(count):
        yield total * i // count, total * (i + 1) // count
