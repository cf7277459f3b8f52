"""The page of a report, without a browser: one self-contained file in which every string is escaped."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scorer import __version__
from batch_scorer.report import charts, page, page_data
from batch_scorer.report.findings import Drift, Findings, Histogram
from batch_scorer.report.quality_findings import Reliability
from tests.findings import HOSTILE, bare, findings

SECTIONS = {"figures", "score", "training", "reference", "words", "quality", "reviews", "rejected", "reading"}


class Parsed(HTMLParser):
    """The page as a parser sees it: tags with attributes, text, and the contents of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        last = self.tags[-1][0] if self.tags else ""
        if self.cdata_elem:
            self.raw.append((last, data))
        else:
            self.text += data

    def sections(self) -> set[str]:
        return {str(attributes["id"]) for tag, attributes in self.tags if tag == "section" and "id" in attributes}

    def data(self) -> Any:
        return json.loads("".join(text for tag, text in self.raw if text.startswith("{")))


@pytest.fixture(scope="module")
def hostile() -> str:
    return page.render(findings(hostile=True)).decode()


@pytest.fixture(scope="module")
def parsed(hostile: str) -> Parsed:
    return Parsed(hostile)


@pytest.fixture(scope="module")
def plain() -> Parsed:
    return Parsed(page.render(bare()).decode())


def test_page_begins_as_html_and_says_what_wrote_it(hostile: str, parsed: Parsed) -> None:
    assert hostile.startswith("<!doctype html>")
    assert ("meta", {"name": "generator", "content": f"batch-scorer {__version__}"}) in parsed.tags


