"""Values and names -> SQL for DuckDB that is on one line and holds nothing that a terminal would obey."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from batch_scorer.errors import OptionError
from batch_scorer.escape import visible


def literal(value: object) -> str:
    """A value as an SQL literal, on one line and in printable characters only.

    Raises:
        OptionError: the value is a path that is not valid UTF-8.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # Without the type it would be a decimal, rounded.
        return f"{value!r}::double" if math.isfinite(value) else f"'{value!r}'::double"
    if isinstance(value, int):
        return repr(value)
    pieces = re.split("([^\x20-\x7e])", str(value).replace("'", "''"))
    try:
        quoted = [
            piece if piece.isprintable() else f"' || chr({ord(piece.encode().decode())}) || '" for piece in pieces
        ]
    except UnicodeEncodeError as error:
        raise OptionError(
            "a path is not valid UTF-8, which SQL has to be", where=str(value), fix="rename the directory"
        ) from error
    return "'" + "".join(quoted) + "'"


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def reference(name: str) -> str:
    """The column `name` of a query's source as an SQL expression in printable characters only.

    A quoted identifier has no escapes. So a name that cannot be printed is matched by a regular expression, which has.

    Example:
        >>> reference("stars"), reference("a\\x1b[2J")
        ('"stars"', "columns('^a\\\\x{1b}\\\\x{5b}2J$')")
    """
    if name.isprintable():
        return identifier(name)
    plain = (c if c.isascii() and c.isalnum() else f"\\x{{{ord(c):x}}}" for c in name)
    return f"columns('^{''.join(plain)}$')"


def shown_names(names: Iterable[str]) -> list[str]:
    """Names as a terminal can show them, none of them twice."""
    shown: list[str] = []
    for name in names:
        new, number = name if name.isprintable() else visible(name), 2
        while new in shown and not name.isprintable():
            new, number = f"{visible(name)}_{number}", number + 1
        shown.append(new)
    return shown


def cut_sql(expression: str, characters: int) -> str:
    """SQL of a text, cut to so many characters, the last of which is then an ellipsis."""
    return f"if(length({expression}) > {characters}, left({expression}, {characters - 1}) || '…', {expression})"
