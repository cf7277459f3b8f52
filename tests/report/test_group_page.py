"""The groups on the page of a report: escaped, named, and in a browser searched, ordered and opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from batch_scorer.report import page
from batch_scorer.report.group_page import sentence
from tests.browsing import DESK, PHONE, chromium, opened
from tests.findings import HOSTILE, bare, findings
from tests.group_findings import overview, with_groups
from tests.report.test_page import Parsed

GROUPS = 60


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("groups") / "report.html"
    made = replace(with_groups(findings(3), GROUPS, HOSTILE, HOSTILE[0]), drift=(), drift_reference=())
    path.write_bytes(page.render(made))
    return path


def test_hostile_names_stay_text_and_title_names_the_page(report: Path) -> None:
    parsed = Parsed(report.read_text(encoding="utf-8"))
    assert [] == [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert {"style", "script"} >= {tag for tag, _ in parsed.tags if tag in {"style", "script", "img", "iframe"}}
    assert {row[0] for row in parsed.data()["groups"][0]["rows"]} >= {name for name in HOSTILE if len(name) <= 60}
    assert f"<title>{HOSTILE[0].replace('<', '&lt;').replace('>', '&gt;')}</title>" in report.read_text("utf-8")
    assert "Sentiment report" in parsed.text
    assert HOSTILE[0] in parsed.text


def test_page_names_what_moved_since_when_and_why(report: Path) -> None:
    text = " ".join(Parsed(report.read_text(encoding="utf-8")).text.split())
    assert "3 of 67 groups moved." in text
    assert "Old Harbour 1 79% → 56% positive since April 2024" in text
    assert "cancelled31.0%4.0%2.0%" in text.replace(" ", "")
    assert "September 2024 is unfinished: it is shown, but not compared." in text
    assert "12 reviews have no date" in text


def test_short_list_leads_to_each_group_that_moved(report: Path) -> None:
    source = report.read_text(encoding="utf-8")
    parsed = Parsed(source)
    ids = {attributes["id"] for tag, attributes in parsed.tags if tag in ("article", "details") and "id" in attributes}
    links = [attributes["href"] for tag, attributes in parsed.tags if tag == "a" and "#mover-" in attributes["href"]]
    assert ["#mover-1", "#mover-2", "#mover-3"] == links
    assert {link.removeprefix("#") for link in links} <= ids
    text = " ".join(parsed.text.split()).replace(" :", ":").replace(" ,", ",")
    assert "Old Harbour 1 79% → 56% positive since April 2024: cancelled, refund, queue" in text
    alone = replace(with_groups(findings(3), 6), drift=(), drift_reference=())
    assert alone.groups is not None
    one = replace(alone, groups=replace(alone.groups, movers=alone.groups.movers[:1]))
    assert "mover-1" in page.render(one).decode() and 'href="#mover-1"' not in page.render(one).decode()


def test_sentence_says_how_many_moved() -> None:
    some = overview(6)
    (grouping,) = some.groupings
    none = replace(some, groupings=(replace(grouping, moved=0),), movers=())
    untested = replace(some, groupings=(replace(grouping, moved=0, tested=0),), movers=())
    assert ["3 of 6 groups moved.", "None of 6 groups moved."] == [sentence(some), sentence(none)]
    assert sentence(untested).startswith("No group has enough reviews")
    assert "95% interval" in sentence(replace(none, over=None))
    assert sentence(replace(untested, periods=())).startswith("The column travelled has no dates")


def test_groups_are_searched_ordered_and_shown_some_at_a_time(browser: Browser, report: Path) -> None:
    with opened(browser, report, DESK) as watched:
        box = watched.page.locator("#groups-0")
        names = box.locator("tbody th bdi")
        expect(names).to_have_count(25)
        assert ["Old Harbour 1", "Far Island 1", "Mill Bay 1", "North Quay 1"] == names.all_inner_texts()[:4]
        box.get_by_role("button", name="Show more").press("Enter")
        expect(names).to_have_count(50)
        box.get_by_label("Order").select_option("rose")
        changes = [float(text.replace("−", "-")) for text in box.locator("tbody td:last-child").all_inner_texts()]
        assert sorted(changes, reverse=True) == changes
        box.get_by_label("Search").fill("saint ELM 3")
        expect(names).to_have_text(["Saint Elm 3"])
        expect(box.get_by_role("status")).to_have_text("1 of 67 groups")
        assert [] == watched.messages


def test_script_shows_the_same_rows_as_the_page_without_it(browser: Browser, report: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(report.as_uri())
        expected = plain.locator("#groups-0 tbody tr").all_inner_texts()
        assert "These are 15 of 67 groups." in plain.locator("#groups-0").inner_text()
    with opened(browser, report) as watched:
        assert expected == watched.page.locator("#groups-0 tbody tr").all_inner_texts()[:15]


def test_example_opens_its_review(browser: Browser, report: Path) -> None:
    with opened(browser, report) as watched:
        example = watched.page.locator(".mover").nth(1).locator("li").first
        record_id = example.locator("bdi").nth(1).inner_text()
        example.get_by_role("button").press("Enter")
        expect(watched.page.locator("#review-title")).to_have_text(f"Review {record_id}")
        expect(watched.page.locator("[role=tab][aria-selected=true]")).to_contain_text("Of groups that moved")
        assert "review" == watched.page.evaluate("document.activeElement.id")
        assert [] == watched.messages


def test_groups_are_accessible_in_the_dark(browser: Browser, report: Path) -> None:
    with opened(browser, report, DESK, "dark") as watched:
        assert [] == watched.serious_violations("#groups")


def test_groups_fit_a_phone_and_paper_has_no_controls(browser: Browser, report: Path) -> None:
    with opened(browser, report, PHONE) as watched:
        assert 0 == watched.overflow()
        assert [] == watched.messages
        watched.page.emulate_media(media="print")
        assert watched.page.locator(".mover .big").first.is_visible()
        assert not watched.page.locator(".finder").first.is_visible()
        assert not watched.page.locator(".opens").first.is_visible()


def test_page_without_reviews_shows_its_groups(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    made = replace(bare(), reviews=(), drift=(), positive_words=(), negative_words=(), groups=overview(6))
    path.write_bytes(page.render(made))
    with opened(browser, path) as watched:
        expect(watched.page.locator("#groups-0 tbody tr")).to_have_count(6)
        assert [] == watched.messages