def test_policy_allows_the_style_and_the_script_of_the_page_and_nothing_else(parsed: Parsed) -> None:
    (policy,) = (a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    style, _, script = (text for _, text in parsed.raw)

    def source(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    rules = [
        "default-src 'none'",
        f"style-src {source(style)}",
        f"script-src {source(script)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    assert rules == str(policy).split("; ")


def test_page_refers_only_to_itself(parsed: Parsed) -> None:
    targets = {"href", "src", "srcset", "action", "formaction", "data", "poster", "xlink:href", "ping", "background"}
    refers = {str(value) for _, attributes in parsed.tags for name, value in attributes.items() if name in targets}
    assert {"data:,", "#main", *(f"#{name}" for name in SECTIONS)} == refers
    style, _, script = (text for _, text in parsed.raw)
    assert [] == re.findall(
        r"https?:|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", style + script
    )


def test_script_never_turns_strings_into_markup() -> None:
    script = resources.files("batch_scorer.report").joinpath("page.js").read_text()
    assert [] == re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|Function\(", script)


def test_hostile_strings_become_neither_tags_nor_attributes(parsed: Parsed) -> None:
    harmless = Parsed(page.render(findings()).decode())
    assert {tag for tag, _ in harmless.tags} == {tag for tag, _ in parsed.tags}
    names = {name for _, attributes in parsed.tags for name in attributes}
    assert set() == {name for name in names if name.startswith("on") or name == "style"}
    assert ["style", "script", "script"] == [tag for tag, _ in parsed.tags if tag in {"style", "script"}]


@pytest.mark.parametrize("string", HOSTILE[:-1])
def test_hostile_string_is_shown_unchanged(parsed: Parsed, string: str) -> None:
    assert string in parsed.text
    assert string in {value for name, value in parsed.data()["reviews"][0]["kept"]}


def test_controls_and_bidi_marks_are_spelled_out(hostile: str, parsed: Parsed) -> None:
    assert "gpj.U+202Eexe U+2066leftU+2069 U+001B[2JU+0000 U+2028 end" in parsed.text
    outside = hostile[: hostile.index('<script type="application/json"')]
    assert set() == set(outside) & set("\u202e\u2066\u2069\x1b\x00\u2028")


def test_script_spells_out_the_same_characters_as_the_page() -> None:
    script = resources.files("batch_scorer.report").joinpath("page.js").read_text()
    (in_script,) = re.findall(r"const INVISIBLE = /\(\[(.*)\]\)/u;", script)
    in_script = re.sub(r"\\u\{(\w+)\}", r"\\U000\1", in_script)
    every = "".join(map(chr, range(0x110000)))
    assert re.findall(f"[{page.INVISIBLE}]", every) == re.findall(f"[{in_script}]", every)


def test_data_of_the_script_cannot_end_its_element(parsed: Parsed) -> None:
    (data,) = (text for _, text in parsed.raw if text.startswith("{"))
    assert set() == set(data) & set("<>&\u2028\u2029")
    assert HOSTILE[0] == parsed.data()["reviews"][0]["id"]


def test_lone_surrogates_are_kept() -> None:
    plain = bare()
    review = replace(plain.reviews[0], record_id="half \ud800", source="\udcff.jsonl")
    half = replace(
        plain, run=replace(plain.run, output="\udcff"), reviews=(review,), score=Histogram((0.0,), (1,), (1,)), drift=()
    )
    assert "half \ud800" == Parsed(page.render(half).decode()).data()["reviews"][0]["id"]


def test_page_has_every_section_that_has_something_to_show(parsed: Parsed) -> None:
    assert SECTIONS == parsed.sections()
    assert ("option", {"value": "wrong"}) in parsed.tags
    assert "This run is not a success: 1 file could not be read." in parsed.text


def test_empty_sections_are_left_out(plain: Parsed) -> None:
    assert SECTIONS - {"reference", "quality", "rejected"} == plain.sections()
    assert "not a success" not in plain.text
    assert ("option", {"value": "wrong"}) not in plain.tags
    assert "There are no texts: none were kept, and none were given." in plain.text


def test_sections_are_linked_in_order(parsed: Parsed) -> None:
    links = [str(a["href"])[1:] for tag, a in parsed.tags if tag == "a" and a["href"] != "#main"]
    assert links == [a["id"] for tag, a in parsed.tags if tag == "section" and "id" in a]


def test_headline_figures_match_the_run(parsed: Parsed) -> None:
    text = " ".join(parsed.text.split())
    for expected in (
        "Reviews scored50,000of 50,004 read",
        "Positive51.3%negative 48.7%",
        "Accuracy92.2%on 4,980 with a label",
        "Rejected4and 1 unreadable part",
        "Unknown words11.0%of 11,483,920 words",
        "2024-10-31 08:28 UTC",
        "major, PSI 0.41",
        "(95% confidence interval: 91.5% to 92.9%)",
    ):
        assert expected in text


def test_quality_says_what_the_labels_mean_and_how_many_reviews_have_none() -> None:
    text = " ".join(Parsed(page.render(findings(each=1)).decode()).text.split())
    assert "where >=4 means positive and <=2 negative (95% confidence interval: 91.5% to 92.9%)." in text
    assert "15 reviews have another value there and do not count. 5 reviews have no label there and do not" in text


def test_quality_without_any_label_says_so() -> None:
    labelled = findings(each=1)
    assert labelled.quality
    unlabelled = replace(labelled.quality, reviews=0, accuracy=float("nan"), reliability=(), slices=())
    text = Parsed(page.render(replace(labelled, quality=unlabelled, drift=(), drift_reference=())).decode()).text
    assert "No review has a positive or negative label in the column stars." in text


def test_same_findings_give_the_same_bytes() -> None:
    same = replace(findings(each=1), drift=(), drift_reference=(), quality=None)
    assert page.render(same) == page.render(same)


def test_large_report_stays_below_five_megabytes() -> None:
    large = findings(each=100, plain=950)
    assert 5_000 < min(len(review.text or "") for review in large.reviews)
    assert 5_000_000 > len(page.render(replace(large, drift=(), drift_reference=(), quality=None)))


def test_dark_scheme_is_the_same_by_preference_and_by_button() -> None:
    css = resources.files("batch_scorer.report").joinpath("page.css").read_text()
    by_preference, by_button = re.findall(
        r":root(?::not\(\[data-scheme=\"light\"\]\)|\[data-scheme=\"dark\"\]) \{(.*?)\}", css, re.S
    )
    assert by_preference == by_button


def test_sum_on_the_page_adds_up_with_each_term_within_a_thousandth() -> None:
    some = findings(each=4)
    data = json.loads(page_data.as_json(some.reviews, some.bias, some.max_words))
    for review, row in zip(some.reviews, data["reviews"], strict=True):
        listed = [word for word in row["listed"] if word[6]]
        assert row["logit"] == data["bias"] + sum(word[5] for word in listed) + row["rest"]
        exact = [word.contribution for word in review.words if word.contributing_rank]
        assert all(abs(1000 * a - b[5]) <= 1 for a, b in zip(exact, listed, strict=True))


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=30), st.floats(-2, 2))
def test_thousandths_add_up_whatever_the_terms(terms: list[float], bias: float) -> None:
    logit = bias + sum(terms)
    rounded = page_data.thousandths(bias, terms, logit)
    assert round(logit * 1000) == round(bias * 1000) + sum(rounded)
    assert max(abs(a * 1000 - b) for a, b in zip(terms, rounded, strict=True)) < 1.6


def test_thousandths_of_terms_that_do_not_add_up_are_only_rounded() -> None:
    assert [1500, -250] == page_data.thousandths(0.0, [1.5, -0.25], 9.0)


def test_charts_take_their_colours_from_the_page(hostile: str) -> None:
    drawn = re.findall(r'<svg class="chart".*?</svg>', hostile, re.S)
    assert 9 == len(drawn)
    colours = {colour for svg in drawn for colour in re.findall(r'(?:fill|stroke)="([^"]*)"', svg)}
    names = {"accent", "bar", "ink", "muted", "neg", "pos", "rule"}
    assert {f"var(--{name})" for name in names} | {"none"} >= colours
    css = resources.files("batch_scorer.report").joinpath("page.css").read_text()
    assert set() == {name for name in names if f"--{name}: #" not in css}


def test_chart_labels_are_the_edges_of_its_bins() -> None:
    drift = Drift("length", 0.1, "stable", "", Histogram((1, 10, 25, 50), (1, 2, 3, 4), (4, 3, 2, 1)))
    assert ["1", "10", "25", "50"] == re.findall(r">(\d+)</text>", charts.drift_chart(drift, ""))
    names = [row.name for row in charts.bins(drift.histogram, words=True)]
    assert ["1 to 9", "10 to 24", "25 to 49", "50 or more"] == names


def test_bars_have_the_colour_of_the_label_that_the_threshold_gives() -> None:
    drawn = charts.score_chart(Histogram((0.0, 0.2, 0.4, 0.6, 0.8), (1,) * 5, (1,) * 5), 0.6, 300, "")
    assert ["var(--neg)"] * 3 + ["var(--pos)"] * 2 == re.findall(r"var\(--(?:pos|neg)\)", drawn)


def test_shares_are_of_the_reviews_of_each_side() -> None:
    row = charts.bins(Histogram((0.0, 0.5), (1, 3), (30, 10)))[0]
    assert ("0.00 to 0.50", 0.25, 0.75) == (row.name, row.run_share, row.other_share)


def test_chart_of_unknown_words_ends_where_the_last_review_is() -> None:
    edges = tuple(i / 20 for i in range(20))
    counts = (5, 4, 3, 2, 1, 1, 1, *(0,) * 13)
    drift = Drift("unknown words", 0.1, "stable", "", Histogram(edges, counts, counts))
    assert "0.35" == re.findall(r">(0\.\d\d)</text>", charts.drift_chart(drift, ""))[-1]


def test_label_of_a_chart_is_escaped() -> None:
    point = Reliability(10, 0.5, 0.5)
    assert 'aria-label="&lt;b&gt; &quot;x&quot;"' in charts.reliability_chart([point], '<b> "x"')


def test_run_without_a_review_has_a_page() -> None:
    nothing = Histogram((0.0, 0.5), (0, 0), (0, 0))
    empty: Findings = replace(
        bare(),
        scored=0,
        read=0,
        used_words=0,
        reviews=(),
        positive_words=(),
        negative_words=(),
        drift=(),
        score=nothing,
    )
    assert {"figures", "score", "reading"} == Parsed(page.render(empty).decode()).sections()
