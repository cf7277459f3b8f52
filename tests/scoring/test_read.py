"""Read: chunks of bounded size, in order, however the shards lie; damage ends a shard without an exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.planning.plan import make_plan
from batch_scorer.scoring import read as reading
from batch_scorer.scoring.read import Chunk, read
from tests.conftest import REVIEWS

MakeConfig = Callable[..., ScoreConfig]
TEXT_ONLY = Fields("text", None, (), pa.schema([]), 100)
TEXTS = st.text(st.sampled_from(["a", "é", "\n", "\r", "\u2028", "\u0085", '"', "\\", " ", "\U0001f600", "\0"]))


def read_all(config: ScoreConfig) -> list[Chunk]:
    """Plans and reads."""
    plan, shards = make_plan(config, "model")
    return [chunk for shard in shards for chunk in read(shard, plan.fields)]


def outcome(chunks: list[Chunk]) -> list[tuple[Any, ...]]:
    """What became of each record, by offset."""
    found: list[tuple[Any, ...]] = []
    for chunk in chunks:
        rows = zip(chunk.reviews.to_pylist(), chunk.texts, strict=True)
        found += [(row["source"], row["offset"], row["record_id"], text) for row, text in rows]
        found += [(r.source, r.offset, r.record_id, r.code) for r in chunk.rejected]
    return sorted(found, key=lambda row: (row[0], row[1]))


@given(
    texts=st.lists(st.none() | TEXTS, min_size=1, max_size=30), shard_rows=st.integers(1, 40), ascii_only=st.booleans()
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_read_any_shard_size_gives_every_record_once(
    tmp_path_factory: pytest.TempPathFactory, kind: str, texts: list[str | None], shard_rows: int, ascii_only: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"
    offsets = list(range(len(texts)))
    if kind == "parquet":
        table = pa.table({"text": pa.array(texts, pa.string()), "id": offsets})
        pq.write_table(table, path, row_group_size=7)
    else:
        lines = [
            json.dumps({"text": t, "id": i}, ensure_ascii=ascii_only).encode() + b"\n" for i, t in enumerate(texts)
        ]
        path.write_bytes(b"".join(lines))
        offsets = [sum(map(len, lines[:i])) for i in range(len(lines))]

    config = ScoreConfig.of((str(path),), output=f"{path}.out", id_column="id", shard_rows=shard_rows)

    expected = [
        (str(path), offset, str(i), "missing_text" if text is None else text)
        for i, (offset, text) in enumerate(zip(offsets, texts, strict=True))
    ]
    assert expected == outcome(read_all(config))


def test_read_reviews_gives_ids_texts_and_kept_columns_under_their_new_names(
    reviews_file: Path, config: MakeConfig
) -> None:
    kept = (Kept("id", "review"), Kept("text", "original"))

    (chunk,) = read_all(config(reviews_file, id_column="id", kept=kept))

    assert ["record_id", "source", "offset", "review", "original"] == chunk.reviews.column_names
    assert [i for i, _ in REVIEWS] == chunk.reviews["record_id"].to_pylist() == chunk.reviews["review"].to_pylist()
    assert [text for _, text in REVIEWS] == chunk.texts == chunk.reviews["original"].to_pylist()


def test_read_without_an_id_names_records_by_source_and_offset(
    jsonl_file: Callable[..., Path], config: MakeConfig
) -> None:
    path = jsonl_file({"text": "a", "id": "x"}, {"text": "b", "id": None}, {"text": "c"}, {"text": "d", "id": [1]})

    without, with_id = read_all(config(path)), read_all(config(path, id_column="id"))

    offsets = without[0].reviews["offset"].to_pylist()
    assert [f"{path}#{offset}" for offset in offsets] == without[0].reviews["record_id"].to_pylist()
    expected = ["x", f"{path}#{offsets[1]}", f"{path}#{offsets[2]}", "[1]"]
    assert expected == with_id[0].reviews["record_id"].to_pylist()


def test_read_id_with_a_lone_surrogate_is_made_printable(jsonl_file: Callable[..., Path], config: MakeConfig) -> None:
    path = jsonl_file({"id": "a", "text": "a"}, rb'{"id": "half \ud800", "text": "b"}')

    (chunk,) = read_all(config(path, id_column="id"))

    assert ["a", "half \ufffd"] == chunk.reviews["record_id"].to_pylist()


def test_read_file_whose_name_is_not_utf8_is_read(tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "caf\udce9.txt"
    path.write_text("a good film")

    (chunk,) = read_all(config(f"{tmp_path}/*.txt"))

    assert (["a good film"], [f"{tmp_path}/caf\ufffd.txt"]) == (chunk.texts, chunk.reviews["source"].to_pylist())


def test_read_many_records_gives_chunks_of_bounded_count(
    jsonl_file: Callable[..., Path], config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_REVIEWS", 3)
    path = jsonl_file(*({"text": None if i in (1, 4) else str(i)} for i in range(8)))

    chunks = read_all(config(path))

    assert [["0", "2"], ["3", "5"], ["6", "7"]] == [chunk.texts for chunk in chunks]
    assert [1, 1, 0] == [len(chunk.rejected) for chunk in chunks]


def test_read_long_texts_gives_chunks_of_bounded_size(
    jsonl_file: Callable[..., Path], config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_CHARACTERS", 10)
    path = jsonl_file(*({"text": "x" * size} for size in (4, 5, 1, 30, 9)))

    assert [[4, 5, 1], [30], [9]] == [[len(text) for text in chunk.texts] for chunk in read_all(config(path))]


@pytest.mark.parametrize(
    ("text", "code"), [("x" * 100, None), ("x" * 101, "text_too_large"), ("é" * 50, None), ("é" * 51, "text_too_large")]
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_read_text_of_about_the_limit_in_bytes_is_rejected_above_it(
    kind: str, text: str, code: str | None, tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / f"long.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table({"text": [text]}), path)
    else:
        path.write_text(json.dumps({"text": text}) + "\n")

    (chunk,) = read_all(config(path, max_text_bytes=100))

    assert ([text] if code is None else []) == chunk.texts
    assert ([] if code is None else [(0, code)]) == [(r.offset, r.code) for r in chunk.rejected]


def test_read_shard_of_a_file_damaged_when_planned_is_one_unreadable_row() -> None:
    shard = Shard(0, "parquet", ("reviews.parquet",), damage="no magic bytes")

    (chunk,) = read(shard, TEXT_ONLY)

    assert ([], 0) == (chunk.texts, chunk.reviews.num_rows)
    assert [("reviews.parquet", None, "unreadable", "no magic bytes")] == [
        (r.source, r.offset, r.code, r.message) for r in chunk.rejected
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "files"])
def test_read_file_gone_since_the_plan_is_one_unreadable_row(kind: str, tmp_path: Path) -> None:
    (chunk,) = read(Shard(0, kind, (str(tmp_path / "gone"),), 0, 10), TEXT_ONLY)

    assert [(str(tmp_path / "gone"), None, "unreadable")] == [(r.source, r.offset, r.code) for r in chunk.rejected]


def test_read_shard_without_records_gives_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "blank.jsonl"
    path.write_bytes(b"\n\n")

    assert [] == list(read(Shard(0, "jsonl", (str(path),), 0, 2), TEXT_ONLY))
