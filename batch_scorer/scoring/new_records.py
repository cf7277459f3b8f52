"""The chunks of a shard -> those of its records that no earlier run has read (`--after-by record`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batch_scorer.runs.hashes import UInts, text_hashes
from batch_scorer.runs.indexing import id_of_rejection
from batch_scorer.runs.record_index import CODE_HASHES, RecordIndex
from batch_scorer.schema import Rejection, printable
from batch_scorer.scoring.read import Chunk


class NewRecords:
    """Which records of a shard are new, and how many are not.

    Args:
        index: the records of earlier runs; None: all are new.

    Attributes:
        passed_over: how many records were left out so far.
    """

    def __init__(self, index: RecordIndex | None) -> None:
        self._index = index
        self.passed_over = 0

    def of(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks without the records that have been scored with the same text."""
        for chunk in chunks:
            new = self._new(chunk) if self._index else chunk
            if new.texts or new.rejected:
                yield new

    def _new(self, chunk: Chunk) -> Chunk:
        is_new = ~self._known(chunk.reviews["record_id"].to_pylist(), text_hashes(chunk.texts))
        if is_new.all():
            return chunk
        return Chunk(chunk.reviews.filter(pa.array(is_new)), [*compress(chunk.texts, is_new)], chunk.rejected)

    def rejections(self, rejected: Sequence[Rejection]) -> list[Rejection]:
        """Rejections without those of records that were rejected before, for the same reason; damage stays."""
        if self._index is None or not rejected:
            return [*rejected]
        records = [r for r in rejected if r.offset is not None]
        ids = [printable(id_of_rejection(r.record_id, r.source, r.offset)) for r in records]
        is_known = iter(self._known(ids, np.array([CODE_HASHES[r.code] for r in records], np.uint64)))
        return [r for r in rejected if r.offset is None or not next(is_known)]

    def _known(self, ids: Sequence[str], hashes: UInts) -> npt.NDArray[np.bool_]:
        """Which of N records are not new, bool[N]; counts them."""
        assert self._index is not None
        is_known = self._index.has(ids, hashes)
        self.passed_over += int(is_known.sum())
        return is_known
