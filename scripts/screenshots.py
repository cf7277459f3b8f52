"""Takes screenshots of a report: python scripts/screenshots.py REPORT.html DIRECTORY."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from tests.browsing import DESK, PHONE, chromium, opened

COLOURS = 224  # enough for smooth letters, at half the bytes


def draw(page: Page, path: Path) -> None:
    """Writes what the window shows as a PNG."""
    Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def main() -> None:
    """Writes one PNG for each size, colour scheme and view."""
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
