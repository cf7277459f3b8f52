"""The report in a browser: used by mouse, by keyboard and on a phone, in light and dark, and on paper."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Locator, expect

from batch_scorer.cli.main import main
from batch_scorer.report import page as report_page
from batch_scorer.report.commands import Commands
from batch_scorer.report.findings import LEAST_CERTAIN, MOST_POSITIVE, WordTotal
from tests.browsing import DESK, PHONE, SMALL_PHONE, Watched, chromium, opened
from tests.findings import HOSTILE, bare, findings, review_of
from tests.made_runs import write_run

EACH = 27  # reviews per list: more than are listed at first


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report in which every section has something to show, and whose strings are hostile."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(report_page.render(findings(EACH, hostile=True)))
    return path


@pytest.fixture(scope="module")
def short_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with few reviews, for the accessibility checker, which reads every element."""
    path = tmp_path_factory.mktemp("short") / "report.html"
    path.write_bytes(report_page.render(findings(3, hostile=True)))
    return path


@pytest.fixture(scope="module")
def odd_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with a review without a text, one whose text is cut, and one with characters beyond the first plane."""
    rng = np.random.default_rng(1)
    without = replace(
        review_of("without", "lovely old ferry, dull rain", rng, (MOST_POSITIVE,), 2), text=None, truth=None
    )
    cut = replace(
        review_of("cut", "a lovely old ferry and a dull end", rng, (MOST_POSITIVE,)), text="a lovely old", is_cut=True
    )
    astral = review_of("astral", "😀 𝒜 tender\u2028<br />film 👩\u200d🚀 superb", rng, (LEAST_CERTAIN,))
    path = tmp_path_factory.mktemp("odd") / "report.html"
    without, cut = replace(without, ranks=(1,)), replace(cut, ranks=(2,))
    odd_reviews = replace(bare(), reviews=(cut, without, astral), drift=(), positive_words=(), negative_words=())
    path.write_bytes(report_page.render(odd_reviews))
    return path


@pytest.fixture(scope="module")
def window(browser: Browser, report: Path) -> Iterator[Watched]:
    with opened(browser, report) as watched:
        yield watched


@pytest.fixture
def desk(window: Watched, report: Path) -> Iterator[Watched]:
    """The report, opened again in the one window: a new window would take longer than most of these tests."""
    window.open(report)
    yield window
    assert [] == window.messages


@pytest.fixture
def phone(browser: Browser, report: Path) -> Iterator[Watched]:
    with opened(browser, report, PHONE) as watched:
        yield watched
        assert [] == watched.messages


@pytest.fixture
def odd(browser: Browser, odd_report: Path) -> Iterator[Watched]:
    with opened(browser, odd_report) as watched:
        yield watched
        assert [] == watched.messages


def items(watched: Watched) -> Locator:
    return watched.page.locator("#items button")


def tab(watched: Watched, name: str) -> Locator:
    return watched.page.get_by_role("tab", name=name)


def figures(text: str) -> list[float]:
    """The numbers of a sum on the page, each with the sign before it."""
    numbers = re.findall(r"([+−]?)\s*(\d[\d,]*\.\d+)", text)
    return [float(number.replace(",", "")) * (-1 if sign == "−" else 1) for sign, number in numbers]


def test_report_logs_nothing_and_requests_only_itself(desk: Watched, report: Path) -> None:
    for each in desk.page.get_by_role("tab").all():
        each.click()
        items(desk).nth(1).click()
        desk.page.get_by_label("Attention", exact=True).check()
        desk.page.get_by_label("Contribution", exact=True).check()
    assert {report.as_uri(), "data:,"} >= set(desk.requests)


def test_policy_blocks_network_requests(browser: Browser, report: Path) -> None:
    with opened(browser, report) as watched:
        request = "() => fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'blocked')"
        assert "blocked" == watched.page.evaluate(request)
        assert any("Content Security Policy" in line for line in watched.messages)


def test_hostile_strings_stay_text(desk: Watched) -> None:
    items(desk).first.click()
    expect(desk.page.locator("#review-title")).to_have_text(f"Review {HOSTILE[0]}")
    text = desk.page.locator(".text")
    for string in HOSTILE[:-1]:
        expect(text).to_contain_text(string)
    expect(text).to_contain_text("gpj.U+202Eexe U+2066leftU+2069 U+001B[2JU+0000")
    expect(desk.page.locator("dl.kept bdi").nth(5)).to_have_text(HOSTILE[2])
    for summary in desk.page.locator("details.code summary").all():
        summary.click()
    assert desk.page.evaluate("window.__pwned") is None
    assert 0 == desk.page.locator("img, svg[onload], a[href^=javascript]").count()


def test_tab_switches_the_list(desk: Watched) -> None:
    expect(items(desk).nth(1)).to_contain_text("p000")
    tab(desk, "Most negative").click()
    expect(items(desk).first).to_contain_text("n000")
    expect(desk.page.locator("#review-title")).to_have_text("Review n000")
    expect(tab(desk, "Most negative")).to_have_attribute("aria-selected", "true")
    expect(desk.page.get_by_role("tabpanel", name="Most negative")).to_be_visible()


def test_button_shows_more_of_a_list(desk: Watched) -> None:
    tab(desk, "Most negative").click()
    expect(items(desk)).to_have_count(25)
    desk.page.get_by_role("button", name="Show more").click()
    expect(items(desk)).to_have_count(EACH)
    expect(items(desk).nth(25)).to_be_focused()
    expect(desk.page.get_by_role("button", name="Show more")).to_be_hidden()


def test_next_review_is_reached_beyond_those_listed(desk: Watched) -> None:
    tab(desk, "Most negative").click()
    items(desk).nth(24).click()
    desk.page.get_by_role("button", name="Next").click()
    expect(desk.page.locator("#review-title")).to_have_text("Review n025")
    expect(desk.page.get_by_role("button", name="Next")).to_be_focused()


@pytest.mark.parametrize(
    ("query", "expected"),
    [("U003", "u003"), ("FERRY 1", "ferry 1"), ("onload='window", HOSTILE[0])],
    ids=["id", "kept value", "text"],
)
def test_search_finds_reviews_with_the_words(desk: Watched, query: str, expected: str) -> None:
    tab(desk, "All of these").click()
    desk.page.get_by_role("searchbox").fill(query)
    first = items(desk).first
    first.click()
    expect(desk.page.locator("#review")).to_contain_text(expected)
    matches = int(desk.page.locator("#match-count").inner_text().split()[0])
    assert 0 < matches < 4 * EACH


LONG = "Donaudampfschifffahrtsgesellschaftskapit\u00e4nsm\u00fctzenabzeichen"


@pytest.fixture(scope="module")
def part_of_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on some reviews of a run that is no success, with a number and a very long word among its words."""
    made = findings(EACH)
    words = (WordTotal(LONG, 4_900.0, 10, 9, 1.0, 3.0), WordTotal("7", 900.0, 5, 4, 1.0, 3.0))
    path = tmp_path_factory.mktemp("part") / "report.html"
    found = replace(
        made,
        positive_words=(*words, *made.positive_words),
        changed_words=(words[0], *made.changed_words),
        reviews=(replace(made.reviews[0], record_id=LONG * 3, kept=((LONG, LONG),), text=LONG), *made.reviews[1:]),
        other_ids=(*(f"z{at:04d}" for at in range(40)), "it's one"),
        commands=Commands((("accept it:", ACCEPT),), "batch-scorer report out --text-from 'my file.csv'", LOOK_UP),
    )
    path.write_bytes(report_page.render(found))
    return path


