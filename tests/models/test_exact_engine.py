"""The engine in NumPy against that of the job, and against what it is: the network written out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from batch_scorer.models.artifact import SHIPPED, Artifact, load
from batch_scorer.models.engine import load_engine
from batch_scorer.models.exact_engine import ExactEngine
from batch_scorer.models.network import forward
from batch_scorer.scoring.chunk import Scorer, score_chunk
from batch_scorer.scoring.read import read_texts
from tests.conftest import REVIEWS, TINY, random_tensors

LOGIT = 1e-5  # what the help of `explain` promises


@pytest.mark.parametrize(("masked", "activation"), [(True, "sigmoid"), (False, "relu")])
def test_scores_are_those_of_the_network_written_out(masked: bool, activation: str) -> None:
    architecture = dataclasses.replace(TINY, masked=masked, recurrent_activation=activation)
    model = Artifact("0" * 12, {"architecture": architecture.to_json()}, (), random_tensors(architecture, seed=1))
    engine, ids = ExactEngine(model), np.array([1, 4, 2, 7], np.int32)
    scores, expected = engine.run([ids]), forward(model.tensors, architecture, ids)
    positions = len(ids) if masked else architecture.max_length
    assert (1, (positions, 1)) == (engine.batch_size, scores.attention.shape)
    assert expected.attention.tolist() == scores.attention[:, 0].tolist()
    assert expected.contribution.tolist() == scores.contribution[:, 0].tolist()
    assert [expected.logit] == scores.logit.tolist()
    assert scores.logit[0] == pytest.approx(engine.bias + scores.contribution.sum(), abs=1e-12)


def test_rows_are_close_to_those_of_a_job(tiny: Artifact) -> None:
    (chunk,) = read_texts([text for _, text in REVIEWS])
    engines = (ExactEngine(tiny), load_engine(tiny))
    exact, job = (piece for engine in engines for piece in score_chunk(chunk, Scorer(tiny, engine), 20))
    np.testing.assert_allclose(exact.logit, job.logit, rtol=0, atol=LOGIT)
    for ours, theirs in zip(exact.top_attended.to_pylist(), job.top_attended.to_pylist(), strict=True):
        attention = {word["position"]: word["attention"] for word in theirs}
        assert attention == pytest.approx({word["position"]: word["attention"] for word in ours}, abs=1e-6)


def test_shipped_model_keeps_what_the_docs_promise_on_100_real_reviews(imdb: str) -> None:
    import pyarrow.parquet as pq

    model = load(SHIPPED)
    (chunk,) = read_texts(pq.read_table(f"{imdb}/imdb_test_open.parquet", columns=["text"])["text"].to_pylist()[:100])
    engines = (ExactEngine(model), load_engine(model))
    exact, job = (piece for engine in engines for piece in score_chunk(chunk, Scorer(model, engine), 10))
    apart = np.abs(exact.logit.astype(np.float64) - job.logit)
    print(f"float64 against the job on {len(apart)} reviews: logit {apart.max():.1e}")
    assert 100 == len(apart)
    assert apart.max() < LOGIT
    for name in ("top_attended", "top_contributing"):
        listed = [[[w["token"] for w in row] for row in getattr(x, name).to_pylist()] for x in (exact, job)]
        assert listed[0] == listed[1]
