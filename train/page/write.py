"""Writes `training.html`, the page about a finished run, into its work directory."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batch_scorer import storage
from batch_scorer.errors import ScorerError
from batch_scorer.escape import install
from batch_scorer.models.artifact import load
from batch_scorer.models.engine import load_engine
from train.adapt.table import Story
from train.data import Say
from train.fit import Fitted
from train.overview import Overview
from train.page.findings import findings
from train.prepare import Prepared
from train.run import Run

NAME = "training.html"
PACKAGES = ("altair", "jinja2", "vl_convert")


def write_page(
    output: Path, run: Run, data: Prepared, fitted: Fitted, seen: Overview, settings: Mapping[str, Any], say: Say,
    story: Story | None = None,
) -> None:  # fmt: skip
    """Scores the held-out reviews with the model in `output`, and writes the page about it.

    The model is finished by then: whatever stops the page is said, and no error.

    Args:
        settings: what the result depends on besides the data, for people to read.
        story: what adapting was worth, if a model was adapted.
        say: is told where the page is, or why there is none.
    """
    if any(importlib.util.find_spec(package) is None for package in PACKAGES):
        say(f"{NAME} needs packages of the report; from a checkout: {install('report')}")
        return
    from train.page.render import render  # which imports them

    path = run.directory / NAME
    try:
        artifact = load(str(output))
        engine = load_engine(artifact)
        found = findings(artifact, engine, data, fitted)
        html = render(artifact, engine.bias, run.lines, data, fitted, seen, found, settings, story)
        storage.publish_bytes(html, str(path))
    except (ScorerError, OSError) as error:
        say(f"{NAME} is not written: {error}")
        return
    say(f"what the training has led to, with texts of reviews: {path}")
