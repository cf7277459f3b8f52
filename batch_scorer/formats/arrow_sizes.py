"""The bytes that each value of an Arrow column takes, which depend on the value alone and not on how it is sliced."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Sizes = npt.NDArray[np.int64]


def table_bytes(table: pa.Table | pa.RecordBatch) -> Sizes:
    """int64[N]: the bytes of each of the N rows."""
    sizes = np.zeros(table.num_rows, np.int64)
    for column in table.columns:
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        sizes += np.concatenate([np.zeros(0, np.int64), *map(row_bytes, chunks)])
    return sizes


def row_bytes(column: pa.Array) -> Sizes:
    """int64[N]: roughly the bytes of each of the N values, including the lists, structs and strings in it."""
    kind, rows = column.type, len(column)
    if isinstance(kind, pa.BaseExtensionType):
        return row_bytes(column.storage)
    if pa.types.is_dictionary(kind):
        chosen = pc.fill_null(column.indices, 0).to_numpy(zero_copy_only=False)
        return row_bytes(column.dictionary)[chosen] if len(column.dictionary) else np.zeros(rows, np.int64)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    if _is_text_or_bytes(column.type):
        lengths: Sizes = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return lengths
    if pa.types.is_struct(kind):
        return sum((row_bytes(field) for field in column.flatten()), np.zeros(rows, np.int64))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        edges = column.offsets.to_numpy(zero_copy_only=False)
        return _between(edges, _items(column, int(edges[0]), int(edges[-1])))
    if pa.types.is_fixed_size_list(kind):
        first = column.offset * kind.list_size
        edges = np.arange(rows + 1) * kind.list_size
        return _between(edges, _items(column, first, first + int(edges[-1])))
    if pa.types.is_nested(kind):  # views and unions: rare, so one slice per value is fast enough
        return np.array([column.slice(i, 1).nbytes for i in range(rows)], np.int64)
    return np.full(rows, 0 if pa.types.is_null(kind) else max(1, kind.bit_width // 8), np.int64)


def _is_text_or_bytes(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests)


def _items(lists: Any, first: int, last: int) -> Sizes:
    if pa.types.is_map(lists.type):
        return row_bytes(lists.keys.slice(first, last - first)) + row_bytes(lists.items.slice(first, last - first))
    return row_bytes(lists.values.slice(first, last - first))


def _between(edges: npt.NDArray[Any], items: Sizes) -> Sizes:
    """The sums of `items` between consecutive edges, plus the bytes of an edge itself."""
    total = np.concatenate([[0], np.cumsum(items)])
    places = edges - edges[0]
    sums: Sizes = total[places[1:]] - total[places[:-1]] + 4
    return sums