ACCEPT = "batch-scorer score in --output out --resume --max-error-rate 0.2"
LOOK_UP = "batch-scorer explain --run out --id"


@pytest.fixture
def part(window: Watched, part_of_a_run: Path) -> Iterator[Watched]:
    window.open(part_of_a_run)
    yield window
    assert [] == window.messages


def test_search_takes_words_in_any_order_and_quoted_ones_as_they_stand(part: Watched) -> None:
    tab(part, "All of these").click()
    text = next(review.text for review in findings(EACH).reviews[1:] if review.text)
    words = re.findall(r"\w+", text)[:4]
    box = part.page.get_by_role("searchbox")
    box.fill(" ".join([*reversed(words), "p001"]))
    expect(part.page.get_by_role("status")).to_have_text(re.compile(r"^[1-9]\d* of "))
    expect(part.page.locator("#review-title")).to_have_text("Review p001")
    box.fill(f'"{words[3]} {words[2]} {words[1]} {words[0]} {words[1]}"')
    expect(part.page.get_by_role("status")).to_have_text(re.compile("^0 of "))


def test_search_for_what_is_elsewhere_says_where(part: Watched) -> None:
    box, elsewhere = part.page.get_by_role("searchbox"), part.page.locator("#elsewhere")
    expect(elsewhere).to_be_empty()
    box.fill("n001")
    expect(elsewhere).to_contain_text("1 review in the other lists matches")
    box.fill("z0007")
    expect(elsewhere).to_contain_text("One review of the run has this id and is not on this page: z0007.")
    expect(elsewhere.locator("code")).to_have_text(f"{LOOK_UP} z0007")
    box.fill("Z000")
    expect(elsewhere).to_contain_text("10 reviews of the run have such an id and are not on this page: z0000 and")
    box.fill("it's one")
    command = elsewhere.locator("code").inner_text()
    assert [*LOOK_UP.split(), "it's one"] == shlex.split(command)
    box.fill("p001")
    expect(elsewhere).to_be_empty()


