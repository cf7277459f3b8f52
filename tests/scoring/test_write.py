"""Write: parts that are there whole or not at all, and the same bytes whenever they hold the same rows."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer import schema
from batch_scorer.config import Kept, ScoreConfig
from batch_scorer.formats.arrow_sizes import table_bytes
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.scripts import COUNT
from batch_scorer.models.tokenizer import RESERVED, Tokenizer
from batch_scorer.models.windows import Windows
from batch_scorer.planning.plan import Plan, make_plan
from batch_scorer.runs.hashes import text_hashes
from batch_scorer.runs.layout import STAGING, Part
from batch_scorer.schema import ERRORS, TOKEN, Rejection, predictions_schema
from batch_scorer.scoring import write
from batch_scorer.scoring.encode import Encoded
from batch_scorer.scoring.explain import Explained
from batch_scorer.scoring.write import ShardWriter

TOKENS = [
    {"token": "good", "position": 1, "char_start": 2, "char_end": 6, "attention": 0.5, "contribution": 0.25},
    {"token": "film", "position": 2, "char_start": 7, "char_end": 11, "attention": 0.25, "contribution": -0.5},
]
REJECTION = Rejection("in.jsonl", 7, None, "no_words", "no word", "?!")
WHOLE_FILE = Rejection("bad.parquet", None, None, "unreadable", "cut off")


@pytest.fixture(scope="session")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of a run that keeps a column."""
    path = tmp_path_factory.mktemp("in") / "reviews.jsonl"
    path.write_text('{"text": "good film", "stars": 5}\n')
    job = ScoreConfig.of((str(path),), str(path.parent.parent / "out"), kept=(Kept("stars", "rating"),), run_id="run-1")
    return make_plan(job, "a" * 12)[0]


def predictions(plan: Plan, first: int, count: int) -> pa.Table:
    """Rows `first` to `first + count` of a part."""

    def row(i: int) -> dict[str, Any]:
        return {
            **{"record_id": f"r{i}", "source": "in.jsonl", "offset": i, "probability": 0.75, "logit": 1.5},
            **{"predicted_label": "positive", "n_tokens": 2, "n_tokens_used": 2, "truncated": False, "oov_rate": 0.0},
            **{"top_attended": TOKENS[: i % 3], "top_contributing": TOKENS, "rest_contribution": 0.125},
            **{"rating": i if i % 2 else None, "model_id": plan.model_id, "run_id": plan.run_id},
        }

    schema = predictions_schema(plan.fields.kept_schema, plan.run_id, plan.model_id)
    return pa.Table.from_pylist([row(i) for i in range(first, first + count)], schema)


def files(output: Path) -> list[str]:
    return sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())


def write_shard(output: Path, plan: Plan, sizes: list[int], rejections: list[Rejection]) -> tuple[Part, ...]:
    """Writes shard 3, in pieces of these sizes."""
    with ShardWriter(str(output), 3, plan) as writer:
        for place, size in enumerate(sizes):
            writer.add_predictions(predictions(plan, sum(sizes[:place]), size))
        writer.add_rejections(rejections)
        return writer.publish()


def test_published_parts_hold_the_rows_and_are_named_with_their_hash(tmp_path: Path, plan: Plan) -> None:
    parts = write_shard(tmp_path, plan, [2, 3], [REJECTION, WHOLE_FILE])

    assert [("predictions/part-00003.parquet", 5), ("errors/part-00003.parquet", 2)] == [
        (p.path, p.rows) for p in parts
    ]
    assert sorted(part.path for part in parts) == files(tmp_path)
    for part in parts:
        assert hashlib.sha256((tmp_path / part.path).read_bytes()).hexdigest() == part.sha256
    assert predictions(plan, 0, 5) == pq.read_table(tmp_path / parts[0].path)
    rejected = pq.read_table(tmp_path / parts[1].path).to_pylist()
    assert [("encode", "no_words", 7, "?!"), ("read", "unreadable", None, None)] == [
        (row["stage"], row["code"], row["offset"], row["excerpt"]) for row in rejected
    ]


@pytest.mark.parametrize("published", ["predictions", "errors"])
def test_part_without_rows_is_not_written(tmp_path: Path, plan: Plan, published: str) -> None:
    sizes, rejections = ([2], []) if published == "predictions" else ([0], [REJECTION])
    parts = write_shard(tmp_path, plan, sizes, rejections)
    assert [f"{published}/part-00003.parquet"] == [part.path for part in parts] == files(tmp_path)


def test_shard_without_any_rows_publishes_nothing(tmp_path: Path, plan: Plan) -> None:
    assert () == write_shard(tmp_path, plan, [], [])
    assert [] == files(tmp_path)


def test_body_that_raises_publishes_nothing_and_leaves_no_files(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 2)
    with pytest.raises(RuntimeError, match="power cut"), ShardWriter(str(tmp_path), 3, plan) as writer:
        writer.add_predictions(predictions(plan, 0, 5))
        writer.add_rejections([REJECTION] * 3)
        assert 2 == len(files(tmp_path)), "row groups were to be in private files by now"
        raise RuntimeError("power cut")

    assert [] == files(tmp_path)
    assert [] == list((tmp_path / STAGING).iterdir())


