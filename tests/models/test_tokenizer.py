"""The tokenizer: known answers, and invariants over any text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.tokenizer import (
    APOSTROPHES,
    OOV,
    PATTERN,
    PATTERNS,
    START,
    Tokenizer,
    build_vocabulary,
    spans,
    words,
)

# Text that looks like reviews gone wrong: words, marks, and every kind of character between them.
ODD = ["<br />", "<br/>", "İ", "ΑΣ", "it's", "don't", "it\u2019s", "\u2019", "ΑΣ\u2019", " ", ".", "\n"]
TEXTS = st.lists(st.one_of(st.sampled_from(ODD), st.text()))

KNOWN = [
    ("A good film.", ["a", "good", "film"]),
    ("It's not <br /><br />bad", ["it's", "not", "bad"]),
    ("wait<br />what", ["wait", "what"]),
    ("a <br/> mark of another kind", ["a", "br", "mark", "of", "another", "kind"]),
    ("Café NAÏVE ÉCLAIR", ["café", "naïve", "éclair"]),
    ("ΟΔΥΣΣΕΥΣ. ΣΑΣ", ["οδυσσευς", "σας"]),
    ("İstanbul", ["i̇stanbul"]),
    ("10/10, snake_case & R2-D2", ["10", "10", "snake_case", "r2", "d2"]),
    ("'quoted' '' text", ["'quoted'", "''", "text"]),
    ("映画は最高 👍 привет", ["映画は最高", "привет"]),
    ("one\u2028two\u0085three\x00four\x1cfive", ["one", "two", "three", "four", "five"]),
    ("!!! ... ???", []),
]


@pytest.mark.parametrize(("text", "expected"), KNOWN)
def test_words_of_known_text_are_known(text: str, expected: list[str]) -> None:
    assert expected == words(text) == words(text, APOSTROPHES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It\u2019s not", ["it's", "not"]),
        ("don\u2019t, DON'T", ["don't", "don't"]),
        ("\u2018quoted\u2019 text", ["quoted'", "text"]),
        ("the girls\u2019<br />film", ["the", "girls'", "film"]),
        ("слово\u2019s", ["слово's"]),
        ("ΟΔΥΣΣΕΥΣ\u2019", ["οδυσσευς'"]),
        ("\u2019", ["'"]),
    ],
)
def test_typographic_apostrophe_is_part_of_a_word_and_looked_up_as_the_plain_one(
    text: str, expected: list[str]
) -> None:
    assert expected == words(text, APOSTROPHES)
    assert expected != words(text)


def rule(pattern: str, word: str) -> str:
    """What a match of the pattern is looked up as."""
    return word.lower().replace("\u2019", "'" if pattern == APOSTROPHES else "\u2019")


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS.map("".join))
def test_words_of_any_text_are_those_of_the_rule(pattern: str, text: str) -> None:
    found = re.findall(pattern, text.replace("<br />", " "))
    assert [rule(pattern, match) for match in found] == words(text, pattern)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=TEXTS.map("".join))
def test_spans_of_any_text_slice_back_to_its_words(pattern: str, text: str) -> None:
    starts, ends = spans(text, pattern)
    assert words(text, pattern) == [rule(pattern, text[a:b]) for a, b in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_character_of_the_first_plane_is_read_by_the_rule_beside_any_other_word(pattern: str) -> None:
    for first in range(0, 0x10000, 64):
        characters = [chr(c) for c in range(first, first + 64) if not 0xD800 <= c <= 0xDFFF]
        for between in ("A{}É", "it’s {}."):  # within a word, and alone; beside letters that the table knows
            for text in (between.format(c) for c in characters):
                found = list(re.finditer(pattern, text))
                assert [rule(pattern, match.group()) for match in found] == words(text, pattern), ascii(text)
                places = np.transpose(spans(text, pattern)).tolist()
                assert [list(match.span()) for match in found] == places, ascii(text)


def test_ids_of_a_long_review_are_the_start_mark_and_its_last_words() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good", "bad"], max_words=3)
    found = tokenizer.ids(["bad", "bad", "good", "strange", "bad"])
    assert [START, 3, OOV, 4] == found.tolist()
    assert np.int32 == found.dtype


def test_ids_of_words_that_look_like_reserved_tokens_are_unknown() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good"])
    assert [START, OOV, OOV] == tokenizer.ids(["pad", "oov"]).tolist()


def test_alias_goes_before_the_vocabulary() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good", "bad"], aliases={"fine": 3, "bad": 3})
    assert [START, 3, 3, 3, OOV] == tokenizer.ids(["good", "fine", "bad", "strange"]).tolist()


def test_tokenizer_reads_text_by_its_pattern() -> None:
    plain, both = (Tokenizer(["<pad>", "<start>", "<oov>"], pattern=pattern) for pattern in (PATTERN, APOSTROPHES))
    text = "It\u2019s"
    assert (["it", "s"], ["it's"]) == (plain.words(text), both.words(text))
    assert ([0, 3], [0]) == (plain.spans(text)[0].tolist(), both.spans(text)[0].tolist())


def test_build_vocabulary_reads_words_by_the_pattern() -> None:
    texts = ["it\u2019s it's it"]
    assert ["it", "it's", "s"] == build_vocabulary(texts, size=6)[0][3:]
    assert ["it's", "it"] == build_vocabulary(texts, 6, APOSTROPHES)[0][3:]


def test_build_vocabulary_ranks_by_count_then_alphabet_and_counts_the_rest_as_unknown() -> None:
    vocabulary, counts = build_vocabulary(["b b a c", "c d"], size=6)
    assert ["<pad>", "<start>", "<oov>", "b", "c", "a"] == vocabulary
    assert [0, 2, 1, 2, 2, 1] == counts.tolist()
