"""Text from anywhere -> text that a terminal shows and does not obey: no control, no bidi mark, no half character.

Imports nothing heavy: a wrong option is answered at once.
"""

from __future__ import annotations

import json
from typing import Any

from batch_scorer.errors import ScorerError


def visible(text: str, keep: str = "") -> str:
    """`text` with white space as spaces, and controls, bidi marks and half characters as �; `keep` stays as it is."""
    return "".join(c if c.isprintable() or c in keep else " " if c.isspace() else "�" for c in text)


def safe(text: object, width: int | None = None, keep_end: bool = False) -> str:
    """`text` on one line, visible, and cut to `width`.

    Args:
        keep_end: cut at the beginning, where paths say least.
    """
    shown = visible(str(text))
    if width is None or len(shown) <= width:
        return shown
    return "…" + shown[len(shown) - width + 1 :] if keep_end else shown[: width - 1] + "…"


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 review`, `2,000 reviews`."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def report(error: ScorerError) -> str:
    """`str(error)`, of which each line is one of ours: what it quotes ends no line and begins none."""
    fields = (error.what, error.where, error.expected, error.got, error.fix)
    what, *details = (None if field is None else visible(field) for field in fields)
    where, expected, got, fix = details
    return str(ScorerError(what or "", where=where, expected=expected, got=got, fix=fix))


def as_json(value: Any, encoding: str = "utf-8") -> str:
    """`value` as JSON on one line: characters as they are where they can be seen, and by their number where not.

    The value that a reader gets is the same.

    Args:
        encoding: of what it is printed on; what that cannot write goes by its number too.
    """
    return "".join(c if _can_be_seen(c, encoding) else _by_number(c) for c in json.dumps(value, ensure_ascii=False))


def _can_be_seen(character: str, encoding: str) -> bool:
    return character.isprintable() and bool(character.isascii() or character.encode(encoding, "ignore"))


def _by_number(character: str) -> str:
    """`\\uXXXX`, twice beyond U+FFFF. JSON has none outside of its strings that would need it."""
    return json.dumps(character)[1:-1]
