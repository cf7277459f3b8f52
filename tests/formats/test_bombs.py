"""Bombs: small files that inflate to much more end as errors, in bounded memory, and what comes before is scored.

The limits are small here, and so are the bombs; `python -m tests.hostile.measure` takes both in full size.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats import compression
from batch_scorer.formats.parquet import footer, limits, pages, reader, thrift
from batch_scorer.formats.parquet.arrow import places
from batch_scorer.formats.parquet.lists import Lists, lists
from batch_scorer.formats.text_lines import read_lines
from batch_scorer.planning.plan import make_plan
from batch_scorer.schema import Rejection
from batch_scorer.scoring import read as reading
from batch_scorer.scoring.read import Chunk, read
from tests.hostile import bombs, parquet_lies
from tests.hostile.reader import read_apart

MakeConfig = Callable[..., ScoreConfig]
KB, MB = 1 << 10, 1 << 20


def read_all(config: ScoreConfig) -> tuple[list[Chunk], list[Rejection]]:
    """Plans and reads: the chunks, and what they rejected."""
    plan, shards = make_plan(config, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    return chunks, [r for chunk in chunks for r in chunk.rejected]


def texts_of(chunks: list[Chunk]) -> list[str]:
    return [text for chunk in chunks for text in chunk.texts]


def outcome(config: ScoreConfig) -> tuple[int, list[Any]]:
    """How many texts there are to score, and offset and code of the rest."""
    chunks, rejected = read_all(config)
    return len(texts_of(chunks)), [[r.offset, r.code] for r in rejected]


# Compressed text


@pytest.fixture
def small_inflation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files may inflate to 256 KB, or to ten times what is stored."""
    monkeypatch.setattr(compression, "INFLATED_BYTES", 256 * KB)
    monkeypatch.setattr(compression, "INFLATION", 10)


# What is inflated is the same for both formats, and what is read the same for all compressions.
UNITS = {"one line": b"0", "newlines": b"\n", "blank lines": b" \r\n"}
TEXT_BOMBS = [
    *((kind, "gz", unit) for kind in ("jsonl", "csv") for unit in UNITS),
    *((kind, ending, "one line") for kind in ("jsonl", "csv") for ending in ("bz2", "zst")),
]


