"""What names say, on a disk and in a store alike: which are hidden, and which paths a glob matches."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def is_hidden(name: str) -> bool:
    """Whether a file or a folder is no data by its name, as Spark has it: `.git`, `_SUCCESS`, but not `_batch=1`."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a relative path matches a glob, both in parts; `**` is any number of folders that do not begin with a
    dot.
    """
    if not names or not patterns:
        return not names and not patterns
    (name, *names), (pattern, *rest) = names, patterns
    hidden = name.startswith(".") and not pattern.startswith(".")
    if pattern == "**":
        return (not hidden and (matches(names, patterns) or not (names or rest))) or matches([name, *names], rest)
    return not hidden and fnmatch.fnmatchcase(name, pattern) and matches(names, rest)
