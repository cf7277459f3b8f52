"""The splitting rules of Keras, against Keras; and offsets that always slice back."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.splitting import (
    ASCII,
    FILTERS,
    NONE,
    PUNCTUATION,
    SKIPPED,
    WHITE_SPACE,
    WHOLE,
    Splitting,
    fault,
)
from batch_scorer.models.tokenizer import OOV, START, Tokenizer, spans, words

ODD = [
    "<br />",
    "İ",
    "ΑΣ",
    "ΑΣ.Α",
    "it's",
    "it\u2019s",
    "'",
    "...",
    " ",
    "\u00a0",
    "\n",
    "\r",
    "\t",
    "Ab",
    "ÀB",
    "-",
    "x_y",
]
TEXTS = st.lists(st.one_of(st.sampled_from(ODD), st.text())).map("".join)
TOKENIZER = Splitting(FILTERS + " ")
VECTORIZER = Splitting(WHITE_SPACE, PUNCTUATION, ASCII)
RULES = [TOKENIZER, VECTORIZER, Splitting(WHITE_SPACE, "", NONE), Splitting(",", "!", WHOLE)]


@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
@given(text=TEXTS)
def test_slices_are_the_words_but_for_what_is_removed(rules: Splitting, text: str) -> None:
    starts, ends = spans(text, rules)
    found = words(text, rules)
    assert len(found) == len(starts) == len(ends)
    assert all(found)
    for word, a, b in zip(found, starts.tolist(), ends.tolist(), strict=True):
        kept = "".join(c for c in text[a:b] if c not in rules.removed)
        assert not set(kept) & set(rules.separators)
        assert kept.lower().replace("ς", "σ") == word.lower().replace("ς", "σ")
        assert text[a] not in rules.removed
        assert text[b - 1] not in rules.removed
    assert (np.diff(np.stack([starts, ends], axis=1).reshape(-1)) >= 0).all()


@given(text=TEXTS)
def test_words_are_those_of_the_tokenizer_of_keras(text: str) -> None:
    from keras.src.legacy.preprocessing.text import text_to_word_sequence

    if len(text.lower()) == len(text):  # else words are lower-cased one by one, so that they have a slice
        assert text_to_word_sequence(text) == words(text, TOKENIZER)


@pytest.mark.parametrize(
    ("standardize", "rules"),
    [("lower_and_strip_punctuation", VECTORIZER), ("lower", Splitting(WHITE_SPACE, "", ASCII)), (None, RULES[2])],
)
def test_words_are_those_of_text_vectorization(standardize: str | None, rules: Splitting) -> None:
    from keras.layers import TextVectorization

    texts = [*ODD, "".join(ODD), "It's GOOD,bad!  -- <br />Well...", "ΑΣ İstanbul ÀÉ", " -a- --b-- c-d "]
    layer = TextVectorization(standardize=standardize)
    layer.adapt(texts)
    counted = Counter(word for text in texts for word in words(text, rules))
    assert set(counted) == set(layer.get_vocabulary()[2:])
    numbers = {word: at for at, word in enumerate(layer.get_vocabulary())}
    for text in texts:
        assert [numbers[word] for word in words(text, rules)] == [n for n in layer([text]).numpy()[0].tolist() if n]


VOCABULARY = ("<pad>", "<start>", "<oov>", "good", "bad")


@pytest.mark.parametrize(
    ("reads_first", "expected"), [(False, [SKIPPED, 4, 3]), (True, [3, SKIPPED, SKIPPED, 4, SKIPPED])]
)
def test_unknown_words_are_skipped_and_do_not_count(reads_first: bool, expected: list[int]) -> None:
    rules = Splitting(" ", drops_unknown=True, reads_first=reads_first)
    tokenizer = Tokenizer(VOCABULARY, 2, 2, pattern=rules)
    found = tokenizer.ids(tokenizer.words("good x y bad z bad good" if not reads_first else "good x y bad z bad"))
    assert expected[-2:] == found.tolist()[-2:] if not reads_first else expected == found.tolist()


def test_start_mark_is_read_and_cut_like_a_word() -> None:
    last, first = (Tokenizer(VOCABULARY, 3, 3, pattern=Splitting(" ", start_mark=True, reads_first=x)) for x in (0, 1))
    assert [START, 3, OOV] == last.ids(["good", "odd"]).tolist() == first.ids(["good", "odd"]).tolist()
    assert [3, 4, 3] == last.ids(["good", "bad", "good"][-3:]).tolist()
    assert [START, 3, 4] == first.ids(["good", "bad", "good"]).tolist()


def test_text_of_unknown_words_only_is_bounded() -> None:
    for reads_first in (False, True):
        rules = Splitting(" ", drops_unknown=True, reads_first=reads_first)
        assert 40 == len(Tokenizer(VOCABULARY, 2, 2, pattern=rules).ids(["odd"] * 10_000))


@pytest.mark.parametrize(("separators", "removed"), [("", ""), (" a", ""), (" ", "1")])
def test_rules_that_would_not_keep_words_and_slices_together_are_faults(separators: str, removed: str) -> None:
    assert fault({"separators": separators, "removed": removed})
    assert fault({"separators": " ", "removed": "'"}) is None