@pytest.mark.parametrize(("kind", "ending", "unit"), TEXT_BOMBS)
@pytest.mark.usefixtures("small_inflation")
def test_text_bomb_is_unreadable_beyond_the_limit_and_scored_before_it(
    kind: str, ending: str, unit: str, tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / f"bomb.{kind}.{ending}"
    bombs.text_bomb(path, UNITS[unit], 4 * MB)
    assert path.stat().st_size < 50 * KB

    chunks, rejected = read_all(config(path))

    assert ["a wonderful film"] * bombs.SMALL == texts_of(chunks)[: bombs.SMALL]
    last = rejected[-1]
    assert (None, "unreadable") == (last.offset, last.code)
    assert "inflates to more than 262,144 bytes" in last.message
    assert "decompress it first" in last.message


@pytest.mark.usefixtures("small_inflation")
def test_bomb_of_records_gives_those_below_the_limit(tmp_path: Path, config: MakeConfig) -> None:
    line = b'{"text": "a good film"}\n'
    bombs.text_bomb(tmp_path / "bomb.jsonl.gz", line, 2 * MB)

    texts, rejected = outcome(config(tmp_path / "bomb.jsonl.gz"))

    assert [[None, "unreadable"]] == rejected
    assert 256 * KB - (128 * KB) < texts * len(line) <= 256 * KB + 1_000


@pytest.mark.parametrize(("records", "codes"), [(256 * KB // 16, []), (256 * KB // 16 + 1, [[None, "unreadable"]])])
@pytest.mark.usefixtures("small_inflation")
def test_compressed_file_of_about_the_limit_is_read_whole_up_to_it(
    records: int, codes: list[Any], tmp_path: Path, config: MakeConfig
) -> None:
    with pa.CompressedOutputStream(str(tmp_path / "in.jsonl.gz"), "gzip") as out:
        out.write(b'{"text": "a b"}\n' * records)

    texts, rejected = outcome(config(tmp_path / "in.jsonl.gz"))

    assert codes == rejected
    assert (texts == records) == (not codes)


@pytest.mark.usefixtures("small_inflation")
def test_large_compressed_file_may_inflate_so_many_times(tmp_path: Path, config: MakeConfig) -> None:
    lines = b"".join(b"%d %x\n" % (i, hash(str(i)) & 0xFFFFFFFF) for i in range(40_000))
    with pa.CompressedOutputStream(str(tmp_path / "in.log.gz"), "gzip") as out:
        out.write(lines)
    assert 256 * KB < len(lines) < 10 * (tmp_path / "in.log.gz").stat().st_size

    assert (40_000, []) == outcome(config(tmp_path / "in.log.gz", input_format="lines"))


def test_limits_of_inflation_are_those_of_the_documents() -> None:
    assert (1 << 30, 100) == (compression.INFLATED_BYTES, compression.INFLATION)


LINES = st.sampled_from([b"a", b"  b", b"", b"", b"", b" \t", b"\r", b"c" * 30])


@given(
    groups=st.lists(st.tuples(LINES, st.integers(1, 200)), max_size=8),
    cut=st.integers(0, 2_000),
    buffer=st.integers(1, 300),
)
def test_read_lines_with_long_runs_of_blank_ones_gives_the_others_where_they_are(
    groups: list[tuple[bytes, int]], cut: int, buffer: int
) -> None:
    lines = [line for line, times in groups for _ in range(times)]
    data = b"\n".join(lines)
    cut = min(cut, len(data))
    expected, offset = [], 0
    for line in lines:
        expected += [(offset, line)] if line.strip() else []
        offset += len(line) + 1

    found = [
        (at, line)
        for start, stop in ((0, cut), (cut, len(data)))
        for at, line in read_lines(io.BufferedReader(io.BytesIO(data), buffer), start, stop, 1_000, b" \t\r")  # type: ignore[arg-type]
        if line is not None and line.strip()
    ]

    assert expected == found


def test_read_lines_takes_a_megabyte_of_blank_lines_in_few_pieces() -> None:
    file = io.BufferedReader(io.BytesIO(b"\n" * MB + b"last\n"), 64 * KB)  # type: ignore[arg-type]

    found = list(read_lines(file, 0, None, 1_000, b"\r"))

    assert (MB, b"last") == found[-1]
    assert len(found) < 2_000


def test_blank_lines_within_a_quoted_field_belong_to_it(tmp_path: Path, config: MakeConfig) -> None:
    text = "a" + "\n" * 500 + "b"
    (tmp_path / "in.csv").write_text("\n" * 200 + "id,text\n" + "\n" * 300 + f'1,"{text}"\n' + "\r\n" * 300 + "2,c\n")

    chunks, rejected = read_all(config(tmp_path / "in.csv", id_column="id"))

    assert ([text, "c"], []) == (texts_of(chunks), rejected)
    assert [0, 1] == [offset for chunk in chunks for offset in chunk.reviews["offset"].to_pylist()]


# Parquet


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages may take 1 MB, and a batch 1 MB."""
    monkeypatch.setattr(limits, "PAGE_BYTES", MB)
    monkeypatch.setattr(limits, "BATCH_BYTES", MB)


UNREADABLE = [None, "unreadable"]


# How to make it, how many texts it has to score, and what is rejected.
PARQUET_BOMBS: dict[str, tuple[Callable[[], bytes], int, list[Any]]] = {
    "one value": (lambda: bombs.one_value(20 * MB), bombs.SMALL, [UNREADABLE]),
    "many": (lambda: bombs.many_values(20 * MB, 20_000), 0, [UNREADABLE] * 2),
    "among small": (lambda: bombs.giant_among_small(10 * MB), 3_001, [UNREADABLE]),
    "dictionary": (lambda: bombs.one_string_in_all_rows(100_000, 300), 300, []),
    "prefixes": (lambda: bombs.same_prefixes(100_000, 300), 300, []),
    "lengths": (lambda: bombs.too_many_lengths(20 * MB), 0, [UNREADABLE]),
    "10^12 rows": (lambda: bombs.many_rows(10**12), 0, [UNREADABLE]),
    "rows": (lambda: bombs.many_rows(100_000), 10, [UNREADABLE] * 65),
    "-5 rows": (lambda: bombs.many_rows(-5), 0, [UNREADABLE]),
}


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The outcome of each of `PARQUET_BOMBS`, all read by one process with pages and batches of 1 MB."""
    folder = tmp_path_factory.mktemp("bombs")
    paths = [folder / f"{name}.parquet" for name in PARQUET_BOMBS]
    for path, (make, _, _) in zip(paths, PARQUET_BOMBS.values(), strict=True):
        path.write_bytes(make())
        assert path.stat().st_size < 150 * KB
    return dict(zip(PARQUET_BOMBS, read_apart(paths, MB), strict=True))


@pytest.mark.parametrize("name", PARQUET_BOMBS)
def test_parquet_bomb_is_decoded_as_far_as_memory_goes(name: str, decoded: dict[str, dict[str, Any]]) -> None:
    _, texts, codes = PARQUET_BOMBS[name]
    assert (texts, codes) == (decoded[name]["texts"], decoded[name]["rejected"])
    assert decoded[name]["arrow_bytes"] < 8 * MB


def test_page_that_is_too_large_is_named_with_its_place_and_a_cure(
    tmp_path: Path, config: MakeConfig, small_pages: None
) -> None:
    (tmp_path / "bomb.parquet").write_bytes(bombs.giant_among_small(10 * MB))

    _, rejected = read_all(config(tmp_path / "bomb.parquet"))

    for said in ("row group 0, row 2,000 of the file", "column 'text'", "1,048,576", "with smaller pages"):
        assert said in rejected[0].message


@pytest.mark.parametrize(
    ("inflated", "page_bytes", "texts", "codes"),
    [(2 * MB, 64 * MB, 3, [[2, "text_too_large"]]), (8 * MB, MB, 0, [UNREADABLE]), (2 * MB, 16 * MB, 3, None)],
    ids=["a row too large", "a page too large", "batches of a row"],
)
def test_list_of_millions_that_is_kept_is_rejected_alone_or_with_its_row_group(
    inflated: int,
    page_bytes: int,
    texts: int,
    codes: list[Any] | None,
    tmp_path: Path,
    config: MakeConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PAGE_BYTES", page_bytes)
    monkeypatch.setattr(limits, "BATCH_BYTES", MB)
    (tmp_path / "bomb.parquet").write_bytes(bombs.long_list(inflated))

    found = outcome(config(tmp_path / "bomb.parquet", kept=(Kept("tags", "tags"),), max_text_bytes=1_000))

    assert (texts, [[2, "text_too_large"]] if codes is None else codes) == found


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "xyz" * 50_000, "b", None]),
        pa.array(["a", "xyz" * 50_000, "b", None]).dictionary_encode(),
        pa.array([b"a", b"xyz" * 50_000, b"b", None]),
        pa.array([{"text": "a"}, {"text": "xyz" * 50_000}, {"text": "b"}, None]),
    ],
    ids=["string", "dictionary", "binary", "struct"],
)
def test_row_that_is_larger_than_any_record_may_be_is_rejected_alone(
    column: pa.Array, tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "large.parquet"
    pq.write_table(pa.table({"review": column, "id": ["i0", "i1", "i2", "i3"]}), path)
    name = "review.text" if pa.types.is_struct(column.type) else "review"

    chunks, rejected = read_all(config(path, text_column=name, id_column="id", max_text_bytes=1_000))

    assert ["a", "b"] == texts_of(chunks)
    assert [(1, "i1", "text_too_large"), (3, "i3", "missing_text")] == [
        (r.offset, r.record_id, r.code) for r in rejected
    ]
    assert "150,0" in rejected[0].message
    assert ("xyz" * 400)[:1_000] == rejected[0].excerpt


def test_row_whose_id_is_what_makes_it_too_large_is_rejected_without_it(tmp_path: Path, config: MakeConfig) -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "id": ["x" * 100_000, "i"]}), tmp_path / "in.parquet")

    _, rejected = read_all(config(tmp_path / "in.parquet", id_column="id", max_text_bytes=1_000))

    assert [(0, None, "text_too_large", "a")] == [(r.offset, r.record_id, r.code, r.excerpt) for r in rejected]


