"""The numbers that options take."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import click

from batch_scorer.config import LARGEST_COUNT, LARGEST_TOTAL

_LARGEST = (LARGEST_COUNT, LARGEST_TOTAL)  # so large that the help need not show them


class Count(click.IntRange):
    """A whole number that every part of the program can hold; the help shows the least one only."""

    def __init__(self, least: int, most: int = LARGEST_COUNT) -> None:
        super().__init__(least, most)

    def _describe_range(self) -> str:
        return f"x>={self.min}" if self.max in _LARGEST else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        with suppress(ValueError):  # which the next line reports
            if self.max in _LARGEST and int(value) > self.max:
                self.fail(f"{value} is more than {self.max:,}.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number that is one: neither NaN nor an infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a number that can be used.", param, ctx)
        return number
