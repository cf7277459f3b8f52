"""How long the lists of a Parquet column are, which the levels of its pages say without any of its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from batch_scorer.formats.parquet import thrift
from batch_scorer.formats.parquet.pages import LEVELS, Column, Page, inflated

_PACKED_GROUPS = 1 << 17  # groups of eight levels that are unpacked at a time

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lists:
    """The rows of a column of lists, as far as its pages have been walked.

    Args:
        begun: how many rows begin in the last page.
        longest: the most values that a row has, of those that have ended.
        open: values of the last row so far; it may go on in the next page.
    """

    begun: int = 0
    longest: int = 0
    open: int = 0


def lists(stream: BinaryIO, column: Column, page: Page, before: Lists = Lists()) -> Lists:  # frozen
    """The rows of a column of lists after one more page.

    Args:
        before: after the page before this one.

    Raises:
        OSError: the page is damaged.
    """
    if page.levels is not None:
        stream.seek(page.body)
        data = stream.read(min(page.levels[0], page.stored))
    else:
        if page.levels_encoding != LEVELS:
            raise OSError("levels in a form that is no longer in use")
        body = inflated(stream, column, page, 0)
        data = body[4 : 4 + int.from_bytes(body[:4], "little")]
    begun, longest, going_on = 0, before.longest, before.open
    for start, count in _runs(data, column.repetition.bit_length(), page.values):
        if start is None:  # all are zero, or none is
            zeros = count
            longest = max(longest, going_on, min(1, zeros - 1))
            going_on = 1
        elif len(start):
            zeros = len(start)
            longest = max(longest, going_on + int(start[0]), int(np.diff(start).max(initial=0)))
            going_on = count - int(start[-1])
        else:
            zeros, going_on = 0, going_on + count
        begun += zeros
    return Lists(begun, longest, going_on)


def _runs(data: bytes, bits: int, count: int) -> Iterator[tuple[Numbers | None, int]]:
    """The `count` levels in `data`, of this many `bits`, in runs or packed groups of eight.

    Yields:
        zeros: where the zeros are among the next levels; None if all of them are zero.
        levels: how many levels these are.
    """
    at, nowhere = 0, np.zeros(0, np.int64)
    try:
        while count > 0:
            head, at = thrift.varint(data, at)
            if head & 1:
                size = min((head >> 1) * bits, len(data) - at)
                for start in range(at, at + size, _PACKED_GROUPS * bits):
                    groups = np.frombuffer(data, np.uint8, min(_PACKED_GROUPS * bits, at + size - start), start)
                    packed = np.unpackbits(groups, bitorder="little").reshape(-1, bits)[: max(0, count)]
                    if len(packed):
                        yield np.flatnonzero(~packed.any(axis=1)), len(packed)
                    count -= len(packed)
                if size < (head >> 1) * bits:
                    break
            else:
                size, levels = (bits + 7) // 8, min(count, head >> 1)
                if levels:
                    yield (nowhere if any(data[at : at + size]) else None), levels
                count -= levels
            at += size
    except (thrift.Malformed, IndexError, ValueError):
        raise OSError("the levels of a page are damaged") from None
