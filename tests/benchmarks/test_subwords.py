"""The benchmark of models of pieces: both sides score the same reviews, and rates are of what they read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch_scorer.models import artifact
from benchmarks.job.reviews import Source
from benchmarks.subwords import __main__ as benchmark
from benchmarks.subwords.__main__ import SUBWORDS, WORDS, Measured, measure, save_model, summary

TEXTS = [f"A wonderful film, take {i}: 영화가 재미있다." for i in range(30)]


@pytest.mark.parametrize("subwords", [False, True])
def test_models_of_both_sides_are_of_the_same_sizes_and_read_the_texts(tmp_path: Path, subwords: bool) -> None:
    save_model(tmp_path / "model", TEXTS, subwords)
    model = artifact.load(str(tmp_path / "model"))
    assert (128, 128, 64) == (model.architecture.units, model.architecture.embedding_dim, model.tokenizer.max_windows)
    assert (SUBWORDS if subwords else WORDS) == model.manifest["tokenizer"].get("type", WORDS)
    ids = model.tokenizer.ids(model.tokenizer.words(TEXTS[3]))
    assert (ids[1:] > 2).all(), "nothing is unknown"


def test_sides_take_turns_and_rates_are_of_ids_and_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in.parquet")
    order = []

    def run(reviews: Path, model: Path, output: Path, workers: int) -> Measured:
        order.append(model.name)
        assert 40 == pq.read_metadata(reviews).num_rows
        stages = {"encode": 1.0, "score": 4.0} if model.name == WORDS else {"encode": 2.0, "score": 6.0}
        return Measured(1_000 if model.name == WORDS else 1_440, 9.0, stages)

    monkeypatch.setattr(benchmark, "run", run)
    results = measure(Source(str(tmp_path / "in.parquet")), 40, 2, 1)
    assert [WORDS, SUBWORDS, SUBWORDS, WORDS] == order
    said = summary(results)
    assert "words: 200 ids/s and process once started (200 to 200)" in said[0]
    assert "encode 1388.89, score 4166.67" in said[1]
    assert ["subwords / words: 0.90 (0.90 to 0.90)", "the texts have 1.44 times as many pieces as words"] == said[2:]


@pytest.mark.slow
def test_smallest_benchmark_scores_all_reviews_by_both(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": TEXTS}), tmp_path / "in.parquet")
    results = measure(Source(str(tmp_path / "in.parquet")), 30, 1, 1)
    assert 30 * 7 == results[WORDS][0].ids
    assert results[SUBWORDS][0].ids >= 30 * 7
