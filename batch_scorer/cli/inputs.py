"""The options that say how files are read and what their labels mean, the same for all commands that do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from batch_scorer.cli.framework import option, together
from batch_scorer.cli.numbers import Count
from batch_scorer.config import InputConfig
from batch_scorer.formats.table import FORMATS, column_names, null_values


def reading_options(section: str) -> Callable[[Any], Any]:
    """The options that say how to read files, the same for all commands that do."""
    return together(
        option(section, "--input-format", type=click.Choice(["auto", *FORMATS]), default="auto",
               help="auto: by file name."),
        option(section, "--encoding", default=InputConfig.encoding, metavar="NAME",
               help="Encoding of CSV, line and one-review files."),
        option(section, "--delimiter", metavar="CHAR", help="Delimiter of CSV files.  [default: comma; tab for .tsv]"),
        option(section, "--quote", default=InputConfig.quote, metavar="CHAR",
               help="Quote around fields of CSV files; none: quotes stand for themselves."),
        option(section, "--escape", metavar="CHAR",
               help="Character before one that stands for itself in CSV files, such as \\."),
        option(section, "--columns", metavar="NAME,...", callback=_names,
               help="Names of all columns, for CSV files without a header."),
        option(section, "--sheet", metavar="NAME", help="Sheet of Excel workbooks.  [default: the first]"),
        option(section, "--null-values", multiple=True, metavar="A,B", callback=_split,
               help="Texts that stand for none, separated by commas; may be repeated."),
        option(section, "--max-text-bytes", type=Count(1), default=InputConfig.max_text_bytes, metavar="N",
               help="Reject texts larger than this."),
    )  # fmt: skip


def _names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    return () if value is None else column_names(value)


def _split(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    return null_values(given)


def label_options(section: str | None) -> Callable[[Any], Any]:
    """The options that say what labels mean, the same for all commands that read some."""
    values = "A label, or a range: '>=4', '<3', 4..5; may be repeated."
    return together(
        option(section, "--positive-value", multiple=True, metavar="VALUE",
               help=f"What means positive. {values}  [default: 1, true, yes, positive ..., whichever occurs]"),
        option(section, "--negative-value", multiple=True, metavar="VALUE",
               help=f"What means negative. {values} What is neither is left out.  [default: all others]"),
    )  # fmt: skip
