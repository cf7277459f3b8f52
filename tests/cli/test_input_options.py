"""What the options of inputs do: nested columns, columns in paths, encodings, delimiters, limits, repeated ids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from tests.jobs import rows, score_here

Config = Callable[..., ScoreConfig]

NESTED = [
    {"review": {"body": "a good film", "by": {"name": "ann"}}, "n": 1},
    {"review": {"body": None, "by": {"name": "bob"}}, "n": 2},
    {"review": None, "n": 3},
    {"review": {"body": "a bad film", "by": None}, "n": 4},
]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_nested_columns_are_read_by_their_path(form: str, tmp_path: Path, config: Config) -> None:
    path = tmp_path / f"nested.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(NESTED), path)
    else:
        path.write_text("".join(json.dumps(record) + "\n" for record in NESTED))
    kept = (Kept("review.by.name", "author"),)
    job = config(path, text_column="review.body", id_column="n", kept=kept, max_error_rate=1)
    score_here(job)
    assert [("1", "ann"), ("4", None)] == [(row["record_id"], row["author"]) for row in rows(job.output.directory)]
    assert ["2", "3"] == [row["record_id"] for row in rows(job.output.directory, "errors")]


def test_columns_in_the_path_are_kept_with_the_type_of_all_their_values(tmp_path: Path, config: Config) -> None:
    for folder in ("year=2024/site=a%20b", "year=2025/site=7", "year=2026/site=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        pq.write_table(pa.table({"text": ["a film"]}), tmp_path / "in" / folder / "x.parquet")
        (tmp_path / "in" / folder / "y.txt").write_text("a letter")
    job = config(tmp_path / "in", kept=(Kept("site", "site"), Kept("year", "year")))
    score_here(job)
    expected = [("a b", 2024)] * 2 + [("7", 2025)] * 2 + [(None, 2026)] * 2
    assert expected == [(row["site"], row["year"]) for row in rows(job.output.directory)]


def test_column_in_the_file_goes_before_one_in_the_path(tmp_path: Path, config: Config) -> None:
    (tmp_path / "site=path").mkdir()
    pq.write_table(pa.table({"text": ["a film"], "site": ["file"]}), tmp_path / "site=path/x.parquet")
    job = config(tmp_path / "site=path", kept=(Kept("site", "site"),))
    score_here(job)
    assert ["file"] == [row["site"] for row in rows(job.output.directory)]


@pytest.mark.parametrize(
    ("name", "data", "changes"),
    [
        ("x.csv", "text\ncafé\nnaïve\n".encode("latin-1"), {"encoding": "latin-1"}),
        ("x.csv", b"id;text;x\n1;caf\xc3\xa9;2\n2;na\xc3\xafve;3\n", {"delimiter": ";"}),
        ("x.log", "café\r\nnaïve\n".encode("cp1252"), {"encoding": "cp1252", "input_format": "lines"}),
        ("x.csv", "text\ncafé\nnaïve\n".encode("gb18030"), {"encoding": "gb18030"}),
    ],
)
def test_encoding_and_delimiter_are_honoured(
    name: str, data: bytes, changes: dict[str, Any], tmp_path: Path, config: Config
) -> None:
    (tmp_path / name).write_bytes(data)
    job = config(tmp_path / name, **changes)
    score_here(job)
    assert ["café", "naïve"] == [row["top_attended"][0]["token"] for row in rows(job.output.directory)]


def test_bytes_outside_the_encoding_are_rejected_alone(tmp_path: Path, config: Config) -> None:
    (tmp_path / "x.csv").write_bytes(b"text\ngood\ncaf\xe9\nbad\n")
    job = config(tmp_path / "x.csv", encoding="ascii", max_error_rate=1)
    score_here(job)
    assert [0, 2] == [row["offset"] for row in rows(job.output.directory)]
    assert [(1, "invalid_utf8")] == [(row["offset"], row["code"]) for row in rows(job.output.directory, "errors")]


@pytest.fixture
def hundred(tmp_path: Path) -> Path:
    """A directory with 20 reviews in each of five forms, numbered from 0 in the order of the names."""
    folder = tmp_path / "hundred"
    (folder / "4").mkdir(parents=True)
    texts = [f"film number {i}" for i in range(100)]
    pq.write_table(pa.table({"text": texts[:20]}), folder / "0.parquet", row_group_size=6)
    (folder / "1.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts[20:40]))
    (folder / "2.csv").write_text("text\n" + "".join(f"{t}\n" for t in texts[40:60]))
    (folder / "3.parquet").write_bytes(b"no Parquet")
    for i in range(60, 100):
        (folder / "4" / f"{i}.txt").write_text(texts[i])
    return folder


@pytest.mark.parametrize("limit", [1, 7, 20, 33, 40, 51, 77, 100, 1_000])
@pytest.mark.parametrize("shard_rows", [None, 4])
def test_limit_scores_exactly_the_first_records(
    limit: int, shard_rows: int | None, hundred: Path, config: Config
) -> None:
    job = config(hundred, limit=limit, shard_rows=shard_rows, allow_unreadable=True)
    manifest = score_here(job)
    assert min(limit, 100) == manifest["counts"]["read"]
    # The number is the last word: position 2.
    found = [
        token["token"] for row in rows(job.output.directory) for token in row["top_attended"] if token["position"] == 2
    ]
    assert [str(i) for i in range(min(limit, 100))] == found


def test_repeated_ids_are_counted_in_a_notice(tmp_path: Path, config: Config) -> None:
    pq.write_table(pa.table({"id": [7, 7, 8, 9, 7], "text": ["a film"] * 5}), tmp_path / "x.parquet")
    job = config(tmp_path / "x.parquet", id_column="id", shard_rows=2)
    (notice,) = score_here(job)["notices"]
    assert notice.startswith("2 reviews have the same id (column 'id')")


def test_other_language_and_script_are_warned_of(tmp_path: Path, config: Config, tiny_model: Path) -> None:
    (tmp_path / "x.txt").write_text("ein ganz schlechter film ohne handlung")
    found = score_here(config(tmp_path / "x.txt"))["warnings"]
    assert [True] == [warning.startswith("83% of the words are unknown") for warning in found]
    (tmp_path / "y.txt").write_text("a good film, очень хороший film")
    found = score_here(config(tmp_path / "y.txt", output=str(tmp_path / "other")))["warnings"]
    assert ["33% of the words are unknown", "33% of the words are in a script other"] == [
        warning.split(" to the model")[0].split(" than Latin")[0] for warning in found
    ]
