"""Takes screenshots of a report: python scripts/screenshots.py REPORT.html DIRECTORY.

`python -m scripts.screenshots groups DIRECTORY` takes those of groups that moved, from a report that was made up, and
`python -m scripts.screenshots rescored REPORT.html DIRECTORY` those of a review that was scored again.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page

from batch_scorer.report import page
from tests.browsing import DESK, PHONE, chromium, opened
from tests.findings import findings
from tests.group_findings import with_groups

COLOURS = 224  # enough for smooth letters, at half the bytes


def draw(window: Page, path: Path) -> None:
    """Writes what the window shows as a PNG."""
    Image.open(BytesIO(window.screenshot())).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def draw_groups(target: Path) -> None:
    """Writes what moved, at desktop width in light mode and at phone width in dark mode."""
    with TemporaryDirectory() as folder, chromium() as browser:
        report = Path(folder) / "report.html"
        report.write_bytes(page.render(with_groups(findings(6), title="Ferries, summer 2024")))
        for name, size, scheme in (("desk-light", DESK, "light"), ("phone-dark", PHONE, "dark")):
            with opened(browser, report, size, scheme) as watched:
                watched.page.locator("#groups").evaluate("e => e.scrollIntoView()")
                draw(watched.page, target / f"{name}-groups.png")


def draw_rescored(report: Path, target: Path) -> None:
    """Writes a review with every word coloured and what deleting its parts changes, as `draw_groups` does."""
    with chromium() as browser:
        for name, size, scheme in (("desk-light", (1280, 1150), "light"), ("phone-dark", (390, 1000), "dark")):
            with opened(browser, report.resolve(), size, scheme) as watched:
                watched.page.get_by_role("tab", name="Least certain").click()
                watched.page.locator("#items button").nth(1).click()
                watched.page.locator("#review").evaluate("e => e.scrollIntoView()")
                draw(watched.page, target / f"{name}-rescored.png")


def main() -> None:
    """Writes one PNG for each size, colour scheme and view."""
    if sys.argv[1] == "rescored":
        draw_rescored(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    if sys.argv[1] == "groups":
        draw_groups(Path(sys.argv[2]))
        return
    report, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, size in (("desk", DESK), ("phone", PHONE)):
            for scheme in ("light", "dark"):
                with opened(browser, report, size, scheme) as watched:
                    draw(watched.page, target / f"{name}-{scheme}.png")
                    watched.page.get_by_role("tab", name="Least certain").click()  # words of both signs
                    watched.page.locator("#items button").first.click()
                    watched.page.locator("#lists" if name == "desk" else "#review").evaluate("e => e.scrollIntoView()")
                    watched.page.locator(".text .word").nth(4).focus()
                    draw(watched.page, target / f"{name}-{scheme}-review.png")


if __name__ == "__main__":
    main()
