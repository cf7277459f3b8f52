"""Publishing: what the artefact says of the data that the model was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from batch_scorer.models import artifact
from batch_scorer.models.network import Architecture
from batch_scorer.models.profile import Profile, warnings
from batch_scorer.models.tokenizer import Tokenizer
from tests.conftest import random_tensors
from train.data import Examples
from train.fit import Fitted
from train.metrics import metrics
from train.prepare import Prepared, encoded, from_texts
from train.publish import publish
from train.reading import Reading
from train.trainer import Recipe

TEXTS = {
    "Russian": ("чудесный фильм, всем советую", "скучный фильм, жаль времени"),
    "Korean": ("정말 좋은 영화 추천합니다", "지루한 영화 시간이 아까워요"),
    "German": ("ein großartiger Film, sehr zu empfehlen", "ein öder Film, schade um die Zeit"),
    "mixed": ("фильм was great", "фильм was dull"),
}


def examples(texts: tuple[str, str], start: int = 0) -> Examples:
    """Sixty labelled reviews, half of them of words that no other review has."""
    several = [f"{text} {''.join(w[::-1] for w in text.split())}{start + i}" for i in range(30) for text in texts]
    return Examples([str(i) for i in range(60)], several, np.array([1, 0] * 30, np.int8))


@pytest.mark.parametrize("subwords", [False, True])
@pytest.mark.parametrize("language", TEXTS)
def test_model_of_any_script_does_not_warn_of_texts_like_its_own(language: str, subwords: bool, tmp_path: Path) -> None:
    data = from_texts(examples(TEXTS[language]), 0.3, 100 if subwords else 40, Reading(20, 21, subwords=subwords))
    publish(tmp_path / "model", "own", architecture_of(data), data, fitted_to(data), Recipe())
    training = artifact.load(str(tmp_path / "model")).training_profile
    assert [] == warnings(scored(examples(TEXTS[language], 100), data.tokenizer, tmp_path / "more"), training)
    other = "German" if language in ("Russian", "Korean") else "Russian"
    assert "script" in " ".join(warnings(scored(examples(TEXTS[other]), data.tokenizer, tmp_path / "other"), training))


def test_model_of_pieces_keeps_the_scripts_of_its_texts_and_names_that_of_others(tmp_path: Path) -> None:
    data = from_texts(examples(TEXTS["Korean"]), 0.3, 100, Reading(20, 21, subwords=True))
    publish(tmp_path / "model", "own", architecture_of(data), data, fitted_to(data), Recipe())
    training = artifact.load(str(tmp_path / "model")).training_profile
    assert {"Hangul": training.words} == training.scripts
    said = warnings(scored(examples(TEXTS["Russian"]), data.tokenizer, tmp_path / "other"), training)
    assert "100% of the words are in Cyrillic script (0% in training)" in said


def architecture_of(data: Prepared) -> Architecture:
    return Architecture(len(data.vocabulary), embedding_dim=4, units=3, attention_units=2, max_length=21)


def fitted_to(data: Prepared) -> Fitted:
    """Weights that nobody trained: the profile is of the data."""
    tensors, logits = random_tensors(architecture_of(data), 3), np.zeros(len(data.validation))
    return Fitted(tensors, 1, 1.0, metrics(logits, data.validation.labels, 1.0), logits)


def scored(reviews: Examples, tokenizer: Tokenizer, output: Path) -> Profile:
    """The profile of reviews, as that of the held-out ones of a model that knows these words."""
    data = Prepared(
        tokenizer,
        np.ones(len(tokenizer.vocabulary), np.int64),
        encoded(reviews, tokenizer),
        encoded(reviews, tokenizer),
        "0" * 64,
        {"training": reviews.texts, "validation": reviews.texts},
    )
    publish(output, "other", architecture_of(data), data, fitted_to(data), Recipe())
    return artifact.load(str(output)).training_profile
