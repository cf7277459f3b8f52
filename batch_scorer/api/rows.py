"""Scored chunks -> one row per text: the columns of `predictions` that need no file, as an Arrow table or as dicts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from batch_scorer.api.scoring_process import ScoredChunk
from batch_scorer.schema import predictions_schema

_NEEDS_A_FILE = ("record_id", "source", "offset", "run_id")
_DICTS = 1_000  # rows that are Python's at a time


def schema(optional: Collection[str] = ()) -> pa.Schema:
    """The columns of `table`. A text that cannot be scored has nulls, and in `error` the code that says why.

    Args:
        optional: those of `schema.OPTIONAL_COLUMNS` that the model's rows have.
    """
    ours = predictions_schema(pa.schema([]), "", "", optional)
    fields = [field.with_nullable(True) for field in ours if field.name not in _NEEDS_A_FILE]
    return pa.schema([*fields, pa.field("error", pa.string())])


@cache
def names(optional: tuple[str, ...] = ()) -> frozenset[str]:
    """The names of the columns that a row has."""
    return frozenset(schema(optional).names[:-1])


def table(chunk: ScoredChunk) -> pa.Table:
    """One row per text of a chunk, in their order, with `schema`."""
    count = len(chunk.offsets) + len(chunk.rejected)
    scored, errors = chunk.rows, np.full(count, None, object)
    if chunk.rejected:
        places = [rejection.offset or 0 for rejection in chunk.rejected]
        first = min([*chunk.offsets[:1].tolist(), *places])
        row = np.full(count, -1, np.int64)
        row[chunk.offsets - first] = np.arange(len(chunk.offsets))
        scored = scored.take(pa.array(row, mask=row < 0))
        for place, rejection in zip(places, chunk.rejected, strict=True):
            errors[place - first] = rejection.code
    return pa.table([*scored.columns, pa.array(errors, pa.string())], schema=schema(scored.column_names))


def dicts(chunk: ScoredChunk) -> Iterator[dict[str, Any]]:
    """The rows of the texts that were scored, as Python has them: lists of words as lists of dicts."""
    for batch in chunk.rows.to_batches(_DICTS):
        yield from batch.to_pylist()
