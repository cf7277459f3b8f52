"""A report in headless Chromium: what it logs, what it requests, and what an accessibility checker says about it."""

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
    """An open page.

    Args:
        messages: those on its console, and the errors of its scripts.
        requests: the URLs that it requested.
    """

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path) -> None:
        """Opens the report at `path`, as if for the first time."""
        self.messages.clear()
        self.requests.clear()
        self.page.goto(path.as_uri())

    def serious_violations(self, part: str | None = None) -> list[str]:
        """What axe-core calls serious or critical in the page, or in a part of it: the rule, and where."""
        options = {"resultTypes": ["violations"]}
        violations: list[dict[str, Any]] = Axe().run(self.page, part, options).response["violations"]
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in violations
            if violation["impact"] in {"serious", "critical"}
            for node in violation["nodes"]
        ]

    def colour(self, selector: str, of: str) -> str:
        """A computed style property of the first element that `selector` matches."""
        script = "([selector, of]) => getComputedStyle(document.querySelector(selector))[of]"
        return str(self.page.evaluate(script, [selector, of]))

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Headless Chromium; skips the test where there is none."""
    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome")
        own = playwright.chromium.executable_path
        executable = next(filter(None, map(shutil.which, names)), own if Path(own).exists() else None)
        if executable is None:
            pytest.skip(f"needs a browser: none of {', '.join(names)} is on the PATH, nor has playwright installed one")
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
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
        watched.page.set_default_timeout(120_000)  # only a guard
        watched.page.on("console", lambda message: watched.messages.append(f"{message.type}: {message.text}"))
        watched.page.on("pageerror", lambda error: watched.messages.append(f"error: {error}"))
        watched.page.on("request", lambda request: watched.requests.append(request.url))
        watched.open(path)
        yield watched
