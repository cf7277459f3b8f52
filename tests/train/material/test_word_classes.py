"""Classes of words: the lists, the ids that members share, and scores that a swap cannot change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from batch_scorer.errors import OptionError
from batch_scorer.models import artifact
from batch_scorer.models.tokenizer import APOSTROPHES, RESERVED, Tokenizer
from train.material.word_classes import (
    WordClass,
    aliases,
    chosen,
    drawn_together,
    read_classes,
    tied_counts,
    tied_embedding,
)

VOCABULARY = [*RESERVED, "a", "an", "french", "german", "film", "emma"]
COUNTS = np.array([0, 9, 5, 40, 10, 30, 10, 50, 3])
CLASSES = [WordClass("articles", ("a", "an")), WordClass("origins", ("somali", "german", "french"))]
AMBIGUOUS = [
    "will",
    "grace",
    "joy",
    "mark",
    "rose",
    "hope",
    "may",
    "art",
    "bill",
    "polish",
    "turkey",
    "jersey",
    "black",
    "white",
    "straight",
    "chad",
    "jordan",
]


def test_shipped_lists_have_no_word_twice_and_leave_out_words_with_a_meaning_of_their_own() -> None:
    tied = {word for word_class in read_classes() for word in word_class.tied}
    assert sum(len(word_class.tied) for word_class in read_classes()) == len(tied)
    assert set() == tied & set(AMBIGUOUS)
    assert {"somali", "muslims", "lesbian", "latoya", "latoya's", "an", "germany"} <= tied


def test_a_word_in_two_classes_or_with_a_space_is_refused(tmp_path: Path) -> None:
    for lists in ('[a]\ntied = "one two"\n[b]\ntied = "two"', '[a]\ntied = "non-binary"', '[a]\ntied = "One"'):
        (tmp_path / "lists.toml").write_text(lists)
        with pytest.raises(ValueError, match="listed twice"):
            read_classes(tmp_path / "lists.toml")


def test_a_word_that_is_seldom_a_member_and_not_swapped_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lists.toml").write_text('[a]\ntied = "one"\nswapped = "two"\nseldom = "one two"')
    with pytest.raises(ValueError, match=r"\['one'\] are seldom members and not swapped"):
        read_classes(tmp_path / "lists.toml")


def test_members_share_the_id_of_the_most_frequent_one_and_unknown_members_join() -> None:
    assert {"an": 3, "german": 5, "somali": 5} == aliases(CLASSES, VOCABULARY, COUNTS)


def test_members_with_a_meaning_of_their_own_are_tied_only_where_the_vocabulary_lacks_them() -> None:
    names = WordClass("names", ("emma",), swapped=("film", "violet"), phrases=("Anna-Lou", "german Emma"))
    assert {"violet": 8, "anna": 8, "lou": 8} == aliases([names], VOCABULARY, COUNTS)
    tied_elsewhere = [names, WordClass("more", ("an", "lou"))]
    assert {"violet": 8, "anna": 8, "lou": 4} == aliases(tied_elsewhere, VOCABULARY, COUNTS)


def test_members_with_a_meaning_of_their_own_are_drawn_to_their_class_and_seldom_ones_less() -> None:
    embedding = np.arange(18, dtype=np.float32).reshape(9, 2)
    classes = [
        CLASSES[1],
        WordClass("names", ("anna", "emma"), swapped=("film", "an", "violet"), seldom=("an",)),
        WordClass("faiths", ("sikh",), swapped=("a",)),  # of which no tied member is known
    ]
    drawn = drawn_together(embedding, classes, VOCABULARY, {"anna": 8, "german": 5}, 0.5)
    np.testing.assert_allclose((embedding[7] + embedding[8]) / 2, drawn[7])
    np.testing.assert_allclose(0.65 * embedding[4] + 0.35 * embedding[8], drawn[4], rtol=1e-6)
    assert (embedding[[0, 1, 2, 3, 5, 6, 8]] == drawn[[0, 1, 2, 3, 5, 6, 8]]).all()
    assert (embedding == drawn_together(embedding, classes, VOCABULARY, {}, 0)).all()


def test_class_without_a_known_member_has_no_aliases() -> None:
    assert {} == aliases([WordClass("faiths", ("sikhism", "jainism"))], VOCABULARY, COUNTS)


def test_shared_id_has_the_counts_of_all_its_words_and_their_weighted_mean() -> None:
    merged = aliases(CLASSES, VOCABULARY, COUNTS)
    assert [0, 9, 5, 50, 0, 40, 0, 50, 3] == tied_counts(COUNTS, VOCABULARY, merged).tolist()
    embedding = np.arange(18, dtype=np.float32).reshape(9, 2)
    tied = tied_embedding(embedding, COUNTS, VOCABULARY, merged)
    np.testing.assert_allclose(0.8 * embedding[3] + 0.2 * embedding[4], tied[3], rtol=1e-6)
    np.testing.assert_allclose(0.75 * embedding[5] + 0.25 * embedding[6], tied[5], rtol=1e-6)
    assert (embedding[[0, 1, 2, 4, 6, 7, 8]] == tied[[0, 1, 2, 4, 6, 7, 8]]).all()


def test_recipe_names_its_classes() -> None:
    assert [] == chosen(CLASSES, "none")
    assert CLASSES == chosen(CLASSES, "all")
    assert [CLASSES[1]] == chosen(CLASSES, "origins")
    with pytest.raises(OptionError, match="articles, origins"):
        chosen(CLASSES, "origins,colours")


def test_every_member_of_every_shipped_class_reads_as_the_same_id_wherever_it_stands() -> None:
    shipped = artifact.load(artifact.SHIPPED)
    classes = read_classes()
    counts = np.arange(len(shipped.vocabulary))[::-1].copy()  # by rank, as the real counts are
    tokenizer = Tokenizer(shipped.vocabulary, aliases=aliases(classes, shipped.vocabulary, counts), pattern=APOSTROPHES)
    for word_class in classes:
        for frame in ("{} was here", "we met {} at the film", "the end of {}"):
            read = {tuple(tokenizer.ids(tokenizer.words(frame.format(word)))) for word in word_class.tied}
            read |= {tuple(tokenizer.ids(tokenizer.words(frame.format(word.title())))) for word in word_class.tied}
            assert 1 == len(read), word_class.name
