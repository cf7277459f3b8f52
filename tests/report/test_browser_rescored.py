"""A report whose reviews were scored again, in a browser: every word in colour, and what deleting a part changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from batch_scorer.report import page as report_page
from batch_scorer.report.findings import LEAST_CERTAIN, MOST_POSITIVE, ListedPhrase, Measured, Review
from tests.browsing import DESK, PHONE, Watched, chromium, opened
from tests.findings import HOSTILE, bare, review_of

# With a character beyond the first plane: offsets count code points.
TEXT = "😀 A lovely old ferry. The rain was dull and thin, " + "over and over. " * 12 + "Superb!"


def measured_review(record_id: str, text: str, listed: str) -> Review:
    """A review that lists few words, with a colour for each of its words, and a change for most of its parts."""
    review = review_of(record_id, text, np.random.default_rng(5), (listed,), top_k=3)
    places = [match.span() for match in re.finditer(r"[\w']+", text)]
    own = {(word.char_start, word.char_end): word.contribution for word in review.words}
    words = tuple((start, end, own.get((start, end), (-1) ** at * 0.02)) for at, (start, end) in enumerate(places))
    first, second, *rest = own
    sentence = ListedPhrase(places[0][0], places[3][1], 0, 4, 0.75)
    changes = {first: -0.0321, second: -0.00042, places[0][:1] + places[3][1:]: 0.25} | dict.fromkeys(rest[1:])
    return replace(review, measured=Measured(words, changes, (sentence,)))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rescored") / "report.html"
    first = replace(measured_review("first", TEXT, MOST_POSITIVE), ranks=(1,))
    changed = replace(first, record_id="changed", measured=None, not_measured=f"It changed {HOSTILE[0]}", ranks=(2,))
    cut = measured_review("cut", TEXT, LEAST_CERTAIN)
    cut = replace(cut, text=TEXT[:60], is_cut=True)
    found = replace(bare(), reviews=(first, changed, cut), rescored="3 reviews scored again.", drift=())
    path.write_bytes(report_page.render(found))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def window(browser: Browser, report: Path) -> Iterator[Watched]:
    with opened(browser, report) as watched:
        yield watched
        assert [] == watched.messages


@pytest.fixture
def desk(window: Watched, report: Path) -> Watched:
    window.open(report)
    return window


def test_every_word_of_the_text_is_coloured(desk: Watched) -> None:
    words = desk.page.locator(".text .word")
    assert re.findall(r"[\w']+", TEXT) == words.all_inner_texts()
    assert TEXT == desk.page.locator(".text").inner_text()
    backgrounds = words.evaluate_all("all => new Set(all.map(word => getComputedStyle(word).backgroundColor)).size")
    assert 2 < backgrounds
    assert 0 == desk.page.locator(".text .word:not([class*=pos]):not([class*=neg])").count()
    # Colour is not the only sign of what speaks for negative.
    assert "dotted" == desk.colour(".text .word.other.neg", "textDecorationStyle")
    assert "none" == desk.colour(".text .word.other.pos", "textDecorationLine")
    desk.page.get_by_label("Attention", exact=True).check()
    assert 3 >= words.count()


def test_cut_text_is_coloured_as_far_as_it_goes(desk: Watched) -> None:
    desk.page.get_by_role("tab", name="Least certain").click()
    shown = desk.page.locator(".text .word").all_inner_texts()
    assert [match.group() for match in re.finditer(r"[\w']+", TEXT) if match.end() <= 60] == shown
    expect(desk.page.locator(".sentences")).to_contain_text("A lovely old ferry")


def test_tables_show_the_change_beside_the_contribution_and_say_why_they_differ(desk: Watched) -> None:
    listed = desk.page.locator(".listed").last.locator("tbody tr")
    changes = listed.locator("td:nth-child(4)").all_inner_texts()
    assert {"−0.032", "−0.00042", "no word left", ""} == set(changes)  # the last was not deleted
    sentence = desk.page.locator(".sentences tbody tr")
    assert ["A lovely old ferry", "0", "+0.750", "+0.250"] == sentence.locator("th, td").all_inner_texts()
    expect(desk.page.locator("#review")).to_contain_text("A contribution is a part's share of the score as it is")
    expect(desk.page.locator("#reading")).to_contain_text("take away not, and good turns")


def test_keyboard_walks_word_by_word_or_from_listed_to_listed(desk: Watched) -> None:
    words, press = desk.page.locator(".text .word"), desk.page.keyboard.press
    words.first.focus()
    others = desk.page.locator(".text .word.other")
    press("ArrowDown")
    listed = desk.page.locator(".text .word:focus")
    expect(listed).not_to_have_class(re.compile("other"))
    expect(listed).to_have_accessible_name(re.compile(r": contribution .* rank \d; attention "))
    press("End")
    press("ArrowLeft")
    focused = desk.page.locator(".text .word:focus")
    expect(focused).to_have_class(re.compile("other"))
    expect(focused).to_have_accessible_name(re.compile(r"^over: contribution (minus )?\+?0\.020 part of the rest$"))
    expect(desk.page.locator("#tip")).to_contain_text("part of the rest")
    press("Enter")  # there is no row to go to
    expect(focused).to_have_class(re.compile("other"))
    press("ArrowUp")
    expect(desk.page.locator(".text .word:focus")).not_to_have_class(re.compile("other"))
    # Whoever listens to the text hears words and no figures between them.
    assert 0 == others.evaluate_all("all => all.filter(word => word.hasAttribute('aria-label')).length")


def test_review_that_was_not_measured_says_why_and_colours_listed_words_alone(desk: Watched) -> None:
    desk.page.locator("#items button").nth(1).click()
    expect(desk.page.locator("#marked .note")).to_have_text(f"It changed {HOSTILE[0]}")
    assert 0 == desk.page.locator(".text .word.other").count()
    assert 0 < desk.page.locator(".text .word").count()
    expect(desk.page.locator("#review")).not_to_contain_text("if deleted")


@pytest.mark.parametrize(
    ("size", "scheme"), [((1440, 900), "light"), (PHONE, "dark")], ids=["desk-light", "phone-dark"]
)
def test_accessibility_checker_reports_nothing_serious_and_nothing_overflows(
    size: tuple[int, int], scheme: str, browser: Browser, report: Path
) -> None:
    with opened(browser, report, size, scheme) as watched:
        watched.page.locator("#items button").first.click()
        watched.page.locator(".text .word.other").nth(8).focus()
        assert [] == watched.serious_violations("#reviews")
        assert 0 == watched.overflow()


def test_paper_keeps_the_colours(browser: Browser, report: Path) -> None:
    with opened(browser, report, DESK, "dark") as watched:
        watched.page.emulate_media(media="print")
        expect(watched.page.locator(".text .word.other").first).to_be_visible()
        assert "exact" == watched.colour(".text .word.other", "printColorAdjust")
        assert "rgba(0, 0, 0, 0)" != watched.colour(".text .word.other", "backgroundColor")
