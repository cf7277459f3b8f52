"""Sentences made by grammar: what they teach, and that training and checking share nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from train.material.grammar import DENIED, NEUTRAL, PLAIN, Grammar
from train.material.mixture import KINDS
from train.material.word_classes import read_classes

CLASSES = read_classes()
GOOD = ("wonderful", "lovely", "excellent", "terrific")


@pytest.fixture(scope="module")
def sides() -> dict[str, Grammar]:
    return {side: Grammar(side, CLASSES) for side in ("train", "check")}


def test_training_and_checking_share_no_frame_and_no_word_of_opinion(sides: dict[str, Grammar]) -> None:
    train, check = sides["train"], sides["check"]
    frames = [{frame for frames in side.frames.values() for frame in frames} for side in (train, check)]
    assert set() == frames[0] & frames[1]
    for name in ("thing", "things", "very", "aside", "person", "place"):
        assert set() == set(train.words[name]) & set(check.words[name]), name
    for side in ("good", "bad"):
        for name in ("adj", "trait", "loved", "love", "noun", "well"):
            ours = set(train.words[side][name])
            assert set() == ours & set(check.words["good"][name]), name
            assert set() == ours & set(check.words["bad"][name]), name


def test_sentences_of_every_kind_are_complete_and_well_formed(sides: dict[str, Grammar]) -> None:
    rng = np.random.default_rng(0)
    for side in sides.values():
        for kind in side.frames:
            for sentence in (side.draw(kind, rng) for _ in range(60 if side.frames[kind] else 0)):
                assert not re.search(r"[{}|]|\b[Aa] [aeiou]|^[a-z]", sentence.text), sentence.text
                assert 0 < sentence.target < 1


def test_opinion_that_is_denied_teaches_the_opposite(sides: dict[str, Grammar]) -> None:
    rng = np.random.default_rng(1)
    words = sides["train"].words
    seen = set()
    for _ in range(300):
        sentence = sides["train"].draw("negation", rng)
        praise = any(re.search(rf"\b{re.escape(word)}\b", sentence.text, re.I) for word in words["good"]["adj"])
        blame = any(re.search(rf"\b{re.escape(word)}\b", sentence.text, re.I) for word in words["bad"]["adj"])
        if praise != blame:
            assert DENIED[blame] == sentence.target, sentence.text
            seen.add(praise)
    assert {True, False} == seen


def test_facts_and_neutral_sentences_have_the_targets_of_their_kind(sides: dict[str, Grammar]) -> None:
    rng = np.random.default_rng(2)
    assert {NEUTRAL} == {sides["check"].draw("neutral", rng).target for _ in range(20)}
    assert set(PLAIN.values()) == {sides["train"].draw("facts", rng).target for _ in range(60)}


def test_same_seed_makes_the_same_sentences_and_another_one_others(sides: dict[str, Grammar]) -> None:
    a, b, c = (sides["train"].sample(40, KINDS, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert a == b
    assert a != c


def test_sentence_with_other_people_differs_in_them_only(sides: dict[str, Grammar]) -> None:
    rng = np.random.default_rng(3)
    check = sides["check"]
    sentence = next(s for s in (check.draw("identity", rng) for _ in range(99)) if "{member}" in s.frame)
    texts = check.with_people(sentence, "origins", ["somali", "irish", "African American"])
    written = ("Somali", "Irish", "African American")
    assert [True, True, True] == [word in text for word, text in zip(written, texts, strict=True)]
    plain = {re.sub(r"\b(an?) (Somali|Irish|African American)|Somali|Irish|African American", "X", t) for t in texts}
    assert 1 == len(plain)
