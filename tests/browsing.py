"""A report in headless Chromium, watched: what it logs, what it asks for, what an accessibility checker says of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

PHONE, SMALL_PHONE, DESK = (390, 844), (360, 740), (1280, 900)
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@dataclass
class Watched:
    """A page that is open.

    Args:
        said: what came on its console, errors of scripts among it.
        asked: each address that it asked for.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, path: Path) -> None:
        """Opens the report at `path`, as if for the first time."""
        self.said.clear()
        self.asked.clear()
        self.page.goto(path.as_uri())

    def serious_violations(self, part: str | None = None) -> list[str]:
        """What axe-core finds in the page, or in a part of it, that is serious or critical: the rule, and where."""
        options = {"resultTypes": ["violations"]}
        found: list[dict[str, Any]] = Axe().run(self.page, part, options).response["violations"]
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found
            if violation["impact"] in {"serious", "critical"}
            for node in violation["nodes"]
        ]

    def colour(self, selector: str, of: str) -> str:
        """A computed property of the first element that is selected."""
        script = "([selector, of]) => getComputedStyle(document.querySelector(selector))[of]"
        return str(self.page.evaluate(script, [selector, of]))

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window; skips the test where there is none."""
    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome")
        own = playwright.chromium.executable_path
        found = next(filter(None, map(shutil.which, names)), own if Path(own).exists() else None)
        if found is None:
            pytest.skip(f"needs a browser: none of {', '.join(names)} is on the PATH, nor has playwright installed one")
        browser = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, path: Path, size: tuple[int, int] = DESK, scheme: str = "light") -> Iterator[Watched]:
    """The report at `path`, in a window of this size."""
    width, height = size
    with browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    ) as context:
        watched = Watched(context.new_page())
        watched.page.set_default_timeout(5_000)
        watched.page.on("console", lambda message: watched.said.append(f"{message.type}: {message.text}"))
        watched.page.on("pageerror", lambda error: watched.said.append(f"error: {error}"))
        watched.page.on("request", lambda request: watched.asked.append(request.url))
        watched.open(path)
        yield watched
