"""Input files, inspected -> shards. Of a million files, only a few bytes each are kept; the rest is made on demand."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice, pairwise

from batch_scorer.formats.partitions import records
from batch_scorer.formats.records import DAMAGE, Fields, InputFile, Member, Partitions, Shard
from batch_scorer.formats.table import FILES, FORMATS, ROWS
from batch_scorer.planning.cutting import Cut, Piece, cut, cut_apart
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
        how: the function that cuts the files.
    """

    def __init__(
        self, files: Iterable[InputFile], rows: int, fields: Fields, limit: int | None = None, how: Cut = cut
    ) -> None:
        self._files, self._rows, self._fields, self._limit, self._how = files, rows, fields, limit, how
        self._damage: Mapping[str, str] = {}
        self._lefts = None if limit is None else _lefts(self._whole(), fields, limit)
        if self._lefts is None:
            self.reviews = array("q", (piece.reviews for piece in how(files, rows)))
        else:
            self.reviews = array("q", (before - after for before, after in pairwise(self._lefts)))

    def __len__(self) -> int:
        return len(self.reviews)

    def __iter__(self) -> Iterator[Shard]:
        if self._lefts is None:
            return self._whole()
        return (_limited(shard, left) for shard, left in zip(self._whole(), self._lefts[:-1], strict=False))

    def apart(self) -> Shards:
        """The same files as earlier versions cut them, who let only one-review files share a shard."""
        return Shards(self._files, self._rows, self._fields, self._limit, cut_apart)

    def with_damage(self, damage: Mapping[str, str]) -> Shards:
        """The same shards, with other words for the damage of some files, by their paths."""
        shards = copy.copy(self)
        shards._damage = damage
        return shards

    def _whole(self) -> Iterator[Shard]:
        """The shards, ignoring the limit."""
        for index, piece in enumerate(self._how(self._files, self._rows)):
            yield self._shard(index, piece)

    def _shard(self, index: int, piece: Piece) -> Shard:
        files, first = piece.files, piece.files[0]
        members = () if _is_plain(files) else tuple(self._members(files))
        return Shard(
            index,
            first.format,
            tuple(file.path for file in files),
            partitions=() if members else first.partitions,
            damage=None if members else self._words(first),
            stamps=tuple((file.size_bytes, file.modified) for file in files),
            members=members,
            **piece.part,
        )

    def _members(self, files: Sequence[InputFile]) -> Iterator[Member]:
        kinds = ((file.format, file.row_groups, file.partitions, self._words(file)) for file in files)
        for kind, alike in groupby(kinds):
            yield Member(sum(1 for _ in alike), *kind)

    def _words(self, file: InputFile) -> str | None:
        """What is said of a file's damage, if it has any."""
        return file.damage if file.damage is None else self._damage.get(file.path, file.damage)


def _is_plain(files: Sequence[InputFile]) -> bool:
    """Whether files are a shard without members: a single one, or one-review files that have the same partitions."""
    if len(files) == 1:
        return True
    kinds = {(file.format, file.partitions, file.damage) for file in files}
    return len(kinds) == 1 and FORMATS[files[0].format].cut == FILES and files[0].damage is None


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
    if shard.members:
        count = 0
        for one in shard.each():
            count += _records_in(one, fields, most - count)
            if count == most:
                break
        return count
    if shard.damage is not None:
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
    if shard.damage is not None:
        return shard
    if shard.members:
        return dataclasses.replace(shard, max_records=left)
    if FORMATS[shard.format].cut == ROWS:
        assert shard.stop is not None
        return dataclasses.replace(shard, stop=min(shard.stop, shard.start + left))
    if FORMATS[shard.format].cut == FILES:
        return dataclasses.replace(shard, paths=shard.paths[:left], stamps=shard.stamps[:left])
    return dataclasses.replace(shard, max_records=left)
