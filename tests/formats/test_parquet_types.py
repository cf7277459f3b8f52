"""Parquet: types that few writers use hurt no file: those of ids, of the text, and of columns that nobody asked for."""

from __future__ import annotations

import decimal
import random
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats.parquet import limits
from batch_scorer.formats.parquet.arrow import id_texts
from batch_scorer.planning.plan import make_plan
from batch_scorer.schema import Rejection
from batch_scorer.scoring.read import read

MakeConfig = Callable[..., ScoreConfig]
UUIDS = [uuid.UUID(int=1), uuid.UUID("4f0e4c52-1111-4222-8333-000000000001"), uuid.UUID(bytes=b"sixteen letters!")]
MAPS = pa.array([[("a", {"b": 1})]] * 3, pa.map_(pa.string(), pa.struct([("b", pa.int8()), ("c", pa.int8())])))
DIGESTS = [bytes(range(32)), b"\xff" * 32, b"all of these are printed letters"]


def read_all(config: ScoreConfig) -> tuple[list[dict[str, Any]], list[str], list[Rejection]]:
    """Plans and reads: the rows of the reviews, their texts, and what is rejected."""
    plan, shards = make_plan(config, "model")
    chunks = [chunk for shard in shards for chunk in read(shard, plan.fields)]
    rejected = [r for chunk in chunks for r in chunk.rejected]
    return [row for c in chunks for row in c.reviews.to_pylist()], [t for c in chunks for t in c.texts], rejected


def stored(kind: pa.DataType, values: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (stored(pa.uuid(), [u.bytes for u in UUIDS]), [str(u) for u in UUIDS]),
        (pa.array(DIGESTS, pa.binary(32)), ["0x" + DIGESTS[0].hex(), "0x" + "ff" * 32, DIGESTS[2].decode()]),
        (pa.array([b"key\xe9", b"key\xe8", "café".encode()]), ["0x6b6579e9", "0x6b6579e8", "café"]),
        (pa.array([b"0x00", b"\0", b"a\tb"]), ["0x30783030", "0x00", "a\tb"]),
        (pa.array(["0x00", "\0", "a\tb"]), ["0x00", "\0", "a\tb"]),
        (stored(pa.json_(), ['"a"', "7", "{}"]), ['"a"', "7", "{}"]),
        (stored(pa.bool8(), [1, 0, 1]), ["1", "0", "1"]),
        (pa.array([2**64 - 1, 0, 2**63], pa.uint64()), [str(2**64 - 1), "0", str(2**63)]),
    ],
    ids=["uuid", "digest", "binary", "binary that looks like digits", "string", "json", "bool8", "uint64"],
)
def test_ids_of_any_type_become_texts_that_can_be_told_apart(
    column: pa.Array, ids: list[str], tmp_path: Path, config: MakeConfig
) -> None:
    pq.write_table(pa.table({"text": ["a", "b", "c"], "id": column}), tmp_path / "in.parquet")

    scored, _, rejected = read_all(config(tmp_path / "in.parquet", id_column="id"))

    assert ([], ids) == (rejected, [row["record_id"] for row in scored])


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"0x00", b"\0", b"\xc3", "é".encode()]), unique=True))
def test_ids_of_different_bytes_are_different_texts(values: list[bytes]) -> None:
    assert len(values) == len(set(id_texts(pa.array(values, pa.binary()))))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"text.tokens": pa.array([["a", "b"]] * 3), "text": pa.array(["x", "y", "z"])}, "text"),
        ({"text": pa.array(["x", "y", "z"]), "text.tokens": pa.array([["a"], [], None])}, "text"),
        ({"a.b": pa.array([1, 2, 3]), "a": pa.array([{"c": 1, "b": {"d": t}} for t in "xyz"])}, "a.b.d"),
        ({"l": pa.array([[{"text": 1}]] * 3), "m": MAPS, "text": pa.array(["x", "y", "z"])}, "text"),
    ],
    ids=["list before", "list after", "nested", "lists of structs and maps before"],
)  # fmt: skip
def test_text_column_beside_one_with_a_dotted_name_is_the_one_asked_for(
    names: dict[str, pa.Array], text: str, tmp_path: Path, config: MakeConfig
) -> None:
    pq.write_table(pa.table(names), tmp_path / "in.parquet")

    _, texts, rejected = read_all(config(tmp_path / "in.parquet", text_column=text))

    assert ([], ["x", "y", "z"]) == (rejected, texts)


