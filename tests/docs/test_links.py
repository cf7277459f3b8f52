"""Links between the pages lead to files that exist, and to headings that those files have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "batch_scorer/samples", "benchmarks", "deploy", "docs", "docs/decisions", "docs/model_card", "schemas")
PAGES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))


def prose(page: Path) -> str:
    """A page without its code, in which brackets are no links and `#` begins a comment."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What may stand after `#` in a link to `page`: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """The links of `page` that lead nowhere in this checkout; those to other sites are not followed."""
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    assert [] == broken(page)


def test_link_to_a_missing_file_or_heading_is_broken_and_one_in_code_is_not_a_link(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# 1. A file's *name*\n\n```\n# not a heading\n[a](nowhere)\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#1-a-files-name) [c](gone.md) [d](other.md#not-a-heading) [e](https://x.example/y)"
    )
    assert [] == broken(tmp_path / "other.md")
    assert ["gone.md", "other.md#not-a-heading"] == broken(page)


def test_index_of_the_decisions_has_each_by_its_number_and_title() -> None:
    folder = ROOT / "docs/decisions"
    expected = []
    for path in sorted(folder.glob("0*.md")):
        heading = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        number, _, title = heading.partition(". ")
        assert int(path.name[:4]) == int(number)
        expected.append(f"{number}. [{title}]({path.name})")
    index = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    assert expected == [line for line in index if re.match(r"\d", line)]
