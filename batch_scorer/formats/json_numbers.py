"""Numbers in JSON that no double holds: too large, too close to zero, or whole with more digits than it has.

Such a number is never changed: it is kept by its digits where that is possible, and costs its record elsewhere.
"""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal
from typing import Any

from batch_scorer.formats.arrow_types import DOUBLE_INTEGER


def may_differ(value: Any) -> bool:
    """Whether a value is or holds a number that may be another than the file says, by its size.

    In place of ``1e400`` and ``1e-400``, Python reads infinity and zero; a whole number beyond 2**53 may be rounded.
    All others are the nearest double, as everywhere in JSON.
    """
    if isinstance(value, (list, dict)):
        return any(map(may_differ, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and not sys.float_info.min <= abs(value) < DOUBLE_INTEGER


class Numeral(str):
    """The digits of a number that no double holds."""


def _number(digits: str) -> float | Numeral:
    """A number with a fraction or an exponent: the double that is it, as far as its digits go, or else these."""
    number = float(digits)
    if not may_differ(number):
        return number
    significant = re.sub(r"[eE].*|\D", "", digits).lstrip("0")
    try:
        is_same = Decimal(f"{number:.{max(0, len(significant) - 1)}e}") == Decimal(digits)
    except ArithmeticError:  # an exponent that not even a decimal has
        is_same = False
    return number if is_same else Numeral(digits)


decode_exactly = json.JSONDecoder(parse_float=_number).decode


def _has_numeral(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return any(map(_has_numeral, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Numeral)


def written(value: Any, ascii_only: bool) -> str:
    """A value as JSON, with each number that no double holds as the file has it.

    Example:
        >>> written(decode_exactly('{"a": [1e-400, 1.50]}'), ascii_only=True)
        '{"a": [1e-400, 1.5]}'
    """
    if isinstance(value, Numeral):
        return value
    if _has_numeral(value) and isinstance(value, list):
        return f"[{', '.join(written(one, ascii_only) for one in value)}]"
    if _has_numeral(value):
        pairs = (f"{written(name, ascii_only)}: {written(one, ascii_only)}" for name, one in value.items())
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=ascii_only)