def test_nothing_is_visible_before_it_is_published(tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 2)
    with ShardWriter(str(tmp_path), 3, plan) as writer:
        writer.add_predictions(predictions(plan, 0, 5))
        assert {STAGING} == {name.split("/")[0] for name in files(tmp_path)}
    assert [] == files(tmp_path), "left without publish()"


def test_publishing_again_replaces_the_part_of_an_earlier_try(tmp_path: Path, plan: Plan) -> None:
    write_shard(tmp_path, plan, [2], [])
    write_shard(tmp_path, plan, [4], [])
    assert 4 == pq.read_metadata(tmp_path / "predictions/part-00003.parquet").num_rows


@settings(max_examples=25)  # each writes two parts
@given(sizes=st.lists(st.integers(0, 7), max_size=6), group=st.integers(1, 6))
def test_row_groups_and_bytes_do_not_depend_on_how_the_rows_came(
    tmp_path_factory: pytest.TempPathFactory, plan: Plan, sizes: list[int], group: int
) -> None:
    output = tmp_path_factory.mktemp("part")
    total = sum(sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_ROWS", group)
        parts = write_shard(output / "a", plan, sizes, [])
        again = write_shard(output / "b", plan, [total], [])

    assert again == parts
    assert bool(total) == bool(parts)
    for part in parts:
        metadata = pq.read_metadata(output / "a" / part.path)
        expected = [group] * (total // group) + [total % group] * bool(total % group)
        assert expected == [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


def test_rows_fill_row_groups_as_large_as_the_contract_says() -> None:
    assert (50_000, 128 << 20) == (write.ROW_GROUP_ROWS, write.ROW_GROUP_BYTES)


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(0, 7), max_size=6), limit=st.integers(1, 3_000))
def test_row_groups_end_by_bytes_too_however_the_rows_came(
    tmp_path_factory: pytest.TempPathFactory, plan: Plan, sizes: list[int], limit: int
) -> None:
    output = tmp_path_factory.mktemp("part")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "ROW_GROUP_BYTES", limit)
        parts = write_shard(output / "a", plan, sizes, [])
        again = write_shard(output / "b", plan, [sum(sizes)], [])

    assert again == parts
    expected: list[int] = []
    rows = table_bytes(predictions(plan, 0, sum(sizes))).tolist()
    while rows:
        full = next((i for i in range(1, len(rows)) if sum(rows[:i]) >= limit), len(rows))
        expected, rows = [*expected, full], rows[full:]
    found = [pq.read_metadata(output / "a" / part.path) for part in parts]
    assert expected == [m.row_group(i).num_rows for m in found for i in range(m.num_row_groups)]


def test_rows_that_wait_for_their_row_group_are_bounded_in_bytes(
    tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "ROW_GROUP_BYTES", 100_000)
    rows = predictions(plan, 0, 1).set_column(0, predictions(plan, 0, 1).field(0), [["x" * 60_000]])
    before = pa.total_allocated_bytes()
    with ShardWriter(str(tmp_path), 3, plan) as writer:
        for _ in range(100):
            writer.add_predictions(rows)
        assert pa.total_allocated_bytes() - before < 3_000_000
        writer.publish()


@pytest.mark.parametrize("index", [0, 1])
def test_part_is_zstd_and_stamped_with_run_model_and_version_and_no_time(
    tmp_path: Path, plan: Plan, index: int
) -> None:
    part = write_shard(tmp_path, plan, [3], [REJECTION])[index]
    metadata = pq.read_metadata(tmp_path / part.path)
    group = metadata.row_group(0)

    assert {"ZSTD"} == {group.column(i).compression for i in range(group.num_columns)}
    stamp = {b"run_id": b"run-1", b"model_id": b"a" * 12, b"schema_version": b"1"}
    assert stamp == {key: value for key, value in metadata.metadata.items() if key != b"ARROW:schema"}


def test_schema_in_the_file_is_the_contract(tmp_path: Path, plan: Plan) -> None:
    ours, errors = write_shard(tmp_path, plan, [3], [REJECTION])
    found = pq.read_schema(tmp_path / ours.path)

    assert predictions_schema(pa.schema([pa.field("rating", pa.int64())]), "run-1", "a" * 12).equals(found)
    assert ERRORS.equals(pq.read_schema(tmp_path / errors.path))
    for name in ("top_attended", "top_contributing"):
        assert pa.field("element", TOKEN, nullable=False) == found.field(name).type.value_field
    paths = pq.ParquetFile(tmp_path / ours.path).schema
    assert "top_attended.list.element.token" in {paths.column(i).path for i in range(len(paths))}


def test_kept_column_may_hold_nulls_and_ours_may_not(tmp_path: Path, plan: Plan) -> None:
    part, *_ = write_shard(tmp_path, plan, [4], [])
    table = pq.read_table(tmp_path / part.path)
    assert [None, 1, None, 3] == table["rating"].to_pylist()
    assert ["rating"] == [field.name for field in table.schema if field.nullable]


