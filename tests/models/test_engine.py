"""The engine against the network written out in NumPy and in Keras; and what must never change a result."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_scorer.config import BFLOAT16, FLOAT32, PRECISIONS
from batch_scorer.models.artifact import SHIPPED, Artifact, load
from batch_scorer.models.engine import load_engine
from batch_scorer.models.folded_cells import tanh
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.keras_model import from_tensors
from batch_scorer.models.network import forward
from batch_scorer.models.protocol import Engine, Scores
from batch_scorer.models.tokenizer import PAD, START, words
from tests.conftest import FORMAT_2, TINY, save_tiny

Ids = npt.NDArray[np.int32]


@pytest.fixture(scope="module")
def engine(tiny: Artifact) -> Engine:
    return load_engine(tiny)


def reviews(lengths: list[int], seed: int = 0) -> list[Ids]:
    """Random reviews of so many ids each, the start mark included."""
    rng = np.random.default_rng(seed)
    return [np.array([START, *rng.integers(2, TINY.vocabulary_size, n - 1)], np.int32) for n in lengths]


def results(engine: Engine, batch: list[Ids], row: int) -> list[bytes]:
    """Logit, attention and contribution of one review of a batch, bit for bit."""
    scores, length = engine.run(batch), len(batch[row])
    return [
        scores.logit[row].tobytes(),
        scores.attention[-length:, row].tobytes(),
        scores.contribution[-length:, row].tobytes(),
    ]


def test_engine_agrees_with_the_network_written_out(engine: Engine, tiny: Artifact) -> None:
    batch = reviews([2, 5, 9, 20, 13])
    scores = engine.run(batch)
    for row, ids in enumerate(batch):
        expected, n = forward(tiny.tensors, tiny.architecture, ids), len(ids)
        assert expected.logit == pytest.approx(scores.logit[row], abs=1e-5)
        np.testing.assert_allclose(scores.attention[-n:, row], expected.attention, atol=1e-6)
        np.testing.assert_allclose(scores.contribution[-n:, row], expected.contribution, atol=1e-5)


def test_keras_agrees_with_the_network_written_out_under_padding(tiny: Artifact) -> None:
    batch = reviews([2, 7, 12])
    padded = np.full((3, 15), PAD, np.int32)
    for row, ids in zip(padded, batch, strict=True):
        row[-len(ids) :] = ids
    logit, attention = (np.asarray(x) for x in from_tensors(tiny.architecture, tiny.tensors)(padded))
    for row, ids in enumerate(batch):
        expected, n = forward(tiny.tensors, tiny.architecture, ids), len(ids)
        assert expected.logit == pytest.approx(logit[row], abs=1e-5)
        np.testing.assert_allclose(attention[row, -n:], expected.attention, atol=1e-6)
        assert 0 == attention[row, :-n].sum()


def test_logit_is_bias_and_contributions_and_attention_sums_to_one(engine: Engine) -> None:
    scores = engine.run(reviews([3, 20, 8]))
    np.testing.assert_allclose(scores.logit, engine.bias + scores.contribution.sum(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(scores.attention.sum(axis=0), 1, atol=1e-12)


@settings(max_examples=40)
@given(st.lists(st.integers(2, 20), min_size=1, max_size=32), st.integers(0, 5), st.randoms(use_true_random=False))
def test_neighbours_order_and_padding_never_change_a_bit(
    engine: Engine, lengths: list[int], seed: int, random: object
) -> None:
    one = reviews([6], seed=99)[0]
    alone = results(engine, [one], 0)
    batch = [*reviews(lengths[: engine.batch_size - 1], seed), one]
    order = list(range(len(batch)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = [batch[i] for i in order]
    assert alone == results(engine, shuffled, order.index(len(batch) - 1))


@pytest.fixture(scope="module", params=PRECISIONS)
def roomy(tiny: Artifact, request: pytest.FixtureRequest) -> FoldedEngine:
    """An engine for reviews of up to 500 ids."""
    manifest = {**tiny.manifest, "architecture": {**tiny.manifest["architecture"], "max_length": 500}}
    return FoldedEngine(dataclasses.replace(tiny, manifest=manifest), precision=request.param)


@pytest.mark.parametrize("longest", [60, 61, 200, 499, 500])
def test_a_longer_neighbour_never_changes_a_bit(roomy: FoldedEngine, longest: int) -> None:
    one = reviews([60], seed=99)[0]
    assert results(roomy, [one], 0) == results(roomy, [*reviews([longest, 3]), one], 2)


@pytest.mark.parametrize("longest", [1, 2, 31, 64])
def test_second_program_for_short_reviews_gives_the_same_bits(
    roomy: FoldedEngine, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = reviews([longest, 1, 1 + longest // 2], seed=longest)
    expected = [results(roomy, batch, row) for row in range(3)]
    monkeypatch.setattr(roomy, "_short_batches_left", 1)
    for _ in range(2):
        assert expected == [results(roomy, batch, row) for row in range(3)]
    assert {500, 64} == set(roomy._programs)
    assert results(roomy, [*reviews([65]), *batch], 1) == expected[0]


def test_engine_does_without_a_second_program_that_cannot_be_made(
    roomy: FoldedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = reviews([5, 9])
    expected = results(roomy, batch, 0)

    def exhausted(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[64,40]")

    monkeypatch.setattr(roomy, "_programs", {500: roomy._programs[500]})
    monkeypatch.setattr(roomy, "_short_batches_left", 0)
    monkeypatch.setattr(roomy._network, "compiled", lambda length: exhausted)
    assert [expected] * 2 == [results(roomy, batch, 0) for _ in range(2)]
    assert [500] == list(roomy._programs)


def test_tanh_is_exact_to_a_few_units_in_the_last_place_and_odd() -> None:
    compiled = tf.function(lambda x: tanh(tf, x), jit_compile=True, autograph=False)
    x = np.concatenate([np.linspace(0, 9, 1_000_000), np.geomspace(1e-30, 1, 100_000), [40, 3e38, np.inf]])
    x = x.astype(np.float32)
    y, expected = compiled(x).numpy(), np.tanh(x.astype(np.float64))
    assert 4e-7 > np.abs(y - expected).max() and 4e-7 > np.abs(y[1:] / expected[1:] - 1).max()
    assert 0 == y[0] and 1 >= y.max()
    np.testing.assert_array_equal(-y, compiled(-x).numpy())
    assert np.isnan(compiled(np.array([np.nan], np.float32)).numpy()).all()


def test_xla_compiles_once_whatever_the_lengths(tmp_path: Path) -> None:
    save_tiny(tmp_path / "model")
    code = f"""
