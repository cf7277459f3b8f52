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
UNITS = (128, 64, 24, 32, 16, 64, 32, 256, 64, 48)


@pytest.mark.slow
def test_ten_public_models_score_500_reviews_as_keras_does(imdb: Path, tmp_path: Path) -> None:
    import keras
    import pyarrow.parquet as pq

    from tests.train.importing.public_models import Sizes, Words, predicted, public_models, save, write_expected
    from train.cli import main

    table = pq.read_table(imdb / "imdb_test_open.parquet", columns=["text", "label"])
    texts, labels = table["text"].to_pylist(), table["label"].to_numpy().astype(np.float32)
    training, held_out = slice(REVIEWS, REVIEWS + 300), texts[:REVIEWS]
    pq.write_table(table.select(["text"]).slice(0, REVIEWS), tmp_path / "reviews.parquet")
    models = public_models(Words(texts[training]))
    worst: dict[str, tuple[float, float]] = {}
    for units, (name, public) in zip(UNITS, models.items(), strict=True):
        keras.utils.set_random_seed(3)
        sizes = Sizes(words=4_000, length=120, values=32, units=units, attention=min(units, 64))
        folder = tmp_path / name.replace(" ", "_")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = public.build(sizes)
            loss = "sparse_categorical_crossentropy" if model.output_shape[-1] == 2 else "binary_crossentropy"
            model.compile(keras.optimizers.Adam(5e-3, clipnorm=1.0), loss)
            model.fit(public.ids(texts[training], sizes), labels[training], batch_size=16, epochs=2, verbose=0)
            arguments = save(public, model, sizes, folder)
            expected = predicted(public, model, held_out, sizes)
        if public.is_open:
            arguments += ["--expected", write_expected(folder / "expected.csv", held_out[:6], expected[:6])]
        result = CliRunner().invoke(main, ["import", *arguments, "--output", str(folder / "model")])
        assert 0 == result.exit_code, (name, result.output)
        config = ScoreConfig.of(
            inputs=(str(tmp_path / "reviews.parquet"),),
            output=str(folder / "out"),
            model=str(folder / "model"),
            workers=1,
            top_k=5,
        )
        with tensorflow_engines():
            manifest = score_here(config)
        scored = rows(folder / "out")
        assert REVIEWS == len(scored), name
        off = np.abs(np.array([row["probability"] for row in scored]) - expected).max()
        sums = [
            manifest["bias"] + sum(w["contribution"] for w in row["top_contributing"]) + row["rest_contribution"]
            for row in scored
        ]
        apart = np.abs(np.array(sums) - [row["logit"] for row in scored]).max()
        assert expected.std() > 1e-3, name  # it has learnt to tell reviews apart
        worst[name] = (float(off), float(apart))
        print(f"{name}: {units} units, probability {off:.1e}, sum {apart:.1e}, spread {expected.std():.3f}", flush=True)
        keras.backend.clear_session()
    assert 10 == len(worst)
    assert {} == {name: found for name, found in worst.items() if not (found[0] <= 1e-5 and found[1] <= 1e-4)}
