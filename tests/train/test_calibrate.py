"""The temperature by words and share of unknown words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from batch_scorer.models.tokenizer import OOV, START
from train.calibrate import CROPPED_TO, FEWEST_PASSAGES, LIMITS, OOV_RATES, WORDS, calibrate, fit, samples
from train.prepare import Encoded


def drawn(temperature: npt.NDArray[np.float64], seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Logits that are too large by a factor, and labels that the right ones give."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, len(temperature))
    labels = (rng.random(len(true)) < 1 / (1 + np.exp(-true))).astype(np.int8)
    return temperature * true, labels


def test_temperatures_that_texts_have_are_found_by_their_words_and_unknown_words() -> None:
    rng = np.random.default_rng(0)
    n_used = rng.choice([4, 40, 400], 60_000)
    oov_rate = rng.choice([0.01, 0.35], 60_000)
    true = np.where(n_used == 4, 3.0, np.where(n_used == 40, 2.0, 1.0)) * np.where(oov_rate > 0.3, 1.5, 1.0)
    calibration = fit(*drawn(true, 1), n_used, oov_rate)
    found = calibration.temperature(np.array([4, 40, 400, 4, 40, 400]), np.array([0.01] * 3 + [0.35] * 3))
    np.testing.assert_allclose([3, 2, 1, 4.5, 3, 1.5], found, rtol=0.08)


def test_temperature_falls_with_words_and_rises_with_unknown_words_even_where_data_are_few() -> None:
    rng = np.random.default_rng(0)
    n_used, oov_rate = rng.integers(1, 500, 300), rng.random(300)
    grid = np.array(fit(*drawn(rng.uniform(0.5, 4, 300), 2), n_used, oov_rate).grid)
    assert (len(WORDS), len(OOV_RATES)) == grid.shape
    assert (np.diff(grid, axis=0) <= 0).all()
    assert (np.diff(grid, axis=1) >= 0).all()


def test_samples_are_crops_and_whole_reviews_with_their_labels() -> None:
    reviews = [np.array([START, *range(3, 3 + n)], np.int32) for n in (3, 30, 200)]
    labels = np.array([0, 1, 0], np.int8)
    side = Encoded.one_each(reviews, labels, np.array([3, 30, 200]))
    texts, of = samples(side, np.random.default_rng(0))
    assert len(of) == len(texts)
    lengths = [len(ids) - 1 for ids in texts]
    assert [3, *(n for n in CROPPED_TO if n <= 30), 30, *(n for n in CROPPED_TO if n <= 200), 200] == lengths
    for ids in texts:
        assert ids[0] == START
        words = ids[1:][ids[1:] != OOV]
        assert len(words) == 0 or (np.diff(words) > 0).all()  # in the order of the review
    assert any((ids == OOV).any() for ids in texts)
    calibration = calibrate(side, lambda encoded: np.array([len(ids) - 9.0 for ids in encoded]), 0)
    assert (len(WORDS), len(OOV_RATES)) == np.array(calibration.grid).shape
    assert max(map(max, calibration.grid)) <= LIMITS[1]  # though these logits say nothing about the labels


def test_passages_stand_in_for_crops_where_there_are_enough_of_them() -> None:
    def side(count: int, words: int) -> Encoded:
        ids = np.array([START, *range(3, 3 + words)], np.int32)
        return Encoded.one_each([ids] * count, np.arange(count, dtype=np.int8) % 2, np.full(count, words))

    reviews, rng = side(10, 60), np.random.default_rng(0)
    texts, labels = samples(reviews, rng, side(FEWEST_PASSAGES, 9))
    assert [60] * 10 + [9] * FEWEST_PASSAGES == [len(ids) - 1 for ids in texts]
    assert [0, 1] * (len(texts) // 2) == labels.tolist()
    assert 0 < sum((ids == OOV).any() for ids in texts) < len(texts)

    too_few, _ = samples(reviews, rng, side(FEWEST_PASSAGES - 1, 9))
    assert [*CROPPED_TO, 60] * 10 == [len(ids) - 1 for ids in too_few]
