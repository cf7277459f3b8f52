"""Options that training and evaluation share: columns, what the labels mean, how to read; and settings of recipes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from batch_scorer.cli.framework import option, together
from batch_scorer.cli.inputs import label_options, reading_options
from batch_scorer.cli.numbers import Number
from batch_scorer.config import InputConfig, JobConfig
from batch_scorer.errors import OptionError
from train.data import Columns
from train.sources import ReadOptions


def column_options(section: str) -> Callable[[Any], Any]:
    """Which columns hold text and label, and what the labels mean."""
    return together(
        option(section, "--text-column", default=InputConfig.text_column, metavar="NAME",
               help="Column that holds the review."),
        option(section, "--label-column", default=Columns.label, metavar="NAME", help="Column that holds its label."),
        label_options(section),
    )  # fmt: skip


def read_options(section: str) -> Callable[[Any], Any]:
    """How to read files, and how much of them may be bad."""
    return together(
        reading_options(section),
        option(section, "--max-error-rate", type=Number(0, 1), default=JobConfig.max_error_rate, metavar="X",
               help="Share of bad records above which nothing is started; up to it, they are left out."),
        option(section, "--allow-unreadable", is_flag=True, help="Take what can be read of damaged files."),
    )  # fmt: skip


def columns_and_reading(
    text_column: str, label_column: str, positive_value: tuple[str, ...], negative_value: tuple[str, ...],
    id_column: str | None, input_format: str, **how: Any,
) -> tuple[Columns, ReadOptions]:  # fmt: skip
    """The values of these options, and of `--id-column`.

    Raises:
        OptionError: a label would mean both positive and negative.
    """
    columns = Columns(text_column, label_column, positive_value, id_column, negative_value)
    _ = columns.rule  # which raises
    return columns, ReadOptions(None if input_format == "auto" else input_format, **how)


def changed(recipe: Any, settings: Sequence[str]) -> Any:
    """A copy of `recipe` with some settings changed.

    Args:
        settings: `name=value` each, or `stage.name=value` for a setting of a recipe nested in this one.

    Raises:
        OptionError: the recipe has no such setting, or the value is not of its type.
    """
    for setting in settings:
        name, _, value = setting.partition("=")
        first, _, rest = name.partition(".")
        current = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
        if first not in current or dataclasses.is_dataclass(current[first]) != bool(rest):
            raise OptionError("the recipe has no such setting", expected=", ".join(current), got=setting)
        if rest:
            recipe = dataclasses.replace(recipe, **{first: changed(current[first], [f"{rest}={value}"])})
            continue
        kind = type(current[first])
        try:
            recipe = dataclasses.replace(recipe, **{first: setting_of(kind, value)})
        except ValueError as error:
            raise OptionError(f"the value of {name} cannot be read", expected=kind.__name__, got=value) from error
    return recipe


def setting_of(kind: type[Any], text: str) -> Any:
    """A setting of a recipe from its text.

    Raises:
        ValueError: it is not of its type, or a number that no training can use: below zero, infinite or NaN.
    """
    value = kind(text)
    if isinstance(value, (int, float)) and not 0 <= value < math.inf:
        raise ValueError(f"{text} is out of range")
    return value