def test_page_of_a_large_run_says_how_to_see_any_review(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    path.write_bytes(report_page.render(replace(findings(2), other_ids=None)))
    with opened(browser, path) as watched:
        watched.page.get_by_role("searchbox").fill("r9")
        expect(watched.page.locator("#elsewhere")).to_contain_text("Any other can be seen by its id")
        expect(watched.page.locator("#elsewhere code")).to_have_text("batch-scorer explain --run OUT --id r9")


def test_list_says_that_there_is_more_until_its_end_is_seen(part: Watched) -> None:
    panel = part.page.locator("#panel")
    hint = "getComputedStyle(document.querySelector('#panel'), '::after').content"
    assert "more below" in part.page.evaluate(hint)
    panel.evaluate("panel => { panel.scrollTop = panel.scrollHeight; }")
    expect(panel).not_to_have_attribute("data-more", re.compile(".*"))
    assert "none" == part.page.evaluate(hint)
    panel.evaluate("panel => { panel.scrollTop = 0; }")
    expect(panel).to_have_attribute("data-more", "")
    part.page.get_by_role("searchbox").fill("p001")
    expect(panel).not_to_have_attribute("data-more", re.compile(".*"))


def test_commands_of_the_page_are_copied_whole_by_a_click(part: Watched) -> None:
    commands = part.page.locator(".command")
    assert [ACCEPT, "batch-scorer report out --text-from 'my file.csv'"] == commands.locator("code").all_inner_texts()
    first = commands.first
    first.locator("code").click()
    assert ACCEPT == part.page.evaluate("getSelection().toString()")
    first.get_by_role("button", name="Copy").click()
    expect(first.get_by_role("button")).to_have_text("Copied")


def test_number_among_the_words_is_explained(part: Watched) -> None:
    expect(part.page.locator("#words")).to_contain_text("7 number")
    expect(part.page.locator("#numbers")).to_contain_text("a rating that somebody typed into a text, such as 7 or 8/10")


def test_long_words_wrap_on_a_phone_and_the_words_tables_fit(browser: Browser, part_of_a_run: Path) -> None:
    wider = "box => box.scrollWidth - box.clientWidth"
    with opened(browser, part_of_a_run, SMALL_PHONE) as watched:
        assert 0 == watched.overflow()
        for name in ("Towards positive", "Towards negative", "Words that changed most"):
            assert 1 >= watched.page.get_by_role("region", name=name).evaluate(wider), name
        items(watched).first.click()
        assert 0 == watched.overflow()
        assert 1 >= watched.page.get_by_role("region", name="Listed words").evaluate(wider)
        assert 0 == watched.page.locator(".text").evaluate(wider)
        assert [] == watched.messages


def test_search_without_a_match_says_so_and_is_cleared(desk: Watched) -> None:
    desk.page.get_by_role("searchbox").fill("zeppelin")
    expect(desk.page.get_by_role("status")).to_have_text(f"0 of {EACH + 1} reviews")
    expect(desk.page.locator("#review-title")).to_have_text("No matches")
    desk.page.get_by_role("button", name="Clear").click()
    expect(desk.page.get_by_role("status")).to_have_text(f"{EACH + 1} reviews")


def test_filters_show_only_matching_reviews(desk: Watched) -> None:
    tab(desk, "Least certain").click()
    desk.page.get_by_label("Label", exact=True).select_option("positive")
    desk.page.get_by_label("Probability from").fill("0.6")
    desk.page.get_by_label("Probability to").fill("0.9")
    shown = [text.split()[:2] for text in items(desk).all_inner_texts()]
    assert shown
    assert all(label == "positive" and 0.6 <= float(chance) <= 0.9 for chance, label in shown)
    desk.page.get_by_label("Label", exact=True).select_option("wrong")
    assert all("actually negative" in text for text in items(desk).all_inner_texts())


def test_marks_follow_the_switch_between_contribution_and_attention(desk: Watched) -> None:
    items(desk).nth(1).click()
    marks = desk.page.locator(".text .word")
    classes = [str(mark.get_attribute("class")) for mark in marks.all()]
    assert {"p4", "n4"} & set(" ".join(classes).split())
    assert {"p1", "n1"} & set(" ".join(classes).split())
    assert {"pos", "neg"} >= {each.split()[-1] for each in classes}
    expect(desk.page.locator("#legend")).to_contain_text("negative")
    desk.page.get_by_label("Attention", exact=True).check()
    assert all(re.fullmatch(r"word a[1-4]", str(mark.get_attribute("class"))) for mark in marks.all())
    expect(desk.page.locator("#legend")).to_contain_text("attention")
    items(desk).nth(2).click()
    expect(desk.page.get_by_label("Attention", exact=True)).to_be_checked()


def test_sign_of_a_word_does_not_rest_on_its_colour(desk: Watched) -> None:
    items(desk).nth(1).click()
    assert "solid" == desk.colour(".text .pos", "textDecorationStyle")
    assert "dotted" == desk.colour(".text .neg", "textDecorationStyle")


@pytest.mark.parametrize("name", ["Most positive", "Least certain"])
def test_shown_sum_adds_up(desk: Watched, name: str) -> None:
    tab(desk, name).click()
    for at in range(1, 4):
        items(desk).nth(at).click()
        first, second = desk.page.locator(".sum").all()
        bias, words, rest, logit = figures(first.inner_text())
        assert logit == pytest.approx(bias + words + rest, abs=1e-9)
        cells = desk.page.locator(".listed tbody tr").evaluate_all(
            "rows => rows.filter(row => row.cells[3].textContent !== 'rest').map(row => row.cells[2].textContent)"
        )
        assert words == pytest.approx(sum(figures(" ".join(cells))), abs=1e-9)
        shown_logit, temperature, calibrated, chance = figures(second.inner_text())
        assert logit == shown_logit
        assert calibrated == pytest.approx(logit / temperature, abs=6e-4)
        assert chance == pytest.approx(1 / (1 + math.exp(-calibrated)), abs=1e-3)


def test_values_of_a_word_are_shown_on_hover(desk: Watched) -> None:
    items(desk).nth(1).click()
    word = desk.page.locator(".text .word").first
    word.hover()
    tip = desk.page.locator("#tip")
    expect(tip).to_contain_text(word.inner_text())
    expect(tip).to_contain_text(re.compile(r"contribution[+−]\d\.\d{3}rank \d+attention\d\.\d{3}"))
    desk.page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_keyboard_alone_reaches_the_figures_of_a_word(desk: Watched) -> None:
    press = desk.page.keyboard.press
    press("Tab")
    expect(desk.page.get_by_role("link", name="Skip to the report")).to_be_focused()
    press("Enter")
    expect(desk.page.locator("main")).to_be_focused()
    tab(desk, "Most positive").focus()
    press("ArrowRight")
    expect(tab(desk, "Most negative")).to_be_focused()
    expect(items(desk).first).to_contain_text("n000")
    for _ in range(6):  # search, label, two bounds, clear, list
        press("Tab")
    expect(items(desk).first).to_be_focused()
    press("ArrowDown")
    expect(items(desk).nth(1)).to_be_focused()
    expect(desk.page.locator("#review-title")).to_have_text("Review n001")
    words = desk.page.locator(".text .word")
    words.first.focus()
    press("ArrowRight")
    expect(words.nth(1)).to_be_focused()
    expect(desk.page.locator("#tip")).to_be_visible()
    expect(words.nth(1)).to_have_accessible_name(re.compile(r": contribution .*\d\.\d{3} rank \d+; attention 0\.\d{3}"))
    press("End")
    expect(words.last).to_be_focused()
    press("Enter")
    expect(desk.page.locator(".listed tr:focus")).to_contain_text(words.last.inner_text())


def test_dark_scheme_follows_the_system(browser: Browser, report: Path, desk: Watched) -> None:
    light = [desk.colour("body", "backgroundColor"), desk.colour("#score .chart [fill='var(--pos)']", "fill")]
    with opened(browser, report, DESK, "dark") as watched:
        dark = [watched.colour("body", "backgroundColor"), watched.colour("#score .chart [fill='var(--pos)']", "fill")]
    assert ["rgb(255, 255, 255)", "rgb(26, 95, 180)"] == light
    assert ["rgb(20, 23, 27)", "rgb(132, 182, 244)"] == dark


def test_button_switches_the_dark_scheme(desk: Watched) -> None:
    desk.page.get_by_role("button", name="Dark colours").click()
    assert "rgb(20, 23, 27)" == desk.colour("body", "backgroundColor")
    assert "rgb(132, 182, 244)" == desk.colour("#score .chart [fill='var(--pos)']", "fill")
    desk.page.emulate_media(color_scheme="dark")
    desk.page.get_by_role("button", name="Light colours").click()
    assert "rgb(255, 255, 255)" == desk.colour("body", "backgroundColor")
    desk.page.emulate_media(color_scheme="light")


# Colours do not depend on the size of the window, nor its layout on the colours: each is checked once.
@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (SMALL_PHONE, "dark")], ids=["desk-light", "phone-dark"])
def test_accessibility_checker_reports_nothing_serious(
    browser: Browser, short_report: Path, size: tuple[int, int], scheme: str
) -> None:
    with opened(browser, short_report, size, scheme) as watched:
        tab(watched, "Least certain").click()
        watched.page.locator("#quality details summary, #rejected summary").evaluate_all(
            "all => all.forEach(s => s.click())"
        )
        assert [] == watched.serious_violations()
        items(watched).nth(2).click()
        watched.page.get_by_label("Attention", exact=True).check()
        watched.page.locator(".text .word").first.focus()
        assert [] == watched.serious_violations("#marked")