import numpy as np
from batch_scorer.models.artifact import load
from batch_scorer.models.folded_engine import FoldedEngine

engine = FoldedEngine(load({str(tmp_path / "model")!r}))
for length in range(2, 21):
    engine.run([np.full(length, 3, np.int32)])
"""
    flags = f"--xla_dump_to={tmp_path / 'dump'} --xla_dump_hlo_as_text"
    # TensorFlow without Keras: it is imported in half the time (`batch_scorer.models.engine`).
    environment = {**os.environ, "XLA_FLAGS": flags, "TF_USE_LEGACY_KERAS": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
    assert 1 == len(list((tmp_path / "dump").glob("*.before_optimizations.txt")))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_micro_batch_size_changes_no_result_beyond_1e_5(engine: Engine, tiny: Artifact, batch_size: int) -> None:
    batch = reviews([4, 11, 20, 6, 2, 17, 9], seed=3)
    other = FoldedEngine(tiny, batch_size)
    expected = np.array([engine.run([ids]).logit[0] for ids in batch])
    found = np.concatenate([other.run(batch[i : i + batch_size]).logit for i in range(0, len(batch), batch_size)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_probe_text_is_read_by_the_models_own_pattern_and_aliases(tmp_path: Path) -> None:
    # Read by the first pattern, without aliases, it would be other words, and no engine would pass.
    model = load(str(save_tiny(tmp_path, **{**FORMAT_2, "probe_text": "It\u2019s a movie"})))
    (logit,) = load_engine(model).run([model.tokenizer.ids(["it's", "a", "film"])]).logit
    assert model.manifest["probe"]["logit"] == pytest.approx(logit, abs=1e-5)


def test_shipped_model_agrees_with_keras_on_real_reviews(imdb: str) -> None:
    model = load(SHIPPED)
    engine = load_engine(model)
    ids, _ = real_reviews(imdb, model, step=19)
    network = from_tensors(model.architecture, model.tensors)
    # As a graph: position by position, Keras would take a minute.
    keras_model = tf.function(network, input_signature=[tf.TensorSpec([None, None], tf.int32)])
    worst_logit = worst_attention = 0.0
    for start in range(0, len(ids), engine.batch_size):
        batch = ids[start : start + engine.batch_size]
        width = len(batch[-1])
        padded = np.full((len(batch), width), PAD, np.int32)
        for row, x in zip(padded, batch, strict=True):
            row[width - len(x) :] = x
        logit, attention = (np.asarray(x) for x in keras_model(padded))
        scores = engine.run(batch)
        worst_logit = max(worst_logit, float(np.abs(logit - scores.logit).max()))
        worst_attention = max(worst_attention, float(np.abs(attention.T - scores.attention).max()))
    print(f"engine against Keras on {len(ids)} reviews: logit {worst_logit:.1e}, attention {worst_attention:.1e}")
    assert 264 == len(ids)
    assert worst_logit <= 1e-4
    assert worst_attention <= 1e-5


def test_shipped_model_in_bfloat16_keeps_its_labels_and_its_bound_on_1000_real_reviews(imdb: str) -> None:
    assert 1_000 == check_bfloat16(imdb, step=5)


def check_bfloat16(imdb: str, step: int) -> int:
    """Compares both precisions on every so many-th open test review; returns how many these are."""
    model = load(SHIPPED)
    ids, labels = real_reviews(imdb, model, step)
    exact, found = (load_engine(model, precision) for precision in (FLOAT32, BFLOAT16))
    expected, logit = (np.concatenate([s.logit for s in batches(engine, ids)]) for engine in (exact, found))
    apart, flipped = np.abs(logit - expected), (logit > 0) != (expected > 0)
    right = [int(((x > 0) == labels).sum()) for x in (expected, logit)]
    print(f"bfloat16 on {len(ids)} reviews: logit {apart.max():.1e}, mean {apart.mean():.1e}; {flipped.sum()} flipped, "
          f"at |logit| {np.abs(expected[flipped]).max(initial=0):.1e} at most; right: {right}")  # fmt: skip
    assert apart.max() <= 0.05
    assert not (flipped & (np.abs(expected) > 0.02)).any()
    assert abs(right[0] - right[1]) <= len(ids) // 1_000
    return len(ids)


def real_reviews(imdb: str, model: Artifact, step: int) -> tuple[list[Ids], npt.NDArray[np.bool_]]:
    """Every so many-th open test review as ids, by length, and whether it is positive."""
    import pyarrow.parquet as pq

    table = pq.read_table(f"{imdb}/imdb_test_open.parquet", columns=["text", "label"])
    ids = [model.tokenizer.ids(words(text)) for text in table["text"].to_pylist()[::step]]
    order = np.argsort([len(x) for x in ids], kind="stable")
    return [ids[i] for i in order], (table["label"].to_numpy()[::step] == 1)[order]


def batches(engine: Engine, ids: list[Ids]) -> Iterator[Scores]:
    for start in range(0, len(ids), engine.batch_size):
        yield engine.run(ids[start : start + engine.batch_size])


if __name__ == "__main__":  # python -m tests.models.test_engine DIR: bfloat16 on all 5,000 reviews, as in decision 12
    check_bfloat16(sys.argv[1], step=1)
