"""The tokenizer: known answers, and invariants over any text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.tokenizer import OOV, START, Tokenizer, build_vocabulary, spans, words

# Text that looks like reviews gone wrong: words, marks, and every kind of character between them.
TEXTS = st.lists(st.one_of(st.sampled_from(["<br />", "<br/>", "İ", "ΑΣ", "it's", "don't", " ", ".", "\n"]), st.text()))

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
    assert expected == words(text)


@given(TEXTS.map("".join))
def test_words_of_any_text_are_those_of_the_rule(text: str) -> None:
    rule = [match.lower() for match in re.findall(r"[\w']+", text.replace("<br />", " "))]
    assert rule == words(text)


@given(TEXTS.map("".join))
def test_spans_of_any_text_slice_back_to_its_words(text: str) -> None:
    starts, ends = spans(text)
    assert words(text) == [text[a:b].lower() for a, b in zip(starts, ends, strict=True)]


def test_every_character_of_the_first_plane_is_read_by_the_rule_beside_any_other_word() -> None:
    for first in range(0, 0x10000, 64):
        characters = [chr(c) for c in range(first, first + 64) if not 0xD800 <= c <= 0xDFFF]
        for between in ("A{}É", "it’s {}."):  # within a word, and alone; beside letters that the table knows
            for text in (between.format(c) for c in characters):
                found = list(re.finditer(r"[\w']+", text))
                assert [match.group().lower() for match in found] == words(text), ascii(text)
                assert [list(match.span()) for match in found] == np.transpose(spans(text)).tolist(), ascii(text)


def test_ids_of_a_long_review_are_the_start_mark_and_its_last_words() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good", "bad"], max_words=3)
    found = tokenizer.ids(["bad", "bad", "good", "strange", "bad"])
    assert [START, 3, OOV, 4] == found.tolist()
    assert np.int32 == found.dtype


def test_ids_of_words_that_look_like_reserved_tokens_are_unknown() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good"])
    assert [START, OOV, OOV] == tokenizer.ids(["pad", "oov"]).tolist()


def test_build_vocabulary_ranks_by_count_then_alphabet_and_counts_the_rest_as_unknown() -> None:
    vocabulary, counts = build_vocabulary(["b b a c", "c d"], size=6)
    assert ["<pad>", "<start>", "<oov>", "b", "c", "a"] == vocabulary
    assert [0, 2, 1, 2, 2, 1] == counts.tolist()