def test_phone_shows_list_or_review_and_never_scrolls_sideways(browser: Browser, report: Path) -> None:
    with opened(browser, report, SMALL_PHONE) as watched:
        assert 0 == watched.overflow()
        items(watched).first.click()
        expect(items(watched).first).to_be_hidden()
        expect(watched.page.locator("#review")).to_be_focused()
        assert 0 == watched.overflow()
        watched.page.locator(".text .word").last.focus()
        assert 0 == watched.overflow()
        watched.page.get_by_role("button", name="Back to the list").click()
        expect(items(watched).first).to_be_focused()
        expect(watched.page.locator("#review")).to_be_hidden()


def test_phone_returns_to_the_list_when_another_is_selected(phone: Watched) -> None:
    items(phone).first.click()
    tab(phone, "Most negative").click()
    expect(items(phone).first).to_be_visible()


def test_paper_is_black_on_white_without_controls_and_with_everything_open(browser: Browser, report: Path) -> None:
    with opened(browser, report, DESK, "dark") as watched:
        watched.page.emulate_media(media="print")
        watched.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        for control in ("nav", "#scheme", "#filters", "[role=tablist]", ".steps", "#mode-attention"):
            expect(watched.page.locator(control)).to_be_hidden()
        expect(watched.page.locator(".text")).to_be_visible()
        expect(watched.page.locator("details td").first).to_be_visible()
        assert ["rgb(255, 255, 255)", "rgb(0, 0, 0)"] == [
            watched.colour("body", of) for of in ("backgroundColor", "color")
        ]
        watched.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert 0 == watched.page.locator("details[open]").count()


