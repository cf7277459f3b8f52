"""Where sentences and clauses begin, in texts as people type them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer.models.splitting import WHITE_SPACE, Splitting
from batch_scorer.models.tokenizer import spans
from batch_scorer.scoring.gaps import gaps

# Each text with `|` where a sentence ends; the mark is not part of it.
SENTENCES = (
    "Mr. Smith went home.| He slept.",
    "Dr. No is better than Prof. X vs. Gen. Zod.",
    "It cost 3.5 million.| the end",
    "I loved it.| it was great.| really",
    "the U.S. version is bad",
    "They moved to the U.S.| It was fine",
    "the U.S. Army and J. K. Rowling and P.J. Harvey",
    "Robert Downey Jr. plays, e.g. Chaplin, i.e. a tramp, etc. and more",
    "I like Downey Jr.| Great film.",
    "No. 1 of vol. 2.| No.| Never.",
    "It ends at 5 p.m. and that is that",
    "Wait... what?| I see...| Then it went on\u2026 and on",
    "One<br /><br />|Two<br />|three",
    "no punctuation at all here not even an end",
    "the end.|Next one.com is not the end",
    '"What?" he asked.| "No."| She left.',
    "it was (really!) good!| loved it",
    "what a film!!!| loved it :)",
    "1. The plot.| 2. The cast.| Rated it 9.| Done",
    "A line\n|Another line\nand how it goes on\n\n|the next",
    "10,000 people and P!nk at example.com/a?b=c",
    "So do I.| The end.| better than i.| it was",
    "Ph.D. students and M.D. holders",
    "Mr.Smith and St. Mary",
    "\u6700\u9ad8\u3067\u3059\u3002|\u3067\u3082\u306d\uff01|\u306f\u3044",
    "...",
    "?!",
    ". start",
)
CLAUSES = (
    "slow,| but what a finish",
    "well-made and 10,000 others",
    "a film -| yes,| a film \u2014| of our time",
    "he said |(really!)| good things",
    "the U.S. version of Mr. Smith",
    "wait...| what a day;| or not",
)
PIECE = st.sampled_from(
    [
        *"aIzU9",
        "Mr",
        "etc",
        "the",
        "It",
        " ",
        " ",
        ".",
        ".",
        "!",
        ",",
        "-",
        '"',
        "(",
        ")",
        "\n",
        "<br />",
        "\u2026",
        "<",
    ]
)
TEXT = st.lists(PIECE, max_size=30).map("".join)


def cut(text: str, rule: str = "new_sentence") -> list[str]:
    """The text cut where gaps are found, each piece from its first word to its last."""
    start, end = spans(text)
    begins = np.flatnonzero(getattr(gaps([text], [(start, end)]), rule))
    stops = [*(begins[1:] - 1), len(start) - 1]
    return [text[start[a] : end[b]] for a, b in zip(begins, stops, strict=True)] if len(start) else []


def wanted(marked: str) -> list[str]:
    """The pieces of a marked text, each from its first word to its last."""
    pieces = [(piece, *spans(piece)) for piece in marked.split("|")]
    return [piece[start[0] : end[-1]] for piece, start, end in pieces if len(start)]


@pytest.mark.parametrize("marked", SENTENCES)
def test_sentences_end_where_a_reader_says(marked: str) -> None:
    assert wanted(marked) == cut(marked.replace("|", ""))


@pytest.mark.parametrize("marked", CLAUSES)
def test_clauses_end_at_punctuation_that_is_not_part_of_a_word(marked: str) -> None:
    assert wanted(marked) == cut(marked.replace("|", ""), "new_clause")


@given(st.lists(TEXT, min_size=1, max_size=6))
def test_neighbours_change_nothing_and_sentences_begin_clauses(texts: list[str]) -> None:
    together = gaps(texts, [spans(text) for text in texts])
    alone = [gaps([text], [spans(text)]) for text in texts]
    for rule in ("new_sentence", "new_clause"):
        expected = np.concatenate([getattr(found, rule) for found in alone])
        np.testing.assert_array_equal(expected, getattr(together, rule))
    assert (together.new_clause >= together.new_sentence).all()
    first = [len(found.new_sentence) for found in alone]
    assert together.new_sentence[[sum(first[:i]) for i, n in enumerate(first) if n]].all()


@given(TEXT, st.sampled_from(["\u2014", "\U0001f600"]))
def test_characters_of_any_width_change_nothing(text: str, wide: str) -> None:
    narrow = gaps([text], [spans(text)])
    found = gaps([text, wide], [spans(text), spans(wide)])  # both are read as characters of one width
    np.testing.assert_array_equal(narrow.new_sentence, found.new_sentence)
    np.testing.assert_array_equal(narrow.new_clause, found.new_clause)


def test_words_that_are_not_read_are_not_looked_at() -> None:
    text = "One two. Three four. Five six"
    start, end = spans(text)
    assert [True, True, False] == gaps([text], [(start[3:], end[3:])]).new_sentence.tolist()


def test_words_that_hold_their_punctuation_end_before_it() -> None:
    text = 'Very good. (Too slow...) "Mr. Smith" said 3.5 stars!? So it\'s "over".'
    places = Splitting(WHITE_SPACE).spans(text)
    begins = np.flatnonzero(gaps([text], [places]).new_sentence)
    assert ["Very", "(Too", '"Mr.', "So"] == [text[places[0][at] : places[1][at]] for at in begins]
