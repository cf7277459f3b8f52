"""Texts read many at a time: the same as one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models import many_texts
from batch_scorer.models.many_texts import read_many
from batch_scorer.models.splitting import Splitting
from batch_scorer.models.tokenizer import APOSTROPHES, PATTERNS, Tokenizer

PIECES = ["<br />", "<br", " />", "/>", "Good", "it's", "it\u2019s", "bad", " ", "\n", "\x1c", "\x00", ".", "İ", "Ω"]
TEXTS = st.lists(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4))).map("".join))


@given(TEXTS, st.sampled_from(PATTERNS), st.sampled_from([1, 8, 1 << 16]))
def test_texts_read_together_are_the_same_as_one_by_one(texts: list[str], pattern: str, together: int) -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good", "bad"], 3, 4, pattern=pattern, max_windows=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many_texts, "TOGETHER", together)
        found = list(read_many(texts, tokenizer))
    assert [one is not None for one in found] == [text.isascii() for text in texts]
    for text, one in zip(texts, found, strict=True):
        if one:
            words, places = tokenizer.words(text), tokenizer.spans(text)
            assert one.n_words == len(words)
            assert [ids.tolist() for ids in one.read[0]] == [ids.tolist() for ids in tokenizer.windows(words)]
            assert one.read[1] is None
            assert [edges.tolist() for edges in one.places] == [edges.tolist() for edges in places]


def test_start_mark_that_is_cut_off_is_cut_off_here_too() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good", "bad"], max_words=2, max_ids=2, pattern=APOSTROPHES)
    found = [one.read[0][0].tolist() for one in read_many(["good bad", "good"], tokenizer) if one]
    assert found == [[3, 4], [1, 3]]


def test_tokenizer_with_rules_of_its_own_reads_its_texts_itself() -> None:
    tokenizer = Tokenizer(["<pad>", "<start>", "<oov>", "good"], pattern=Splitting(" "))
    assert list(read_many(["good", ""], tokenizer)) == [None, None]