OPTIONS = [
    {},
    {"compression": "none", "use_dictionary": False},
    {"compression": "zstd", "data_page_version": "2.0"},
    {"compression": "gzip", "use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
    {
        "compression": "lz4",
        "use_dictionary": False,
        "data_page_version": "2.0",
        "column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY", "tags.list.element": "DELTA_BYTE_ARRAY"},
    },
    {"compression": "brotli", "use_dictionary": ["tags.list.element"]},
]
ROW = st.tuples(
    st.none() | st.text("ab", max_size=40), st.none() | st.lists(st.none() | st.text("xyz", max_size=9), max_size=30)
)


@settings(max_examples=40)
@given(
    rows=st.lists(ROW, min_size=1, max_size=120),
    options=st.sampled_from(OPTIONS),
    page_rows=st.integers(1, 40),
    batch_bytes=st.sampled_from([1, 50, 500, 5_000, 1 << 27]),
)
def test_any_file_is_read_the_same_however_few_rows_are_decoded_at_a_time(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str | None, list[str | None] | None]],
    options: dict[str, Any],
    page_rows: int,
    batch_bytes: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.parquet"
    texts, tags = [text for text, _ in rows], [tag for _, tag in rows]
    table = pa.table({"text": pa.array(texts, pa.string()), "tags": pa.array(tags, pa.list_(pa.string()))})
    pq.write_table(table, path, write_batch_size=page_rows, data_page_size=200, **options)
    job = ScoreConfig.of((str(path),), output=f"{path}.out", kept=(Kept("tags", "tags"),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "BATCH_BYTES", batch_bytes)
        chunks, rejected = read_all(job)

    assert [text for text in texts if text is not None] == texts_of(chunks)
    kept = [row for chunk in chunks for row in chunk.reviews["tags"].to_pylist()]
    assert [tag for text, tag in rows if text is not None] == kept
    assert [(i, "missing_text") for i, text in enumerate(texts) if text is None] == [
        (r.offset, r.code) for r in rejected
    ]


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_rows_begun_in_the_pages_of_a_column_of_lists_add_up(options: dict[str, Any]) -> None:
    tags = [[f"tag {i % 7}"] * (i % 11) if i % 5 else None for i in range(3_000)]
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"text": ["a"] * 3_000, "tags": tags}), sink, write_batch_size=50, data_page_size=9, **options
    )
    file = pq.ParquetFile(sink)
    read_footer = footer.read_footer(sink)
    (chunk,) = read_footer.row_group(0, places(file.schema_arrow, ["tags"])).chunks.values()
    column = pages.Column("tags", chunk, 0, 1, file.schema.column(1).max_definition_level)

    found = [page for page in pages.walk(sink, column, None) if page.is_data]

    assert len(found) > 20
    *_, last = counts = list(
        itertools.accumulate(found, lambda last, page: lists(sink, column, page, last), initial=Lists())
    )
    assert 3_000 == sum(after.begun for after in counts)
    assert (10, 7) == (last.longest, last.open)  # of 2 999: an empty list and a null have one level as well


