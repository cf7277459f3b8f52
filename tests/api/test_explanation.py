"""An explained text: its numbers add up and are those of `score`; how it looks in a terminal and in a notebook."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from batch_scorer import Explanation, Model
from batch_scorer.errors import InputError, OptionError
from tests.conftest import REVIEWS

HOSTILE = "<script>alert('good')</script> & \"bad\"<br />film\x1b[31m \u202enot good"


@pytest.fixture(scope="module")
def explained(model: Model) -> Explanation:
    return model.explain("A wonderful film,<br /><br />and unheard of. Not boring!", top_k=3)


def test_words_lie_where_they_say_and_add_up(explained: Explanation, model: Model) -> None:
    for position, word in enumerate(explained.words):
        assert word.token == explained.text[word.char_start : word.char_end].lower()
        assert position == word.position
    assert ["unheard", "of"] == [word.token for word in explained.words if not word.known]
    listed = sum(word["contribution"] for word in explained.row["top_contributing"])
    total = explained.bias + listed + explained.row["rest_contribution"]
    assert math.isclose(explained.logit, total, abs_tol=1e-5)
    assert math.isclose(
        explained.probability, 1 / (1 + math.exp(-explained.logit / explained.temperature)), abs_tol=1e-6
    )
    assert ("positive" if explained.probability >= 0.5 else "negative") == explained.label


@pytest.mark.parametrize("text", [text for _, text in REVIEWS])
def test_row_is_that_of_score_but_for_the_last_digits(model: Model, text: str) -> None:
    (expected,) = model.score([text], 3).drop_columns("error").to_pylist()
    actual = dict(model.explain(text, 3).row)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert math.isclose(value, actual[name], rel_tol=1e-5, abs_tol=1e-5)
        elif isinstance(value, list):
            assert len(value) == len(actual[name])
            assert np.allclose([word["contribution"] for word in value], [w["contribution"] for w in actual[name]])
        else:
            assert value == actual[name]


def test_words_of_a_long_text_that_are_not_read_say_so(model: Model) -> None:
    words = model.explain("good " * 30 + "bad").words
    assert [False] * 12 + [True] * 19 == [word.read for word in words]
    assert {(0.0, 0.0, True)} == {(word.attention, word.contribution, word.known) for word in words if not word.read}


@pytest.mark.parametrize("wrong", [None, 5, "", "?!", "half \ud800", "good " * 400_000])
def test_text_that_cannot_be_scored_is_refused(model: Model, wrong: str) -> None:
    with pytest.raises(InputError):
        model.explain(wrong)


def test_number_of_words_that_cannot_be_is_refused(model: Model) -> None:
    with pytest.raises(OptionError):
        model.explain("good", -1)


def test_as_text_it_is_what_the_terminal_shows(explained: Explanation) -> None:
    marked, legend, result, table = re.fullmatch("(.*)\n\n(.*)\n\n(.*)\n\n(.*)", str(explained), re.DOTALL).groups()  # type: ignore[union-attr]
    assert 3 == len(re.findall(r"\([+-]\d\.\d\d\)", marked))
    assert "_unheard_ _of_" in marked and "film" in marked.split("\n\n")[0] and "and" in marked.split("\n\n")[1]
    assert "word(+0.50) for positive, word(-0.50) for negative, _word_ unknown" == legend
    assert f"{explained.label}: 8 words, 2 unknown; temperature 1.300" == result.splitlines()[0]
    assert 3 == len(table.splitlines()) - 2
    assert repr(explained).startswith(f"Explanation(label='{explained.label}', probability=0.")


class Shown(HTMLParser):
    """The tags, attributes and text of some HTML, which must be well-formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data


TAGS = {
    "figure",
    "p",
    "b",
    "br",
    "mark",
    "sub",
    "span",
    "details",
    "summary",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


def test_markup_marks_words_with_inline_styles_and_says_in_words_what_they_add(explained: Explanation) -> None:
    shown = Shown(explained._repr_html_())
    assert {tag for tag, _ in shown.tags} <= TAGS
    assert {name for _, attributes in shown.tags for name in attributes} <= {
        *("style", "title", "role", "aria-label", "scope"),
    }
    marks = [attributes for tag, attributes in shown.tags if tag == "mark" and "title" in attributes]
    assert all(
        re.fullmatch(r"adds [+-]\d\.\d{3}, attention 0\.\d{3}(, unknown to the model)?", str(m["title"])) for m in marks
    )
    assert all("color: inherit" in str(m["style"]) for m in marks)
    assert 3 == sum(tag == "sub" for tag, _ in shown.tags)
    label = dict(shown.tags)["figure"]["aria-label"]
    assert label == f"{explained.label}, P(positive) {explained.probability:.3f}: what each word adds"


def test_text_of_a_stranger_is_shown_and_not_obeyed(model: Model) -> None:
    explained = model.explain(HOSTILE)
    shown = Shown(explained._repr_html_())
    assert {tag for tag, _ in shown.tags} <= TAGS
    assert "<script" not in explained._repr_html_()
    for text in (str(explained), shown.text):
        assert "\x1b" not in text and "\u202e" not in text
    without_numbers = re.sub(r"[+-]\d\.\d", "", shown.text)
    assert "<script>alert('good')</script> & \"bad\"\nfilm" in without_numbers


def test_long_text_has_its_unread_words_faint(model: Model) -> None:
    html = model.explain("good " * 30 + "bad", 2)._repr_html_()
    assert 12 == html.count('<span style="opacity: 0.5">good</span>')
    assert "not read" in html
    assert "<details" not in model.explain("good", 0)._repr_html_()
