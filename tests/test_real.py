"""The shipped model on real reviews, through the whole job: accuracy, and the same scores from every form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from tests.jobs import rows, score_here

REVIEWS = 5_000


@pytest.fixture(scope="module")
def job(imdb: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoreConfig:
    """The open test reviews, scored from Parquet by two workers."""
    config = ScoreConfig(
        inputs=(str(imdb / "imdb_test_open.parquet"),),
        output=str(tmp_path_factory.mktemp("real") / "parquet"),
        id_column="review_id",
        kept=(Kept("label", "true_label"),),
        workers=2,
    )
    manifest = score_here(config)
    assert {"read": REVIEWS, "scored": REVIEWS, "rejected": 0, "unreadable": 0} == manifest["counts"]
    return config


@pytest.fixture(scope="module")
def logits(job: ScoreConfig) -> dict[str, float]:
    """Logit by review id."""
    return {row["record_id"]: row["logit"] for row in rows(job.output)}


@pytest.fixture(scope="module")
def texts(imdb: Path) -> dict[str, str]:
    """Text by review id."""
    table = pq.read_table(imdb / "imdb_test_open.parquet", columns=["review_id", "text"])
    return dict(zip(table["review_id"].to_pylist(), table["text"].to_pylist(), strict=True))


def agree(expected: dict[str, float], found: dict[str, float]) -> None:
    assert list(expected) == list(found)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=0, atol=1e-5)


def test_accuracy_on_real_reviews_is_at_least_0_895(job: ScoreConfig) -> None:
    right = [(row["predicted_label"] == "positive") == (row["true_label"] == 1) for row in rows(job.output)]
    print(f"accuracy {np.mean(right):.4f} on {len(right)} reviews")
    assert np.mean(right) >= 0.895


def test_rows_add_up_and_tokens_slice_back(job: ScoreConfig, texts: dict[str, str]) -> None:
    bias = json.loads((Path(job.output) / "manifest.json").read_text())["bias"]
    for row in rows(job.output):
        total = bias + sum(t["contribution"] for t in row["top_contributing"]) + row["rest_contribution"]
        assert row["logit"] == pytest.approx(total, abs=1e-4)
        text = texts[row["record_id"]]
        for t in (*row["top_attended"], *row["top_contributing"]):
            assert t["token"] == text[t["char_start"] : t["char_end"]].lower()


@pytest.mark.parametrize(("workers", "shard_rows"), [(1, None), (2, 777)])
def test_workers_and_shards_change_no_logit(
    job: ScoreConfig, logits: dict[str, float], tmp_path: Path, workers: int, shard_rows: int | None
) -> None:
    other = dataclasses.replace(job, output=str(tmp_path / "out"), workers=workers, shard_rows=shard_rows)
    score_here(other)
    agree(logits, {row["record_id"]: row["logit"] for row in rows(other.output)})


def test_json_lines_give_the_logits_of_parquet(
    job: ScoreConfig, logits: dict[str, float], texts: dict[str, str], jsonl_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = jsonl_file(*({"review_id": name, "text": text} for name, text in texts.items()))
    other = dataclasses.replace(job, inputs=(str(path),), kept=(), output=str(tmp_path / "out"))
    score_here(other)
    agree(logits, {row["record_id"]: row["logit"] for row in rows(other.output)})


def test_one_review_files_give_the_logits_of_parquet(
    job: ScoreConfig, logits: dict[str, float], texts: dict[str, str], tmp_path: Path
) -> None:
    names = {f"{i:05d}": name for i, name in enumerate(texts)}
    (tmp_path / "files").mkdir()
    for stem, name in names.items():
        (tmp_path / "files" / f"{stem}.txt").write_bytes(texts[name].encode())
    other = dataclasses.replace(
        job, inputs=(str(tmp_path / "files"),), id_column=None, kept=(), output=str(tmp_path / "out")
    )
    score_here(other)
    agree(logits, {names[Path(row["source"]).stem]: row["logit"] for row in rows(other.output)})
