"""Draws what a notebook shows of an explained text, on light and on dark, into docs/python/.

`python -m scripts.notebook_screenshots [DIRECTORY]`; needs Chromium, as `scripts/screenshots` does.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from batch_scorer import load_model
from scripts.screenshots import draw
from tests.browsing import chromium, opened

TEXT = (
    "Slow to start, and the Zorbian accents are awful. But what a wonderful ending: "
    "my whole row was crying with laughter, and I left smiling."
)
SIZE = (820, 100)
# The colours and type of JupyterLab's themes.
THEMES = {"light": ("#ffffff", "#212121", "#f5f5f5", "#e0e0e0"), "dark": ("#111111", "#e0e0e0", "#212121", "#424242")}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A notebook</title>
<body style="margin: 0; padding: 18px 24px; background: {0}; color: {1}; font: 14px/1.5 system-ui, sans-serif">
<div style="display: grid; grid-template-columns: 3.6em 1fr; gap: 10px 8px">
<code style="opacity: 0.6; padding-top: 7px; font-size: 13px">[2]:</code>
<pre style="margin: 0; padding: 6px 10px; background: {2}; border: 1px solid {3}; font-size: 13px;
white-space: pre-wrap">{4}</pre>
<code style="opacity: 0.6; font-size: 13px">[2]:</code><div>{5}</div></div></body></html>"""


def main() -> None:
    """Writes a PNG for each theme."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "python")
    target.mkdir(parents=True, exist_ok=True)
    shown = load_model().explain(TEXT)._repr_html_().replace("<details", "<details open", 1)
    cell = escape(f'model.explain("{TEXT}")')
    with chromium() as browser, TemporaryDirectory() as folder:
        for theme, colours in THEMES.items():
            page = Path(folder, f"{theme}.html")
            page.write_text(PAGE.format(*colours, cell, shown), encoding="utf-8")
            with opened(browser, page, SIZE, theme) as watched:
                height = watched.page.evaluate("document.documentElement.scrollHeight")
                watched.page.set_viewport_size({"width": SIZE[0], "height": height})
                draw(watched.page, target / f"explanation-{theme}.png")


if __name__ == "__main__":
    main()