def test_text_that_utf8_cannot_hold_is_replaced_in_an_errors_part(tmp_path: Path, plan: Plan) -> None:
    write_shard(tmp_path, plan, [], [Rejection("bad\udcff.txt", 0, "\ud800", "lone_surrogate", "\udfff", "x" * 900)])
    (row,) = pq.read_table(tmp_path / "errors/part-00003.parquet").to_pylist()
    found = (row["source"], row["record_id"], row["message"], row["excerpt"])
    assert ("bad\ufffd.txt", "\ufffd", "\ufffd", "x" * 200) == found


def explained(logits: list[float], n_tokens: list[int], used: list[int], unknown: list[int]) -> Explained:
    """Reviews as they were scored; no words are listed."""
    count = len(logits)
    reviews = pa.table(
        {
            "record_id": list("abc")[:count],
            "source": ["f"] * count,
            "offset": range(count),
            "rating": [5, None, 1][:count],
        }
    )
    ids = [np.ones(n + 1, np.int32) for n in used]
    windows = Windows([*ids], np.arange(count), np.array(used, np.int64), count)
    counts = (np.array(numbers, np.int32) for numbers in (n_tokens, used, used, unknown, [[0] * COUNT] * count))
    lists = pa.array([[]] * count, schema.TOKENS)
    zeros = np.zeros(count, np.float32)
    encoded = Encoded(reviews, ["text"] * count, windows, Tokenizer(RESERVED), [None] * count, *counts, [])
    return Explained(encoded, np.array(logits, np.float32), lists, lists, zeros, [])


def test_predictions_are_the_scored_reviews_labelled_by_the_threshold(plan: Plan, tiny: Artifact) -> None:
    artifact = dataclasses.replace(tiny, manifest={**tiny.manifest, "threshold": 0.5})
    reviews = explained([0.0, 9.0, -0.001], [4, 1, 30], [4, 1, 19], [1, 0, 19])

    rows = write.predictions(reviews, plan, artifact).to_pylist()

    assert [("a", 0, 5), ("b", 1, None), ("c", 2, 1)] == [
        (row["record_id"], row["offset"], row["rating"]) for row in rows
    ]
    assert ["positive", "positive", "negative"] == [row["predicted_label"] for row in rows]
    assert [(4, 4, False, 0.25), (1, 1, False, 0.0), (30, 19, True, 1.0)] == [
        (row["n_tokens"], row["n_tokens_used"], row["truncated"], row["oov_rate"]) for row in rows
    ]
    assert 0.5 == rows[0]["probability"]
    assert rows[2]["probability"] == pytest.approx(1 / (1 + math.exp(0.001 / 1.3)), abs=1e-6)
    assert [[], [], []] == [row["top_attended"] for row in rows]


@pytest.mark.parametrize(("threshold", "label"), [(0.9, "negative"), (float(np.float32(0.9)), "positive")])
def test_threshold_is_compared_as_a_reader_of_the_file_would(
    plan: Plan, tiny: Artifact, threshold: float, label: str
) -> None:
    artifact = dataclasses.replace(tiny, manifest={**tiny.manifest, "threshold": threshold})
    review = explained([tiny.temperature * np.log(9)], [1], [1], [1])  # P = 0.9, which float32 holds as 0.89999998

    (row,) = write.predictions(review, plan, artifact).to_pylist()
    assert (float(np.float32(0.9)), label) == (row["probability"], row["predicted_label"])


def test_predictions_of_a_model_with_a_calibration_have_the_temperature_of_each_row(
    plan: Plan, tiny_2: Artifact
) -> None:
    reviews = explained([1.0, 1.0, -2.0], [2, 5, 40], [2, 5, 28], [0, 5, 7])
    table = write.predictions(reviews, plan, tiny_2)
    after = table.column_names[table.column_names.index("rest_contribution") + 1 :]
    assert ["rating", "temperature", "text_hash", "model_id", "run_id"] == after
    assert text_hashes(reviews.encoded.texts).tolist() == table["text_hash"].to_pylist()
    assert b"5" == table.schema.metadata[b"schema_version"]
    temperatures = np.array([2.5, 1.9, 1.1], np.float32)
    assert temperatures.tolist() == table["temperature"].to_pylist()
    expected = 1 / (1 + np.exp(-np.array([1.0, 1.0, -2.0]) / temperatures.astype(np.float64)))
    np.testing.assert_allclose(expected, table["probability"].to_numpy(), rtol=1e-6)


def test_both_parts_of_a_shard_say_the_version_of_their_columns(tmp_path: Path, plan: Plan) -> None:
    with ShardWriter(str(tmp_path), 3, plan, ("temperature",)) as writer:
        writer.add_rejections([REJECTION])
        kept = plan.fields.kept_schema
        writer.add_predictions(predictions_schema(kept, "run-1", "a" * 12, ("temperature",)).empty_table())
        (part,) = writer.publish()
    assert b"2" == pq.read_metadata(tmp_path / part.path).metadata[b"schema_version"]