def test_dictionary_is_looked_into_so_that_batches_are_no_smaller_than_they_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_SCANNED_BYTES", (0, MB))
    monkeypatch.setattr(limits, "BATCH_BYTES", 100 * KB)
    pq.write_table(pa.table({"text": [f"{i:050d}" for i in range(5_000)]}), tmp_path / "in.parquet")

    with open(tmp_path / "in.parquet", "rb") as stream:
        found = footer.read_footer(stream)
        file = found.open(stream)
        group = found.row_group(0, places(file.schema_arrow, ["text"]))
        rows = limits.reach(stream, file.schema, group, None).rows

    assert 1_024 == rows  # of 50 bytes each; the dictionary of 270 000 bytes could be one value


def test_page_header_that_lies_about_its_size_is_damage_at_its_row(tmp_path: Path, config: MakeConfig) -> None:
    sink = io.BytesIO()
    texts = [f"text {i}" for i in range(1_000)]
    pq.write_table(
        pa.table({"text": texts}),
        sink,
        use_dictionary=False,
        write_batch_size=100,
        data_page_size=1,
        compression="none",
    )

    def lie(header: parquet_lies.Struct) -> None:
        parquet_lies.put(header, parquet_lies.PAGE_UNCOMPRESSED, 1 << 30)

    (tmp_path / "lie.parquet").write_bytes(parquet_lies.change_page(sink.getvalue(), 6, lie))

    chunks, rejected = read_all(config(tmp_path / "lie.parquet"))

    assert [UNREADABLE] == [[r.offset, r.code] for r in rejected]
    assert texts[:600] == texts_of(chunks)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("field", [parquet_lies.PAGE_UNCOMPRESSED, parquet_lies.PAGE_COMPRESSED])
