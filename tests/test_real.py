"""The shipped model on real reviews, through the whole job: accuracy, and the same scores from every form."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.config import Kept, ScoreConfig
from tests.jobs import rows, score_here

REVIEWS = 5_000
Write = Callable[[dict[str, str], Path], Path]


@pytest.fixture(scope="module")
def job(imdb: Path, tmp_path_factory: pytest.TempPathFactory) -> ScoreConfig:
    """The open test reviews, scored from Parquet by two workers."""
    config = ScoreConfig.of(
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
    return {row["record_id"]: row["logit"] for row in rows(job.output.directory)}


@pytest.fixture(scope="module")
def texts(imdb: Path) -> dict[str, str]:
    """Text by review id."""
    table = pq.read_table(imdb / "imdb_test_open.parquet", columns=["review_id", "text"])
    return dict(zip(table["review_id"].to_pylist(), table["text"].to_pylist(), strict=True))


def agree(expected: dict[str, float], found: dict[str, float]) -> None:
    assert list(expected) == list(found)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=0, atol=1e-5)


def test_accuracy_on_real_reviews_is_at_least_0_917(job: ScoreConfig) -> None:
    right = [(row["predicted_label"] == "positive") == (row["true_label"] == 1) for row in rows(job.output.directory)]
    print(f"accuracy {np.mean(right):.4f} on {len(right)} reviews")
    assert np.mean(right) >= 0.917


def test_rows_add_up_and_tokens_slice_back(job: ScoreConfig, texts: dict[str, str]) -> None:
    bias = json.loads((Path(job.output.directory) / "manifest.json").read_text())["bias"]
    for row in rows(job.output.directory):
        total = bias + sum(t["contribution"] for t in row["top_contributing"]) + row["rest_contribution"]
        assert row["logit"] == pytest.approx(total, abs=1e-4)
        text = texts[row["record_id"]]
        for t in (*row["top_attended"], *row["top_contributing"]):
            assert t["token"] == text[t["char_start"] : t["char_end"]].lower()


@pytest.mark.parametrize(("workers", "shard_rows"), [(1, None), (2, 777)])
def test_workers_and_shards_change_no_logit(
    job: ScoreConfig, logits: dict[str, float], tmp_path: Path, workers: int, shard_rows: int | None
) -> None:
    other = job.with_options(output=str(tmp_path / "out"), workers=workers, shard_rows=shard_rows)
    score_here(other)
    agree(logits, {row["record_id"]: row["logit"] for row in rows(other.output.directory)})


def write_jsonl(texts: dict[str, str], folder: Path) -> Path:
    lines = [json.dumps({"review_id": name, "text": text}, ensure_ascii=False) + "\n" for name, text in texts.items()]
    (folder / "reviews.jsonl").write_bytes("".join(lines).encode())
    return folder / "reviews.jsonl"


def write_csv(texts: dict[str, str], folder: Path, ending: str = "csv") -> Path:
    """With line ends in quotes: every `<br />` of a review becomes one behind it."""
    path = folder / f"reviews.{ending}"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if ending == "tsv" else ",")
        writer.writerow(["stars", "review_id", "text"])
        writer.writerows([5, name, text.replace("<br />", "<br />\n")] for name, text in texts.items())
    return path


def write_tsv(texts: dict[str, str], folder: Path) -> Path:
    return write_csv(texts, folder, "tsv")


def gzipped(write: Write) -> Write:
    def write_gzipped(texts: dict[str, str], folder: Path) -> Path:
        path = write(texts, folder)
        with gzip.open(f"{path}.gz", "wb", compresslevel=1) as file:
            file.write(path.read_bytes())
        return Path(f"{path}.gz")

    write_gzipped.__name__ = f"{write.__name__}_gzipped"
    return write_gzipped


def write_hive(texts: dict[str, str], folder: Path) -> Path:
    """Seven directories `part=0/` to `part=6/`, in the order of the reviews."""
    table = pa.table({"review_id": list(texts), "text": list(texts.values())})
    size = -(-len(texts) // 7)
    for i in range(7):
        (folder / "hive" / f"part={i}").mkdir(parents=True)
        pq.write_table(
            table.slice(i * size, size), folder / "hive" / f"part={i}" / "reviews.parquet", row_group_size=300
        )
    return folder / "hive"


@pytest.mark.parametrize(
    "write",
    [write_jsonl, write_tsv, gzipped(write_csv), write_hive],
    ids=lambda write: write.__name__,
)
def test_other_form_gives_the_logits_of_parquet(
    write: Write, job: ScoreConfig, logits: dict[str, float], texts: dict[str, str], tmp_path: Path
) -> None:
    path = write(texts, tmp_path)
    kept = (Kept("part", "part"),) if path.is_dir() else ()
    other = job.with_options(inputs=(str(path),), kept=kept, workers=1, output=str(tmp_path / "out"))
    score_here(other)
    found = rows(other.output.directory)
    agree(logits, {row["record_id"]: row["logit"] for row in found})
    if kept:
        assert [i // 715 for i in range(REVIEWS)] == [row["part"] for row in found]


@pytest.mark.parametrize("form", ["files", "lines"])
def test_form_without_columns_gives_the_logits_of_parquet(
    form: str, job: ScoreConfig, logits: dict[str, float], texts: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    if form == "files":
        for i, text in enumerate(texts.values()):
            (tmp_path / "in" / f"{i:05d}.txt").write_bytes(text.encode())
    else:
        flat = (text.replace("\n", " ").rstrip("\r") for text in texts.values())
        (tmp_path / "in" / "reviews.txt").write_bytes("\n".join(flat).encode())
    other = job.with_options(
        inputs=(str(tmp_path / "in"),),
        input_format=form,
        id_column=None,
        kept=(),
        workers=1,
        output=str(tmp_path / "out"),
    )
    score_here(other)
    agree(logits, dict(zip(texts, (row["logit"] for row in rows(other.output.directory)), strict=True)))
