"""A text without some of its words: what is cut, what is left, and what it says."""

from __future__ import annotations

import math

import pytest

from batch_scorer import Explanation, Model
from batch_scorer.api.what_if import Cut
from batch_scorer.errors import InputError

TEXT = "A wonderful film, and it's not boring. Not at all boring!"


@pytest.fixture(scope="module")
def explained(model: Model) -> Explanation:
    return model.explain(TEXT, spans=3)


def test_explanation_has_sentences_and_phrases_that_add_up(explained: Explanation) -> None:
    assert ["A wonderful film, and it's not boring", "Not at all boring"] == [s.text for s in explained.sentences]
    assert 0 < len(explained.spans) <= 3
    for segment in (*explained.sentences, *explained.spans):
        assert segment.text == TEXT[segment.char_start : segment.char_end]
        words = explained.words[segment.position : segment.position + segment.n_words]
        assert (segment.char_start, segment.char_end) == (words[0].char_start, words[-1].char_end)
        assert math.isclose(segment.contribution, sum(word.contribution for word in words), abs_tol=1e-5)
        assert math.isclose(segment.attention, sum(word.attention for word in words), abs_tol=1e-5)


@pytest.mark.parametrize(
    ("what", "left"),
    [
        (("not",), "A wonderful film, and it's boring. at all boring!"),
        (("NOT Boring",), "A wonderful film, and it's . Not at all boring!"),
        (("not boring", "it's", "at all"), "A wonderful film, and . Not boring!"),
        (((2, 12),), "A film, and it's not boring. Not at all boring!"),
        (((0, 38), "at"), " Not all boring!"),
        (((2, 12), (5, 16)), "A , and it's not boring. Not at all boring!"),
    ],
)
def test_rest_of_the_text_is_scored_as_a_text_of_its_own(
    what: tuple[Cut, ...], left: str, explained: Explanation, model: Model
) -> None:
    found = explained.without(*what)
    assert left == found.text == found.after.text
    alone = model.explain(left, spans=3)
    assert (alone.probability, alone.words, alone.spans) == (found.probability, found.words, found.after.spans)
    assert explained.probability == found.probability_before
    assert found.change == found.probability - found.probability_before
    assert sum(end - start for start, end in found.cut) >= len(TEXT) - len(left) - len(found.cut)


def test_it_shows_what_was_cut_and_both_probabilities(explained: Explanation) -> None:
    found = explained.without("wonderful film", "boring")
    head = str(found).splitlines()[0]
    assert head.startswith('without "wonderful film", "boring", "boring": P(positive) ')
    assert f"{found.probability_before:.3f} -> {found.probability:.3f}" in head
    assert str(found).endswith(str(found.after))
    assert "&quot;wonderful film&quot;" in found._repr_html_() and found.after._repr_html_() in found._repr_html_()
    assert f"probability={found.probability:.4f}" in repr(found)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ((), "nothing to cut"),
        (("splendid",), "does not occur"),
        (("boring wonderful",), "does not occur"),
        (("?!",), "does not occur"),
        (((3, 3),), "no such slice"),
        (((-1, 4),), "no such slice"),
        (((0, len(TEXT) + 1),), "no such slice"),
        (((0, len(TEXT)),), "nothing to score"),
    ],
)
def test_cut_that_cannot_be_made_is_refused(what: tuple[Cut, ...], said: str, explained: Explanation) -> None:
    with pytest.raises(InputError, match=said):
        explained.without(*what)
