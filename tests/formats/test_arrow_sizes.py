"""Sizes: bytes per value, the same however a column is sliced, and close to what Arrow counts."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.formats.arrow_sizes import row_bytes, table_bytes

LISTS = [["a", "bb"], None, [], ["ccc", None]]
COLUMNS = {
    "string": pa.array(["a", "bcd", None, "é"]),
    "large_string": pa.array(["a", "bcd", None, "é"], pa.large_string()),
    "string_view": pa.array(["a", "b" * 40, None, "c"], pa.string_view()),
    "binary": pa.array([b"1", None, b"", b"xx"]),
    "fixed_binary": pa.array([b"abc", None, b"abc", b"abc"], pa.binary(3)),
    "dictionary": pa.array(["a", "bcd", None, "a"]).dictionary_encode(),
    "no_dictionary": pa.array([None] * 4, pa.dictionary(pa.int32(), pa.string())),
    "list": pa.array(LISTS),
    "large_list": pa.array(LISTS, pa.large_list(pa.string())),
    "fixed_list": pa.array([[1, 2], None, [3, None], [5, 6]], pa.list_(pa.int64(), 2)),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": 2, "b": "yyy"}, {"a": None, "b": None}]),
    "map": pa.array([[("a", 1)], None, [], [("bb", 2), ("c", 3)]], pa.map_(pa.string(), pa.int64())),
    "nested": pa.array([[{"a": ["x" * 9]}], [], None, [{"a": []}, {"a": ["y"]}]]),
    "int64": pa.array([1, 2, None, 3]),
    "bool": pa.array([True, None, False, True]),
    "null": pa.nulls(4),
    "decimal": pa.array([decimal.Decimal("1.2"), None, None, None]),
    "duration": pa.array([1, None, 2, 3], pa.duration("ns")),
    "uuid": pa.array([b"x" * 16] * 4, pa.uuid()),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_sizes_of_a_slice_are_those_of_the_whole(column: pa.Array) -> None:
    whole = row_bytes(column)

    assert len(column) == len(whole)
    for first, length in ((0, 4), (1, 2), (3, 1), (2, 0)):
        assert whole[first : first + length].tolist() == row_bytes(column.slice(first, length)).tolist()


def test_sizes_of_strings_are_their_bytes_in_lists_and_structs_too() -> None:
    assert [1, 3, 0, 2] == row_bytes(COLUMNS["string"]).tolist()
    assert [1, 3, 1, 1] == row_bytes(COLUMNS["dictionary"]).tolist()
    assert [3, 0, 0, 3] == (row_bytes(COLUMNS["list"]) - 4).tolist()
    assert [9, 8, 11, 8] == row_bytes(COLUMNS["struct"]).tolist()


@given(rows=st.lists(st.lists(st.text("ab", max_size=300), max_size=5), max_size=60), cut=st.integers(0, 60))
def test_sizes_of_a_table_are_those_of_its_pieces_and_about_what_arrow_counts(rows: list[Any], cut: int) -> None:
    schema = pa.schema({"lists": pa.list_(pa.string()), "number": pa.int32(), "text": pa.string()})
    columns = [
        pa.array(rows, schema.field(0).type),
        pa.array(range(len(rows)), pa.int32()),
        pa.array(map(str, rows), pa.string()),
    ]
    whole = pa.table(columns, schema=schema)
    pieces = pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])

    assert table_bytes(whole).tolist() == table_bytes(pieces).tolist()
    assert abs(whole.nbytes - int(np.sum(table_bytes(whole)))) <= 16 + 8 * sum(1 + len(row) for row in rows)