@pytest.mark.parametrize("value", [-1, 0, 7, 1 << 20, (1 << 31) - 1])
def test_page_header_with_any_size_in_it_costs_its_file_alone(
    field: int, value: int, number: int, tmp_path: Path, config: MakeConfig
) -> None:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"text": [f"text {i % 9}" for i in range(300)]}), sink, data_page_size=1, write_batch_size=99
    )
    lie = parquet_lies.change_page(sink.getvalue(), number, lambda header: parquet_lies.put(header, field, value))
    (tmp_path / "lie.parquet").write_bytes(lie)

    texts, rejected = outcome(config(tmp_path / "lie.parquet"))

    assert texts == 300 or [UNREADABLE] == rejected


@given(data=st.data())
def test_thrift_that_is_cut_off_or_changed_is_malformed_or_read(data: st.DataObject) -> None:
    header: parquet_lies.Struct = {
        1: (parquet_lies.I32, -3),
        2: (parquet_lies.I64, 1 << 60),
        4: (parquet_lies.TRUE, True),
        25: (parquet_lies.BINARY, b"some bytes"),
        26: (parquet_lies.LIST, (parquet_lies.STRUCT, [{1: (parquet_lies.DOUBLE, 0.5)}] * 3)),
        27: (parquet_lies.STRUCT, {1: (parquet_lies.LIST, (parquet_lies.I32, list(range(20))))}),
    }
    whole = parquet_lies.encode(header)
    found, end = thrift.fields(whole + b"more")
    assert (list(header), len(whole)) == ([field.number for field in found], end)
    assert {1: -3, 2: 1 << 60, 4: 1} == thrift.numbers(whole, found)

    with pytest.raises(thrift.Malformed):
        thrift.fields(whole[: data.draw(st.integers(0, len(whole) - 1))])
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(thrift.Malformed):
        thrift.fields(bytes(changed))


@pytest.mark.parametrize("levels", [footer.SCHEMA_DEPTH - 2, footer.SCHEMA_DEPTH + 1])
def test_schema_is_read_up_to_a_depth(levels: int, tmp_path: Path, config: MakeConfig) -> None:
    value: Any = pa.array(["a"])
    for _ in range(levels):
        value = pa.StructArray.from_arrays([value], ["s"])
    pq.write_table(pa.table({"text": ["good"], "deep": value}), tmp_path / "deep.parquet", store_schema=False)

    texts, rejected = outcome(config(tmp_path / "deep.parquet"))

    assert (1, []) == (texts, rejected) if levels < footer.SCHEMA_DEPTH else (0, [UNREADABLE]) == (texts, rejected)


