"""Parquet: row ranges, text and kept columns of every type, and damage that costs no more than it must."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats.parquet import reader
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.planning.plan import make_plan
from batch_scorer.schema import Rejection
from batch_scorer.scoring.read import Chunk, read

MakeConfig = Callable[..., ScoreConfig]
NOT_UTF8 = b"caf\xe9"
TEXT_ONLY = Fields("text", None, (), pa.schema([]), 1_000)


def read_all(config: ScoreConfig) -> tuple[list[Chunk], list[Rejection]]:
    """Plans and reads: the chunks, and all their rejections."""
    plan, shards = make_plan(config, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    return chunks, [r for chunk in chunks for r in chunk.rejected]


def offsets(chunks: list[Chunk]) -> list[int]:
    return [offset for chunk in chunks for offset in chunk.reviews["offset"].to_pylist()]


def texts_of(chunks: list[Chunk]) -> list[str]:
    return [text for chunk in chunks for text in chunk.texts]


@given(
    groups=st.lists(st.integers(1, 2_500), min_size=1, max_size=4),
    start=st.integers(0, 9_999),
    stop=st.integers(0, 9_999),
)
def test_rows_of_any_range_in_any_row_group_are_read(
    tmp_path_factory: pytest.TempPathFactory, groups: list[int], start: int, stop: int
) -> None:
    path = str(tmp_path_factory.getbasetemp() / "groups.parquet")
    texts = [f"text {i}" for i in range(sum(groups))]
    with pq.ParquetWriter(path, pa.schema({"text": pa.string()})) as writer:
        for i, rows in enumerate(groups):
            first = sum(groups[:i])
            writer.write_table(pa.table({"text": texts[first : first + rows]}), row_group_size=rows)

    chosen = start % len(groups)
    first = sum(groups[:chosen])
    start, stop = sorted((first + start % groups[chosen], first + 1 + stop % groups[chosen]))
    shard = Shard(0, "parquet", (path,), start, stop, chosen, first)
    chunks = list(read(shard, TEXT_ONLY))

    assert list(range(start, stop)) == offsets(chunks)
    assert texts[start:stop] == texts_of(chunks)


STRINGS = pa.array(["café", None, "b"])
NOT_STRINGS = pa.array([b"ok", NOT_UTF8, None])


@pytest.mark.parametrize(
    ("column", "texts", "codes"),
    [
        (STRINGS, ["café", "b"], [(1, "missing_text")]),
        (STRINGS.cast(pa.large_string()), ["café", "b"], [(1, "missing_text")]),
        (STRINGS.dictionary_encode(), ["café", "b"], [(1, "missing_text")]),
        (STRINGS.cast(pa.binary()), ["café", "b"], [(1, "missing_text")]),
        (NOT_STRINGS, ["ok"], [(1, "invalid_utf8"), (2, "missing_text")]),
        (NOT_STRINGS.view(pa.string()), ["ok"], [(1, "invalid_utf8"), (2, "missing_text")]),
        (NOT_STRINGS.view(pa.string()).dictionary_encode(), ["ok"], [(1, "invalid_utf8"), (2, "missing_text")]),
        (pa.nulls(2), [], [(0, "missing_text"), (1, "missing_text")]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_parquet_text_column_of_any_text_type_is_read(
    column: pa.Array, texts: list[str], codes: list[tuple[int, str]], tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"text": column}), path)

    chunks, rejected = read_all(config(path))

    assert texts == texts_of(chunks)
    assert codes == [(r.offset, r.code) for r in rejected]


MOMENT = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)
KEPT = {
    "nanoseconds": pa.array([1_700_000_000_123_456_789, None], pa.timestamp("ns")),
    "zoned": pa.array([MOMENT, None], pa.timestamp("us", "Europe/Berlin")),
    "date": pa.array([MOMENT.date(), None]),
    "time": pa.array([5, None], pa.time64("ns")),
    "duration": pa.array([7, None], pa.duration("ns")),
    "int8": pa.array([-1, None], pa.int8()),
    "double": pa.array([float("inf"), None]),
    "decimal": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(20, 3)),
    "bool": pa.array([True, None]),
    "binary": pa.array([NOT_UTF8, None]),
    "large_string": pa.array(["é", None], pa.large_string()),
    "list": pa.array([["a", None], None]),
    "list_of_nanoseconds": pa.array([[1_700_000_000_123_456_789], None], pa.list_(pa.timestamp("ns"))),
    "struct": pa.array([{"a": 1, "b": ["x"]}, None]),
    "map": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(2),
}


@pytest.mark.parametrize("column", KEPT.values(), ids=KEPT)
def test_kept_column_of_any_type_comes_out_equal(column: pa.Array, tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "kept.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "k": column}), path)
    stored = pq.read_table(path)["k"]  # not `column`: Parquet renames the inner fields of lists and maps

    chunks, rejected = read_all(config(path, kept=(Kept("k", "out"),)))

    assert [] == rejected
    assert stored.equals(chunks[0].reviews["out"])


def test_kept_dictionary_column_comes_out_as_its_values(tmp_path: Path, config: MakeConfig) -> None:
    values = pa.array(["x", None, "x"])
    pq.write_table(pa.table({"text": ["a", "b", "c"], "k": values.dictionary_encode()}), tmp_path / "a.parquet")

    chunks, _ = read_all(config(tmp_path, kept=(Kept("k", "out"),), output="elsewhere"))

    assert values.equals(chunks[0].reviews["out"].combine_chunks())


def test_kept_column_of_two_files_takes_the_wider_type(tmp_path: Path, config: MakeConfig) -> None:
    pq.write_table(pa.table({"text": ["a"], "k": pa.array([1], pa.int32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["b"], "k": pa.array([2**40], pa.int64())}), tmp_path / "b.parquet")

    chunks, _ = read_all(config(tmp_path / "*.parquet", kept=(Kept("k", "out"),)))

    assert [pa.int64()] == [chunk.reviews["out"].type for chunk in chunks]
    assert [[1, 2**40]] == [chunk.reviews["out"].to_pylist() for chunk in chunks]


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (pa.array([7, -(2**62), None]), ["7", str(-(2**62)), "#2"]),
        (pa.array(["x", "", None]), ["x", "", "#2"]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", "#1", "x"]),
        (pa.array([b"ok", NOT_UTF8, None]), ["ok", "0x636166e9", "#2"]),
        (pa.array([b"ok", NOT_UTF8, None]).view(pa.string()), ["ok", "0x636166e9", "#2"]),
    ],
    ids=["int64", "string", "dictionary", "binary", "not_utf8"],
)
def test_id_column_of_any_type_comes_out_as_text(
    column: pa.Array, ids: list[str], tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "ids.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], "id": column}), path)

    chunks, rejected = read_all(config(path, id_column="id"))

    assert [] == rejected
    assert [f"{path}{i}" if i.startswith("#") else i for i in ids] == chunks[0].reviews["record_id"].to_pylist()


@pytest.mark.parametrize("damage", ["truncated", "fake", "empty", "footer"])
def test_file_without_a_whole_footer_is_one_unreadable_row(damage: str, tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"text": ["a", "b"]}), path)
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    broken = {
        "truncated": whole[:-20],
        "fake": b"PAR1 this is no Parquet file PAR1",
        "empty": b"",
        "footer": whole[: -8 - footer] + b"\xff" * footer + whole[-8:],
    }
    path.write_bytes(broken[damage])

    chunks, rejected = read_all(config(path))

    assert [(str(path), None, "unreadable")] == [(r.source, r.offset, r.code) for r in rejected]
    assert [] == texts_of(chunks)


def test_column_name_in_a_footer_that_is_not_utf8_is_one_unreadable_row(tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"text": ["a"], "other": ["b"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"text", b"\xffext"))

    _, rejected = read_all(config(path))

    assert [(None, "unreadable")] == [(r.offset, r.code) for r in rejected]


@pytest.fixture
def two_groups(tmp_path: Path) -> Path:
    """Two row groups of 3 000 texts in pages of a few hundred, the middle of the second overwritten."""
    path = tmp_path / "two.parquet"
    texts = [f"review number {i} of a file" for i in range(6_000)]
    pages = {"data_page_size": 4_096, "write_batch_size": 200, "use_dictionary": False, "compression": "zstd"}
    pq.write_table(pa.table({"text": texts}), path, row_group_size=3_000, **pages)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    data = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    data[middle : middle + 2_000] = b"\xff" * 2_000
    path.write_bytes(data)
    return path


def test_damage_in_the_second_row_group_keeps_the_records_before_it(two_groups: Path, config: MakeConfig) -> None:
    chunks, rejected = read_all(config(two_groups, shard_rows=3_000))

    kept = offsets(chunks)
    assert list(range(len(kept))) == kept
    assert 4_000 <= len(kept) < 6_000  # a batch of 1 024 at least, of the second group
    assert [(None, "unreadable")] == [(r.offset, r.code) for r in rejected]


def test_damage_in_a_row_group_spares_the_ranges_before_it(two_groups: Path, config: MakeConfig) -> None:
    chunks, rejected = read_all(config(two_groups, shard_rows=500))

    assert list(range(4_000)) == offsets(chunks)[:4_000]
    assert {(None, "unreadable")} == {(r.offset, r.code) for r in rejected}


def test_row_group_shorter_than_its_plan_is_unreadable_at_its_end(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "short.parquet")

    chunks = list(read(Shard(0, "parquet", (str(tmp_path / "short.parquet"),), 0, 5), TEXT_ONLY))

    assert ["a", "b"] == texts_of(chunks)
    assert [(None, "unreadable")] == [(r.offset, r.code) for chunk in chunks for r in chunk.rejected]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows in each batch that is decoded from now on."""
    rows: list[int] = []
    batches = reader._batches

    def counted(*args: Any) -> Iterator[pa.RecordBatch]:
        for batch in batches(*args):
            rows.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(reader, "_batches", counted)
    return rows


def test_shards_of_a_row_group_in_order_decode_it_once_and_in_any_order_read_the_same(
    tmp_path: Path, decoded: list[int]
) -> None:
    path = str(tmp_path / "large.parquet")
    pq.write_table(pa.table({"text": [f"review {i}" for i in range(5_000)]}), path)

    def texts(start: int) -> list[str]:
        return texts_of(list(read(Shard(0, "parquet", (path,), start, start + 700), TEXT_ONLY)))

    expected = {start: [f"review {i}" for i in range(start, start + 700)] for start in range(0, 4_200, 700)}
    assert expected == {start: texts(start) for start in expected}
    assert 4_200 <= sum(decoded) <= 5_000
    for start in (2_100, 700, 2_800, 0):
        assert expected[start] == texts(start)


def test_file_that_was_replaced_between_two_shards_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "replaced.parquet"
    for word in ("old", "new, and longer"):
        pq.write_table(pa.table({"text": [word] * 50}), path)
        for start in (0, 10):
            chunks = list(read(Shard(0, "parquet", (str(path),), start, start + 10), TEXT_ONLY))
            assert [word] * 10 == texts_of(chunks)
