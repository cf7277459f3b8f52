"""Faithfulness: every figure against the plain arithmetic of `models.network.forward`, on small random networks."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from batch_scorer.models.artifact import Artifact
from batch_scorer.models.folded_engine import FoldedEngine
from batch_scorer.models.network import forward, probability
from train.evaluate import bounded, faithfulness
from train.evaluate.attribution import attributions, decide, integrated_gradients, path_gradients
from train.evaluate.faithfulness import FLIP_SHARES, SHARES
from train.network import conicity


@pytest.fixture(scope="module")
def engine(tiny: Artifact) -> FoldedEngine:
    return FoldedEngine(tiny)


@pytest.fixture(scope="module")
def reviews(tiny: Artifact) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    size = tiny.architecture.vocabulary_size
    return [np.array([1, *rng.integers(2, size, n)], np.int32) for n in (1, 2, 5, 9, 13, tiny.architecture.max_words)]


@pytest.fixture(scope="module")
def measured(tiny: Artifact, engine: FoldedEngine, reviews: list[np.ndarray]) -> dict[str, Any]:
    return faithfulness.measure(tiny, engine, reviews, seed=5, on_step=lambda *_: None)


def logit(tiny: Artifact, ids: np.ndarray) -> float:
    return forward(tiny.tensors, tiny.architecture, ids.astype(np.int32)).logit


def decided(tiny: Artifact, ids: np.ndarray, sign: int) -> float:
    """P of the label given to the complete review."""
    p = float(probability(np.float64(logit(tiny, ids)), tiny.temperature))
    return p if sign > 0 else 1 - p


def test_decisions_are_those_of_the_plain_arithmetic(
    tiny: Artifact, engine: FoldedEngine, reviews: list[np.ndarray]
) -> None:
    for decision, ids in zip(decide(tiny, engine, reviews), reviews, strict=True):
        expected = forward(tiny.tensors, tiny.architecture, ids)
        assert expected.logit == pytest.approx(decision.logit, abs=1e-5)
        np.testing.assert_allclose(decision.attention, expected.attention, atol=1e-6)
        np.testing.assert_allclose(decision.contribution, expected.contribution, atol=1e-5)
        assert (1 if expected.logit >= 0 else -1) == decision.sign


def test_rankings_are_those_computed_by_hand(tiny: Artifact, engine: FoldedEngine, reviews: list[np.ndarray]) -> None:
    decisions = decide(tiny, engine, reviews)
    values, gaps = attributions(tiny, engine, decisions, 0, lambda *_: None)
    assert {len(reviews)} == {len(by_word) for by_word in values.values()} | {len(gaps)}
    for i, (decision, ids) in enumerate(zip(decisions, reviews, strict=True)):
        whole = logit(tiny, ids)
        without = [decision.sign * (whole - logit(tiny, np.delete(ids, position))) for position in range(1, len(ids))]
        np.testing.assert_allclose(values["leave_one_out"][i], without, atol=1e-5)
        expected = forward(tiny.tensors, tiny.architecture, ids)
        np.testing.assert_allclose(values["contribution"][i], decision.sign * expected.contribution[1:], atol=1e-5)
        np.testing.assert_allclose(values["attention"][i], expected.attention[1:], atol=1e-6)


def test_integrated_gradients_sum_to_the_change_of_the_logit(tiny: Artifact, reviews: list[np.ndarray]) -> None:
    path = path_gradients(tiny)
    nothing = {**tiny.tensors, "embedding": tiny.tensors["embedding"].copy()}
    nothing["embedding"][2:] = 0  # all words at the start of the path; the start mark stays
    for ids in reviews:
        values, gap = integrated_gradients(path, ids)
        change = logit(tiny, ids) - forward(nothing, tiny.architecture, ids).logit
        assert change == pytest.approx(values.sum(), abs=1e-3)
        assert abs(change - values.sum()) == pytest.approx(gap, abs=1e-5)
        assert 0 == values[0]


def test_deleting_words_by_contribution_gives_the_figures_computed_by_hand(
    tiny: Artifact, measured: dict[str, Any], reviews: list[np.ndarray]
) -> None:
    comprehensiveness, sufficiency, flips = [], [], []
    for ids in reviews:
        plain = forward(tiny.tensors, tiny.architecture, ids)
        sign = 1 if plain.logit >= 0 else -1
        best = 1 + np.argsort(-sign * plain.contribution[1:], kind="stable")
        counts = [math.ceil(round(share * len(best), 9)) for share in SHARES]
        whole = decided(tiny, ids, sign)
        comprehensiveness.append([whole - decided(tiny, np.delete(ids, best[:n]), sign) for n in counts])
        sufficiency.append([whole - decided(tiny, np.delete(ids, best[n:]), sign) for n in counts])
        left = [np.delete(ids, best[: math.ceil(round(share * len(best), 9))]) for share in FLIP_SHARES]
        flips.append(
            next((s for s, x in zip(FLIP_SHARES, left, strict=True) if decided(tiny, x, sign) < 0.5), math.inf)
        )
    ours = measured["rankings"]["contribution"]
    assert np.mean(comprehensiveness) == pytest.approx(ours["comprehensiveness"]["value"], abs=1e-5)
    assert np.mean(sufficiency) == pytest.approx(ours["sufficiency"]["value"], abs=1e-5)
    for i in range(len(SHARES)):
        assert np.mean(comprehensiveness, axis=0)[i] == pytest.approx(
            ours["comprehensiveness_at"][i]["value"], abs=1e-5
        )
        assert np.mean(sufficiency, axis=0)[i] == pytest.approx(ours["sufficiency_at"][i]["value"], abs=1e-5)
    assert np.median(np.minimum(flips, 1)) == ours["words_to_flip"]["median"]
    assert np.isinf(flips).mean() == ours["words_to_flip"]["never"]
    for ranking in measured["rankings"].values():
        for key in ("comprehensiveness", "sufficiency"):
            assert ranking[key]["low"] <= ranking[key]["value"] <= ranking[key]["high"]


def test_share_of_a_few_words_is_rounded_up_but_not_because_of_float_errors() -> None:
    assert [1, 1, 1, 2, 5] == [faithfulness._count(share, 10) for share in SHARES]
    assert [1, 1, 2, 4, 10] == [faithfulness._count(share, 20) for share in SHARES]
    assert [3, 15, 30, 60, 150] == [faithfulness._count(share, 300) for share in SHARES]


def test_hidden_states_to_flip_and_conicity_are_those_computed_by_hand(
    tiny: Artifact, measured: dict[str, Any], reviews: list[np.ndarray]
) -> None:
    from batch_scorer.models.keras_model import reader

    ours = measured["for_print"]
    shares, cones = [], []
    read = reader(tiny.architecture, tiny.tensors)
    for ids in reviews:
        plain = forward(tiny.tensors, tiny.architecture, ids)
        value, sign = plain.contribution / plain.attention, 1 if plain.logit >= 0 else -1
        order = 1 + np.argsort(-sign * plain.contribution[1:], kind="stable")
        share = 1.0
        for removed in range(1, len(ids)):
            left = np.delete(np.arange(len(ids)), order[:removed])
            weights = plain.attention[left] / plain.attention[left].sum()
            if sign * (plain.bias + weights @ value[left]) < 0:
                share = removed / (len(ids) - 1)
                break
        shares.append(share)
        states = read(ids[None])[1]
        cones.append(float(conicity(states[:, 1:], np.ones((1, len(ids) - 1), bool))))
    assert np.median(shares) == pytest.approx(ours["hidden_states_to_flip"]["contribution"]["median"])
    assert np.mean(cones) == pytest.approx(ours["conicity"]["value"], abs=1e-5)


def test_bounds_are_the_lowest_and_highest_area_of_all_orders() -> None:
    falls = np.random.default_rng(4).normal(size=(2, 2**bounded.WORDS))
    falls[:, 0] = 0
    falls[1, :] = falls[1, 0]  # a text on which every order is alike
    areas = [[bounded.area(fall, np.array(order)) for order in itertools.permutations(range(bounded.WORDS))]
             for fall in falls]  # fmt: skip
    low, high = bounded.bounds(falls)
    np.testing.assert_allclose(np.min(areas, axis=1), low)
    np.testing.assert_allclose(np.max(areas, axis=1), high)


def test_deletions_between_their_bounds_are_those_computed_by_hand(
    tiny: Artifact, engine: FoldedEngine, reviews: list[np.ndarray]
) -> None:
    passage = reviews[3][: 1 + bounded.WORDS]
    found = bounded.measure(tiny, engine, [reviews[0], passage], 1, lambda *_: None)
    assert (1, bounded.WORDS) == (found["passages"], found["words"])
    (decision,) = decide(tiny, engine, [passage])
    words = range(bounded.WORDS)
    deleted = [[1 + word for word in words if number >> word & 1] for number in range(2**bounded.WORDS)]
    p = np.array([decided(tiny, np.delete(passage, positions), decision.sign) for positions in deleted])
    falls = p[0] - p
    (low,), (high,) = bounded.bounds(falls[None])
    for name, by_word in {
        "contribution": decision.sign * decision.contribution,
        "attention": decision.attention,
    }.items():
        best = np.argsort(-by_word[1:], kind="stable")
        mean_fall = np.mean([falls[sum(1 << int(word) for word in best[: 1 + k])] for k in words])
        assert (mean_fall - low) / (high - low) == pytest.approx(found["rankings"][name]["mean"], abs=1e-3)
    assert {"contribution", "integrated_gradients", "leave_one_out", "attention", "random"} == set(found["rankings"])
    assert {"passages": 0, "words": bounded.WORDS, "rankings": {}} == bounded.measure(
        tiny, engine, [reviews[0]], 1, lambda *_: None
    )
