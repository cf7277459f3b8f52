"""Cells that a spreadsheet leaves as they are: none is a formula or a value, and each gives back its text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.formats.cells import GUARD, guarded, unguarded
from batch_scorer.models.tokenizer import APOSTROPHES, spans


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+49 30", "-- dull", "@sum(a1)", "\t=1", "\r=1", "\n=1", "\uff1d1", '=HYPERLINK("http://x")'),
        *("8/10", "1-2", "007", "1.50", "1e5", "76561198000000001", "$5", "(3)", "10%", "1,000", ".5"),
        *("MAR1", "sept 2", "true", "FALSE", " 12", GUARD, f"{GUARD}text"),
    ],
)
def test_text_that_a_spreadsheet_would_change_is_guarded_and_comes_back(text: str) -> None:
    assert GUARD + text == guarded(text)
    assert text == unguarded(guarded(text))


@pytest.mark.parametrize(
    "text", ["", "A film", "r01", "7", "0.25", "10 of 10, and many more words than a value has", "a=b"]
)
def test_text_that_is_left_alone_is_written_as_it_is(text: str) -> None:
    assert text == guarded(text) == unguarded(text)


@given(st.text() | st.from_regex(r"[=+@\-\d.\u200b][\s\S]{0,8}"))
def test_any_text_comes_back_and_none_begins_like_a_formula(text: str) -> None:
    cell = guarded(text)
    assert not re.match("[=+\\-@\t\r\n]", cell)
    assert text == unguarded(cell)


@given(st.text(max_size=40))
def test_model_finds_the_same_words_in_a_cell_as_in_its_text(text: str) -> None:
    cell = guarded(text)
    found = [[of[a:b] for a, b in zip(*map(list, spans(of, APOSTROPHES)), strict=True)] for of in (text, cell)]
    assert found[0] == found[1]
