"""Words of any script: known answers, and invariants of the pattern over any text."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.tokenizer import APOSTROPHES, has_words, words
from batch_scorer.models.units import PIECES, composed, count_limits, found, joined, looked_up, places

MIXED = st.lists(
    st.one_of(
        st.sampled_from(
            ["<br />", "最高", "です", "ー", "か\u3099", "ั", "\ufe0f", "\u200d", "'", "\u2019", "_", "İ", "ม์"]
        ),
        st.text(max_size=8),
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The film isn\u2019t bad.<br />Really!", ["The", "film", "isn\u2019t", "bad", "Really"]),
        ("映画は最高、iPhoneで見た", ["映画は最高", "iPhone", "で見た"]),
        ("电影太好看了！10分", ["电影太好看了", "10", "分"]),
        ("ภาพยนตร์เรื่องนี้ดีมาก", ["ภาพยนตร์เรื่องนี้ดีมาก"]),
        ("영화가 재미있다ㅋㅋ", ["영화가", "재미있다ㅋㅋ"]),
        ("यह फ़िल्म बहुत अच्छी है।", ["यह", "फ़िल्म", "बहुत", "अच्छी", "है"]),
        ("நல்ல திரைப்படம்", ["நல்ல", "திரைப்படம்"]),
        ("می\u200cخواهم ببینم", ["می\u200cخواهم", "ببینم"]),
        ("سِرٌّ كبير", ["سِرٌّ", "كبير"]),
        ("שָׁלוֹם", ["שָׁלוֹם"]),
        ("cafe\u0301 Việt", ["cafe\u0301", "Việt"]),
        ("❤\ufe0f👩\u200d🎤 ok", ["ok"]),
        ("葛\U000e0100飾区", ["葛\U000e0100飾区"]),
        ("ကောင်းတယ်။", ["ကောင်းတယ်"]),
        ("ល្អណាស់។", ["ល្អណាស់"]),
        ("ดี ฿20", ["ดี", "20"]),
    ],
)
def test_words_of_known_texts_of_many_scripts_are_known(text: str, expected: list[str]) -> None:
    assert expected == found(text)


def test_every_mark_of_the_first_plane_that_python_knows_continues_a_word() -> None:
    marks = [chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c))[0] == "M"]
    assert len(marks) > 1_000
    assert [] == [
        ascii(mark) for mark in marks if sum(map(len, found(f"a{mark}"))) == 1 and not found(f"ม{mark}")[0][1:]
    ]


@given(MIXED)
def test_words_are_the_matches_of_the_pattern_and_places_slice_back_to_them(text: str) -> None:
    expected = [match.span() for match in re.finditer(PIECES, text.replace("<br />", " " * 6))]
    starts, ends = places(text, PIECES)
    assert expected == list(zip(starts.tolist(), ends.tolist(), strict=True))
    assert found(text) == [text[a:b] for a, b in expected]


@given(MIXED)
def test_text_without_a_letter_or_digit_has_no_word_with_one(text: str) -> None:
    letters = [word for word in found(text) if re.search(r"[^\W_]", word)]
    assert has_words(text) == bool(letters)


@given(st.text(st.characters(max_codepoint=0x24F)))
def test_words_in_latin_letters_are_those_of_models_that_read_words(text: str) -> None:
    assert words(text, APOSTROPHES) == [word.lower().replace("\u2019", "'") for word in found(text)]


@given(st.text(st.sampled_from("かがハ\u3099\u309aー最\ufa1eのค์ា\u17d2ក\u1025\u102e")))
def test_composed_run_says_where_each_character_stands(run: str) -> None:
    form, at = composed(run)
    assert looked_up(run) == form
    at = at or list(range(len(run) + 1))
    assert len(form) + 1 == len(at)
    assert sorted(at) == at
    for start, end in itertools.pairwise(at):
        if start < end:
            assert looked_up(run[:start]) + looked_up(run[start:]) == form


@pytest.mark.parametrize(
    ("pieces", "units"),
    [
        (["スト", "ーリ", "ー"], ["ストーリー"]),
        (["ด", "ี", "มา", "ก"], ["ดี", "มา", "ก"]),
        (["แ", "ละ"], ["และ"]),
        (["นี้แ", "ละ"], ["นี้และ"]),
        (["ក", "\u17d2", "ម", "ែរ"], ["ក\u17d2មែរ"]),
        (["最", "高"], ["最", "高"]),
        (["時", "々"], ["時々"]),
        ([], []),
    ],
)
def test_units_begin_with_no_vowel_sign_or_length_mark(pieces: list[str], units: list[str]) -> None:
    assert units == joined(pieces)


@given(MIXED)
def test_limits_of_a_count_are_equal_where_no_script_lacks_blanks(text: str) -> None:
    fewest, most = count_limits(text, PIECES)
    assert fewest <= most <= sum(map(len, found(text)))
    assert (fewest == most) or re.search(
        r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\uffff\U00010000-\U0010ffff]", text
    )