def test_footer_that_is_larger_than_any_is_unreadable(
    tmp_path: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"text": ["good"]}), tmp_path / "in.parquet")
    monkeypatch.setattr(footer, "FOOTER_BYTES", 100)

    _, (rejected,) = read_all(config(tmp_path / "in.parquet"))

    assert (None, "unreadable", True) == (rejected.offset, rejected.code, "write larger row groups" in rejected.message)


def test_footer_of_too_many_row_groups_is_unreadable(
    tmp_path: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footer, "ROW_GROUPS", 3)
    for rows, expected in ((3, (3, [])), (4, (0, [UNREADABLE]))):
        pq.write_table(pa.table({"text": ["good"] * rows}), tmp_path / f"{rows}.parquet", row_group_size=1)
        assert expected == outcome(config(tmp_path / f"{rows}.parquet"))


def test_footer_of_many_kilobytes_is_read_whole(tmp_path: Path, config: MakeConfig) -> None:
    table = pa.table({"text": [f"good {i}" for i in range(700)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=1)
    assert int.from_bytes((tmp_path / "in.parquet").read_bytes()[-8:-4], "little") > 64 * KB

    assert (700, []) == outcome(config(tmp_path / "in.parquet"))


def test_statistics_that_do_not_go_together_do_not_end_the_process(tmp_path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": ["good", None]}), sink)

    def lie(found: parquet_lies.Struct) -> None:
        histogram = parquet_lies.column_meta(found, 0, 0)[16][1][3][1][1]
        histogram.append(1)

    (tmp_path / "lie.parquet").write_bytes(parquet_lies.change_footer(sink.getvalue(), lie))

    (found,) = read_apart([tmp_path / "lie.parquet"], MB)

    assert found["rejected"] in ([UNREADABLE], [[1, "missing_text"]])


# Chunks


@pytest.mark.parametrize("what", ["id", "kept", "list"])
def test_ids_and_kept_values_count_in_the_size_of_a_chunk(
    what: str, tmp_path: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 1_000)
    rows = [{"text": "a", "id": "i", "kept": "k", "list": ["l"]} for _ in range(8)]
    for row in rows[::2]:
        row[what] = ["x" * 600] if what == "list" else "x" * 600
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")

    chunks, _ = read_all(config(tmp_path / "in.parquet", id_column="id", kept=(Kept("kept", "k"), Kept("list", "l"))))

    assert [3, 4, 1] == [len(chunk.texts) for chunk in chunks]


def test_rejected_records_count_in_the_size_of_a_chunk(
    jsonl_file: Callable[..., Path], config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 1_000)
    path = jsonl_file(*({"id": "x" * 600, "text": None} for _ in range(4)))

    chunks, _ = read_all(config(path, id_column="id"))

    assert [2, 2] == [len(chunk.rejected) for chunk in chunks]


def test_values_kept_do_not_keep_the_whole_batch_in_memory(tmp_path: Path, config: MakeConfig) -> None:
    rows = [{"text": "a" if i == 0 else None, "list": ["l" * 10_000]} for i in range(1_000)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet", use_dictionary=False)
    job = config(tmp_path / "in.parquet", kept=(Kept("list", "l"),))

    before = pa.total_allocated_bytes()
    chunks, _ = read_all(job)
    reader._OpenFile._kept.popitem()[1].close()

    assert ["a"] == texts_of(chunks)
    assert pa.total_allocated_bytes() - before < 100 * KB


def test_json_of_any_size_in_a_line_is_bounded_by_the_line(tmp_path: Path, config: MakeConfig) -> None:
    line = json.dumps({"text": "a", "k": [[]] * 300_000}).encode()
    (tmp_path / "in.jsonl").write_bytes(line + b"\n" + b'{"text": "b"}\n')

    assert (1, [[0, "text_too_large"]]) == outcome(config(tmp_path / "in.jsonl", max_text_bytes=10_000))
