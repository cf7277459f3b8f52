"""Text from anywhere -> text that a terminal shows and does not obey: without controls, bidi marks or half characters.

Imports nothing heavy: a wrong option is answered at once.
"""

from __future__ import annotations

import json
from typing import Any

from batch_scorer.errors import ScorerError


def visible(text: str, keep: str = "") -> str:
    """`text` with white space as spaces, and controls, bidi marks and half characters as �; what is in `keep` stays."""
    return "".join(c if c.isprintable() or c in keep else " " if c.isspace() else "�" for c in text)


def safe(text: object, width: int | None = None, keep_end: bool = False) -> str:
    """`text` on one line, visible, and cut to `width`.

    Args:
        keep_end: cut at the beginning, the least telling part of a path.
    """
    shown = visible(str(text))
    if width is None or len(shown) <= width:
        return shown
    return "…" + shown[len(shown) - width + 1 :] if keep_end else shown[: width - 1] + "…"


def counted(count: int, noun: str) -> str:
    """A number and its noun: `1 review`, `2,000 reviews`, `3 directories`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def report(error: ScorerError) -> str:
    """`str(error)`, in which every line break is ours: nothing it quotes can end a line or begin one."""
    fields = (error.what, error.where, error.expected, error.got, error.fix)
    what, *details = (None if field is None else visible(field) for field in fields)
    where, expected, got, fix = details
    return str(ScorerError(what or "", where=where, expected=expected, got=got, fix=fix))


def as_json(value: Any, encoding: str = "utf-8") -> str:
    """`value` as JSON on one line: visible characters as they are, others by their number.

    The value that a reader gets is the same.

    Args:
        encoding: of where it is printed; characters that it lacks are written by their number too.
    """
    return "".join(c if _can_be_seen(c, encoding) else _by_number(c) for c in json.dumps(value, ensure_ascii=False))


def _can_be_seen(character: str, encoding: str) -> bool:
    return character.isprintable() and bool(character.isascii() or character.encode(encoding, "ignore"))


def _by_number(character: str) -> str:
    """`\\uXXXX`, twice beyond U+FFFF. Outside of its strings JSON has no character that would need it."""
    return json.dumps(character)[1:-1]
