"""What several benchmarks are told: which reviews to score, and with which model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from batch_scorer.models.artifact import SHIPPED


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options `data`, `text_column`, `id_column` (which make a `Source`) and `model` to a command."""
    options = (
        click.option(
            "--data", required=True, metavar="FILE", help="Reviews, as Parquet; repeated if there are too few."
        ),
        click.option("--text-column", default="text", metavar="NAME", help="Column that holds the review."),
        click.option("--id-column", metavar="NAME", help="Column that holds its id.  [default: rows are numbered]"),
        click.option(
            "--model", default=SHIPPED, show_default="the shipped one", metavar="DIR", help="A model artefact."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def from_anywhere(path: str) -> str:
    """The path of a model as commands find it that run in the checkout; what is no file here may be in a store."""
    return str(Path(path).resolve()) if Path(path).exists() else path