@pytest.mark.parametrize(
    "column",
    [stored(pa.json_(), ['"good"', None]), pa.array(["good", None], pa.string_view()),
     pa.array([b"good", None], pa.binary_view()), stored(pa.opaque(pa.string(), "t", "v"), ["good", None])],
    ids=["json", "string_view", "binary_view", "opaque"],
)  # fmt: skip
def test_text_of_a_type_stored_as_strings_is_read(column: pa.Array, tmp_path: Path, config: MakeConfig) -> None:
    pq.write_table(pa.table({"text": column}), tmp_path / "in.parquet")

    _, texts, rejected = read_all(config(tmp_path / "in.parquet"))

    assert (1, ["missing_text"]) == (len(texts), [r.code for r in rejected])
    assert texts[0].strip('"') == "good"


def test_kept_lists_of_words_from_a_dictionary_are_read(
    tmp_path: Path, config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 500 words in the dictionary, of which a page of 6,000 values may hold the longest each time.
    monkeypatch.setattr(limits, "PAGE_BYTES", 1 << 23)
    monkeypatch.setattr(limits, "_FEW_BYTES", 1 << 14)
    rng, words = random.Random(0), [f"tag-{i:05d}" for i in range(500)]
    tags = [rng.sample(words, 3) for _ in range(2_000)]
    pq.write_table(pa.table({"text": ["good film"] * 2_000, "tags": tags}), tmp_path / "in.parquet")

    scored, _, rejected = read_all(config(tmp_path / "in.parquet", kept=(Kept("tags", "tags"),)))

    assert [] == rejected
    assert tags == [row["tags"] for row in scored]


def test_stored_schema_that_cannot_be_read_is_ignored(tmp_path: Path, config: MakeConfig) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": ["good"], "k": pa.array([5], pa.duration("s"))}), path)
    data = path.read_bytes()
    at = data.index(b"ARROW:schema") + 40
    path.write_bytes(data[:at] + b"AAAAAAAA" + data[at + 8 :])

    scored, texts, rejected = read_all(config(path, kept=(Kept("k", "k"),)))

    assert ([], ["good"], [5]) == (rejected, texts, [row["k"] for row in scored])


def test_kept_column_that_older_files_lack_is_null_there_and_said(folder: Path, config: MakeConfig) -> None:
    pq.write_table(pa.table({"text": ["a", "b"]}), folder / "2023.parquet")
    pq.write_table(pa.table({"text": ["c"], "stars": [5], "more": [{"x": 1}]}), folder / "2024.parquet")
    (folder / "2025.csv").write_text("text,other\nd,1\n")
    settings = config(folder, kept=(Kept("stars", "stars"), Kept("more.x", "x")))

    scored, texts, rejected = read_all(settings)

    assert ([], ["a", "b", "c", "d"]) == (rejected, texts)
    assert [(None, None), (None, None), (5, 1), (None, None)] == [(row["stars"], row["x"]) for row in scored]
    assert (
        "the kept column 'stars' is missing in 2 of 3 files: null there",
        "the kept column 'more.x' is missing in 2 of 3 files: null there",
    ) == make_plan(settings, "model")[0].notices


def without_precision(data: bytes) -> bytes:
    """A decimal of 0 digits, which stands in the schema twice."""
    return data.replace(b"\x15\x4c\x2c\x5c\x15\x00\x15\x4c", b"\x15\x00\x2c\x5c\x15\x00\x15\x00")


def without_name(data: bytes) -> bytes:
    """A column whose name is not UTF-8."""
    return data.replace(b"decimal", b"decima\xff")


@pytest.mark.parametrize("store_schema", [True, False])
@pytest.mark.parametrize("text", ["text", "a.y"])
@pytest.mark.parametrize("damage", [without_precision, without_name])
def test_column_of_an_unknown_type_that_nobody_asked_for_does_no_harm(
    damage: Callable[[bytes], bytes], store_schema: bool, text: str, tmp_path: Path, config: MakeConfig
) -> None:
    path = tmp_path / "in.parquet"
    structs = [{"x": i, "y": f"film {i}"} for i in range(3)]
    columns = {
        "a": structs,
        "d": [decimal.Decimal(i) for i in range(3)],
        "text": ["x", "y", "z"],
        "k": [[1], None, [3]],
    }
    decimals = pa.array([decimal.Decimal(i) for i in range(3)], pa.decimal128(38, 0))
    table = pa.table({"first": [1, 2, 3], "decimal": decimals, **columns})
    pq.write_table(table, path, store_schema=store_schema, row_group_size=2)
    data = path.read_bytes()
    path.write_bytes(damage(data))
    with pytest.raises((pa.ArrowException, OSError, UnicodeDecodeError)):
        _ = pq.ParquetFile(path).schema_arrow

    scored, texts, rejected = read_all(config(path, text_column=text, kept=(Kept("k", "k"), Kept("a.x", "x"))))

    assert ([], ["x", "y", "z"] if text == "text" else ["film 0", "film 1", "film 2"]) == (rejected, texts)
    assert [([1], 0), (None, 1), ([3], 2)] == [(row["k"], row["x"]) for row in scored]