def test_review_without_text_shows_its_words_in_order_and_says_why(odd: Watched) -> None:
    expect(odd.page.locator("#review-title")).to_have_text("Review without")
    expect(odd.page.locator("#marked")).to_contain_text("The text is not available")
    tokens = odd.page.locator(".text").inner_text()
    assert tokens.index("lovely") < tokens.index("dull")
    expect(odd.page.locator("#review")).not_to_contain_text("actually")


def test_review_with_a_cut_text_lists_all_its_words(odd: Watched) -> None:
    items(odd).nth(1).click()
    expect(odd.page.locator("#marked")).to_contain_text("Only the beginning of the text is shown")
    marked = odd.page.locator(".text .word").all_inner_texts()
    assert "lovely" in marked
    assert "dull" not in marked
    expect(odd.page.locator(".listed")).to_contain_text("dull")


def test_words_are_marked_in_place_beyond_the_first_plane_too(odd: Watched) -> None:
    tab(odd, "Least certain").click()
    assert ["𝒜", "tender", "film", "superb"] == odd.page.locator(".text .word").all_inner_texts()
    assert "👩\u200d🚀" in odd.page.locator(".text").inner_text()
    assert "U+2028" not in odd.page.locator(".text").inner_text()


def test_report_on_many_reviews_is_small_and_works(browser: Browser, tmp_path: Path) -> None:
    run, page, reviews = tmp_path / "out", tmp_path / "report.html", str(tmp_path / "reviews.parquet")
    pq.write_table(write_run(run, 12_000, source=reviews, keep=("truth",), hostile=True, rejected=20), reviews)
    command = ["report", str(run), "--output", str(page), "--text-from", reviews, "--label-column", "truth"]
    assert 0 == CliRunner().invoke(main, command).exit_code
    assert page.stat().st_size < 5_000_000
    with opened(browser, page) as watched:
        expect(watched.page.locator("main")).to_contain_text("12,000")
        assert [] == watched.serious_violations()
        tab(watched, "Most surprising").click()
        expect(items(watched)).to_have_count(25)
        watched.page.get_by_label("Label", exact=True).select_option("negative")
        expect(items(watched).first).to_contain_text("negative")
        watched.page.get_by_label("Attention", exact=True).check()
        watched.page.locator(".text .word").first.focus()
        watched.page.keyboard.press("ArrowRight")
        expect(watched.page.locator("#tip")).to_be_visible()
        watched.page.get_by_role("searchbox").fill("no such word")
        expect(watched.page.locator("#match-count")).to_contain_text("0 reviews")
        watched.page.get_by_role("button", name="Dark colours").click()
        assert "rgb(20, 23, 27)" == watched.colour("body", "backgroundColor")
        assert 0 == watched.page.locator("img, svg[onload], a[href^=javascript]").count()
        assert [] == watched.messages
        assert [page.as_uri()] == watched.requests
        assert 0 >= watched.overflow()
