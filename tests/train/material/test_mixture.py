"""What an epoch is made of: parts, batches, crops, targets."""

from __future__ import annotations

import numpy as np
import pytest

from batch_scorer.models.tokenizer import START
from train import trainer
from train.data import Examples
from train.fit import labelled_alone
from train.material.counterfactual import place
from train.material.crops import FEWEST_WORDS, LONGEST, MOST_WORDS, crop, crops, sentences
from train.material.mixture import Recipe, Soft, crops_of, labelled, mixture
from train.material.parts import Parts, batches
from train.prepare import Prepared, from_texts
from train.reading import Reading

TEXTS = [f"The film number {i} is good and fine. It is really good! I like the film {i} a lot." for i in range(12)]
LONG = "word " * 25 + "good"


@pytest.fixture(scope="module")
def data() -> Prepared:
    examples = Examples(tuple(map(str, range(13))), (*TEXTS, LONG), np.array([1, 0] * 6 + [1], np.int8))
    return from_texts(examples, 0.25, 40, Reading(10, 11, max_windows=4), unlabelled=TEXTS[:6])


def soft(data: Prepared) -> Soft:
    zeros = np.zeros
    return Soft(zeros(len(data.training)), zeros(len(data.unlabelled)), zeros(len(crops_of(data))))


def test_crops_are_sentences_in_a_row() -> None:
    text = "One is here. Two is here! (Three is here?) Four is here."
    parts = sentences(text)
    assert ["One is here.", "Two is here!", "(Three is here?", "Four is here."] == parts
    rng = np.random.default_rng(0)
    drawn = {crop(text, rng) for _ in range(99)}
    allowed = {" ".join(parts[a : a + n]) for n in range(1, LONGEST + 1) for a in range(len(parts) - n + 1)}
    assert drawn == allowed


def test_texts_whose_crops_are_too_short_or_too_long_have_none() -> None:
    texts, rows = crops(["Hm.", "One two three four.", "word " * (MOST_WORDS + 1)], seed=0)
    assert (["One two three four."], [1]) == (texts, rows)
    assert FEWEST_WORDS <= 4


def test_long_review_is_read_in_windows_that_weigh_as_much_as_one_review(data: Prepared) -> None:
    for side in (data.training, data.validation):
        np.testing.assert_allclose(side.pooled(np.ones(len(side.ids))), np.ones(len(side)))
        assert (side.n_tokens == side.n_read).all()
    part = labelled(data.training, 4)
    assert len(part) == len(data.training.ids) > len(data.training)
    assert set(part.targets.tolist()) <= {0.0, 1.0}


def test_targets_are_the_labels_moved_toward_the_teacher(data: Prepared) -> None:
    mixed = labelled(data.training, 4, np.full(len(data.training), 50.0), 0.25)
    expected = 0.75 * data.training.labels[data.training.windows.review] + 0.25
    np.testing.assert_allclose(expected, mixed.targets, rtol=1e-6)


def test_each_epoch_has_all_labelled_reviews_and_new_draws_of_the_rest(data: Prepared) -> None:
    recipe = Recipe(unlabelled=3, unlabelled_words=4, crops=2, sentences=5)
    pairs = Examples(("x", "y"), (data.texts["training"][0], "Bad film."), np.array([1, 0], np.int8))
    examples = Examples(("t",), (data.texts["training"][0],), np.array([1], np.int8))
    rewritten = place(pairs, ["p", "p"], examples, np.array([False]), None)
    parts = mixture(recipe, data, soft(data), rewritten, 4, seed=1)
    first, again, second = parts(1), parts(1), parts(2)
    names = [part.name for part in first]
    reviews = ["labelled", *["rewritten"] * recipe.rewritten, "passages"]
    assert [*reviews, "unlabelled", "crops", "sentences"] == names
    by_name = {part.name: part for part in first}
    assert (3, 2, 5) == tuple(len(by_name[name]) for name in ("unlabelled", "crops", "sentences"))
    assert all(len(ids) <= 5 and ids[0] == START for ids in by_name["unlabelled"].ids)
    assert reviews == [part.name for part in first if part.adversarial]
    assert [part.steps for part in first] == [part.steps for part in second]
    assert all(
        (a.targets == b.targets).all() and all(map(np.array_equal, a.ids, b.ids))
        for a, b in zip(first, again, strict=True)
    )
    assert not all(map(np.array_equal, by_name["sentences"].ids, second[-1].ids))


@pytest.mark.parametrize("kind", ["mixture", "labelled reviews alone"])
def test_adversarial_share_of_the_reviews_is_drawn_anew_each_epoch(kind: str, data: Prepared) -> None:
    def of(share: float) -> Parts:
        if kind == "mixture":
            return mixture(Recipe(adversarial=share, sentences=0), data, None, None, 4, 1)
        return labelled_alone(data.training, trainer.Recipe(adversarial=share, batch_size=4))

    parts = of(0.5)
    adversarial, plain = parts(1)
    assert (True, False) == (adversarial.adversarial, plain.adversarial)
    assert len(data.training.ids) == len(adversarial) + len(plain)
    assert abs(len(adversarial) - len(plain)) <= 1
    assert not all(map(np.array_equal, adversarial.ids, parts(2)[0].ids))
    for share in (0.0, 1.0):
        (only,) = of(share)(1)
        assert (bool(share), len(data.training.ids)) == (only.adversarial, len(only))


def test_without_teacher_and_rewritten_reviews_there_are_only_reviews_and_sentences(data: Prepared) -> None:
    assert ["labelled", "sentences"] == [part.name for part in mixture(Recipe(), data, None, None, 4, 1)(1)]
    assert ["labelled"] == [part.name for part in mixture(Recipe(sentences=0), data, None, None, 4, 1)(1)]


def test_every_text_of_every_part_is_in_exactly_one_batch(data: Prepared) -> None:
    parts = mixture(Recipe(unlabelled=3, crops=2, sentences=9), data, soft(data), None, 2, 1)(1)
    seen: dict[str, list[int]] = {}
    listed = list(batches(parts, np.random.default_rng(0)))
    for part, rows in listed:
        assert len(rows) <= part.batch_size
        seen.setdefault(part.name, []).extend(rows.tolist())
    assert {part.name: list(range(len(part))) for part in parts} == {n: sorted(rows) for n, rows in seen.items()}
    assert sum(part.steps for part in parts) == len(listed)
