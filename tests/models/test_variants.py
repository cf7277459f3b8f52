"""Networks brought from Keras, in all their variants: the engines against the network written out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batch_scorer.models import artifact
from batch_scorer.models.artifact import Artifact
from batch_scorer.models.cells import CELLS, GATES
from batch_scorer.models.engine import load_engine
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.keras_engine import KerasEngine
from batch_scorer.models.network import Architecture, forward
from batch_scorer.models.protocol import Engine
from batch_scorer.models.skipping_engine import SkippingEngine
from batch_scorer.models.splitting import SKIPPED, Splitting
from batch_scorer.models.tokenizer import OOV
from tests.conftest import TINY, random_tensors, save_tiny

LENGTHS = (1, 4, 20, 13)

MASKED: list[dict[str, Any]] = [
    {"query": "none"},
    {"query": "c", "recurrent_activation": "relu"},
    {"query": "hc", "recurrent_activation": "hard_sigmoid", "batch_norm": False},
    {"recurrent_activation": "hard_sigmoid_keras_2", "attention_activation": "linear"},
    {"cell": "gru", "query": "none"},
    {"cell": "gru_reset_after", "recurrent_activation": "hard_sigmoid", "attention_masked": False},
    {"position_bias": True, "padding": "post"},
    {"position_bias": True, "attention_masked": False, "padding": "post"},
]
UNMASKED: list[dict[str, Any]] = [
    {"query": "none", "padding": "post", "recurrent_activation": "relu"},
    {"query": "hc", "recurrent_activation": "hard_sigmoid_keras_2", "batch_norm": False},
    {"cell": "gru_reset_after", "position_bias": True, "padding": "post", "attention_activation": "linear"},
]


def network(variant: dict[str, Any], masked: bool) -> Artifact:
    architecture = dataclasses.replace(TINY, masked=masked, **variant)
    scale = 0.2 if architecture.recurrent_activation == "relu" else 0.5  # relu gates may grow without bound
    tensors = {name: scale * values for name, values in random_tensors(architecture, seed=3).items()}
    return Artifact("0" * 12, {"architecture": architecture.to_json()}, (), tensors)


def reviews(skipped: int | None = None) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    drawn = [rng.integers(OOV, TINY.vocabulary_size, n).astype(np.int32) for n in LENGTHS]
    return drawn if skipped is None else [np.where(np.arange(len(x)) % 3 == skipped, SKIPPED, x) for x in drawn]


def check(engine: Engine, model: Artifact, batch: list[np.ndarray]) -> None:
    """Logit, attention and contributions of each review are those of the network written out."""
    scores = engine.run(batch)
    assert (len(scores.attention), len(batch)) == scores.contribution.shape
    for row, ids in enumerate(batch):
        expected, n = forward(model.tensors, model.architecture, ids), len(ids)
        assert expected.logit == pytest.approx(scores.logit[row], abs=1e-5)
        np.testing.assert_allclose(scores.attention[-n:, row], expected.attention[-n:], atol=1e-6)
        np.testing.assert_allclose(scores.contribution[-n:, row], expected.contribution[-n:], atol=1e-5)
        assert scores.logit[row] == pytest.approx(engine.bias + scores.contribution[:, row].sum(), abs=1e-9)


@pytest.mark.parametrize("variant", MASKED, ids=str)
def test_compiled_engine_agrees_with_the_network_written_out(variant: dict[str, Any]) -> None:
    model = network(variant, masked=True)
    check(FoldedEngine(model, batch_size=5), model, reviews())


@pytest.mark.parametrize("variant", UNMASKED, ids=str)
def test_keras_agrees_with_the_network_written_out(variant: dict[str, Any]) -> None:
    model = network(variant, masked=False)
    check(KerasEngine(model, batch_size=4), model, reviews())


@pytest.mark.parametrize(
    ("masked", "make"), [(True, FoldedEngine), (False, KerasEngine)], ids=["compiled", "plain Keras"]
)
def test_skipped_words_are_as_if_they_were_not_there(masked: bool, make: Callable[..., Engine]) -> None:
    model = network({"query": "none", "padding": "post"}, masked)
    batch = reviews(skipped=0)
    engine = SkippingEngine(make(model, batch_size=4), masked)
    check(engine, model, batch)
    without = [ids[ids != SKIPPED] for ids in batch]
    for ids, kept in zip(batch, without, strict=True):
        whole, short = (forward(model.tensors, model.architecture, x) for x in (ids, kept))
        assert short.logit == whole.logit
        assert 0 == np.abs(whole.contribution[-len(ids) :][ids == SKIPPED]).sum()


def test_review_of_skipped_words_scores_the_bias_under_a_mask() -> None:
    model = network({"query": "none"}, masked=True)
    engine = SkippingEngine(FoldedEngine(model, batch_size=2), True)
    scores = engine.run([np.full(3, SKIPPED, np.int32), np.array([4, 5], np.int32)])
    assert engine.bias == scores.logit[0] == forward(model.tensors, model.architecture, np.array([SKIPPED])).logit
    assert 0 == scores.attention[:, 0].sum()


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("cell", CELLS)
def test_padding_keeps_a_zero_state_exactly_zero(cell: str, gate: str) -> None:
    import tensorflow as tf

    from batch_scorer.models.folded_cells import cell_of
    from batch_scorer.models.tokenizer import PAD

    architecture = dataclasses.replace(TINY, cell=cell, recurrent_activation=gate)
    t = random_tensors(architecture, seed=2)
    direction = architecture.cell_tensors(t, "forward")
    more = np.zeros((architecture.units, 8), np.float32)
    step = cell_of(architecture)(tf, architecture, t["embedding"], direction, more, tf.float32)
    zero = tf.zeros([3, architecture.units])
    state, product, memory = step(tf.fill([3], PAD), tf.zeros([3, step.kernel.shape[1]]), zero)
    assert 0 == np.abs(np.concatenate([state, product, memory], axis=1)).max()


def test_usual_architecture_says_nothing_of_its_variant() -> None:
    assert Architecture().to_json().keys() == {
        *("vocabulary_size", "embedding_dim", "units", "attention_units", "max_length", "batch_norm_epsilon")
    }
    assert not Architecture(recurrent_activation="relu", masked=False).needs_format_2


RULES = Splitting(" .,!?", lowercase="whole text", drops_unknown=True, reads_first=True)
VARIANT = dataclasses.replace(TINY, cell="gru_reset_after", query="none", batch_norm=False)


def test_variant_with_rules_of_keras_is_saved_and_loaded(tmp_path: Path) -> None:
    saved = save_tiny(tmp_path, architecture=VARIANT, pattern=RULES, max_words=20)
    loaded = artifact.load(str(saved))
    assert (VARIANT, RULES, 2, "first") == (
        *(loaded.architecture, loaded.tokenizer.pattern),
        *(loaded.manifest["format_version"], loaded.long_texts),
    )
    assert {"gru.forward.kernel", "gru.backward.recurrent_bias"} < loaded.tensors.keys()
    assert not [name for name in loaded.tensors if name.startswith(("lstm", "attention.w2", "batch_norm"))]
    (ids,) = (loaded.tokenizer.ids(loaded.tokenizer.words("A good, UNHEARD film!")),)
    assert SKIPPED == ids[2]
    expected = forward(loaded.tensors, VARIANT, ids).logit
    assert expected == pytest.approx(load_engine(loaded).run([ids]).logit[0], abs=1e-5)
