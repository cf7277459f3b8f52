"""The shipped model on real reviews, through the whole job: accuracy, and the same scores from every form."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to

from batch_scorer import ScoreTexts, load_model
from batch_scorer.config import Kept, ScoreConfig
from tests.jobs import rows, score_here
from tests.processes import GUARD_S, running

REVIEWS, SOME = 2_000, 500
Write = Callable[[dict[str, str], Path], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def job(imdb: Path, folder: Path) -> ScoreConfig:
    """Open test reviews, scored from Parquet by two workers of a command with a debug log, all of it kept."""
    source, output = imdb / "imdb_test_open.parquet", folder / "parquet"
    options = ("--output", output, "--id-column", "review_id", "--keep", "label=true_label", "--workers", 2,
               "--limit", REVIEWS)  # fmt: skip
    logging = ("--log-file", folder / "log", "--worker-timeout", GUARD_S)
    command = [sys.executable, "-m", "batch_scorer", "score", *map(str, (source, *options, *logging))]
    with (folder / "said").open("wb") as said, running(command, stdout=said, stderr=said) as process:
        code = process.wait(GUARD_S)
    assert 0 == code, (folder / "said").read_text()
    counts = json.loads((output / "manifest.json").read_text())["counts"]
    assert {"read": REVIEWS, "scored": REVIEWS, "rejected": 0, "unreadable": 0, "empty": 0} == counts
    kept = (Kept("label", "true_label"),)
    return ScoreConfig.of(inputs=(str(source),), output=str(output), id_column="review_id", kept=kept)


@pytest.fixture(scope="module")
def texts(imdb: Path) -> dict[str, str]:
    """Text by review id."""
    table = pq.read_table(imdb / "imdb_test_open.parquet", columns=["review_id", "text"])
    return dict(zip(table["review_id"].to_pylist()[:REVIEWS], table["text"].to_pylist()[:REVIEWS], strict=True))


@pytest.fixture(scope="module")
def some(texts: dict[str, str]) -> dict[str, str]:
    """The first texts, by review id: enough to see that another way gives the same."""
    return dict(itertools.islice(texts.items(), SOME))


@pytest.fixture(scope="module")
def logits(job: ScoreConfig) -> dict[str, float]:
    """Logit of those, by review id."""
    return {row["record_id"]: row["logit"] for row in rows(job.output.directory)[:SOME]}


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


def test_debug_log_over_real_reviews_holds_none_of_their_sentences(
    job: ScoreConfig, folder: Path, texts: dict[str, str]
) -> None:
    shown = " ".join(((folder / "log").read_text() + (folder / "said").read_text()).split())
    sentences = {" ".join(s.split()) for text in texts.values() for s in re.split(r"[.!?]|<br />", text)}
    sentences = {sentence for sentence in sentences if len(sentence) >= 20}
    assert REVIEWS == len(texts) and 16_000 < len(sentences) and 5_000 < len(shown)
    assert [] == [sentence for sentence in sentences if sentence in shown]


def test_workers_and_shards_change_no_logit(job: ScoreConfig, logits: dict[str, float], tmp_path: Path) -> None:
    other = job.with_options(output=str(tmp_path / "out"), workers=1, shard_rows=77, limit=SOME)
    score_here(other)
    agree(logits, {row["record_id"]: row["logit"] for row in rows(other.output.directory)})


def test_python_and_a_pipeline_give_the_rows_of_a_job_to_the_last_bit(
    job: ScoreConfig, some: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")  # as it is outside of tests
    of_files = ("record_id", "source", "offset", "run_id", "text_hash", "true_label")
    expected = [{k: v for k, v in row.items() if k not in of_files} for row in rows(job.output.directory)[:SOME]]

    with closing(load_model()) as model:
        assert expected == model.score(some.values()).drop_columns("error").to_pylist()

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        scored, _ = pipeline | beam.Create(some.items()) | ScoreTexts()
        assert_that(scored, equal_to([*zip(some, expected, strict=True)]))


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
            table.slice(i * size, size), folder / "hive" / f"part={i}" / "reviews.parquet", row_group_size=30
        )
    return folder / "hive"


@pytest.mark.parametrize(
    "write",
    [write_jsonl, write_tsv, gzipped(write_csv), write_hive],
    ids=lambda write: write.__name__,
)
def test_other_form_gives_the_logits_of_parquet(
    write: Write, job: ScoreConfig, logits: dict[str, float], some: dict[str, str], tmp_path: Path
) -> None:
    path = write(some, tmp_path)
    kept = (Kept("part", "part"),) if path.is_dir() else ()
    other = job.with_options(inputs=(str(path),), kept=kept, workers=1, output=str(tmp_path / "out"))
    score_here(other)
    found = rows(other.output.directory)
    agree(logits, {row["record_id"]: row["logit"] for row in found})
    if kept:
        assert [i // -(-SOME // 7) for i in range(SOME)] == [row["part"] for row in found]


@pytest.mark.parametrize("form", ["files", "lines"])
def test_form_without_columns_gives_the_logits_of_parquet(
    form: str, job: ScoreConfig, logits: dict[str, float], some: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    if form == "files":
        for i, text in enumerate(some.values()):
            (tmp_path / "in" / f"{i:05d}.txt").write_bytes(text.encode())
    else:
        flat = (text.replace("\n", " ").rstrip("\r") for text in some.values())
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
    agree(logits, dict(zip(some, (row["logit"] for row in rows(other.output.directory)), strict=True)))
