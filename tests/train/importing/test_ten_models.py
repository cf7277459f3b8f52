"""Ten models of public shapes, trained in plain Keras: 500 real reviews each through the job, against `predict`."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from batch_scorer.config import ScoreConfig
from tests.engines import tensorflow_engines
from tests.jobs import rows, score_here

REVIEWS = 500
UNITS = {
    "notebook": 128,
    "GRU with query": 64,
    "cell state as query": 24,
    "word attention that ignores the mask": 32,
    "word attention with a mask": 16,
    "one column, post padding": 64,
    "spelt out": 32,
    "spelt out with query": 256,
    "end to end": 64,
    "vocabulary beside it": 48,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", UNITS)
def test_public_model_scores_500_reviews_as_keras_does(name: str, imdb: Path, tmp_path: Path) -> None:
    import keras
    import pyarrow.parquet as pq

    from tests.train.importing.public_models import Sizes, Words, predicted, public_models, save, write_expected
    from train.cli import main

    table = pq.read_table(imdb / "imdb_test_open.parquet", columns=["text", "label"])
    texts, labels = table["text"].to_pylist(), table["label"].to_numpy().astype(np.float32)
    training, held_out = slice(REVIEWS, REVIEWS + 200), texts[:REVIEWS]
    pq.write_table(table.select(["text"]).slice(0, REVIEWS), tmp_path / "reviews.parquet")
    models, units = public_models(Words(texts[training])), UNITS[name]
    assert UNITS.keys() == models.keys()
    public, sizes = models[name], Sizes(words=4_000, length=100, values=24, units=units, attention=min(units, 64))
    keras.utils.set_random_seed(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = public.build(sizes)
        loss = "sparse_categorical_crossentropy" if model.output_shape[-1] == 2 else "binary_crossentropy"
        model.compile(keras.optimizers.Adam(1e-2, clipnorm=1.0), loss)
        model.fit(public.ids(texts[training], sizes), labels[training], batch_size=16, epochs=1, verbose=0)
        arguments = save(public, model, sizes, tmp_path / "keras")
        expected = predicted(public, model, held_out, sizes)
    if public.is_open:
        arguments += ["--expected", write_expected(tmp_path / "expected.csv", held_out[:6], expected[:6])]
    result = CliRunner().invoke(main, ["import", *arguments, "--output", str(tmp_path / "model")])
    assert 0 == result.exit_code, result.output
    config = ScoreConfig.of(
        inputs=(str(tmp_path / "reviews.parquet"),),
        output=str(tmp_path / "out"),
        model=str(tmp_path / "model"),
        workers=1,
        top_k=5,
    )
    with tensorflow_engines():
        manifest = score_here(config)
    scored = rows(tmp_path / "out")
    assert REVIEWS == len(scored)
    off = np.abs(np.array([row["probability"] for row in scored]) - expected).max()
    sums = [
        manifest["bias"] + sum(w["contribution"] for w in row["top_contributing"]) + row["rest_contribution"]
        for row in scored
    ]
    apart = np.abs(np.array(sums) - [row["logit"] for row in scored]).max()
    print(f"{name}: {units} units, probability {off:.1e}, sum {apart:.1e}, spread {expected.std():.3f}", flush=True)
    assert expected.std() > 1e-3  # it has learnt to tell reviews apart
    assert off <= 1e-5
    assert apart <= 1e-5
