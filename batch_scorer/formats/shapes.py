"""What the lines of a text file look like: one review each, with a label beside it, or a list of something else.

Nothing here decides how a file is read: a person who may have chosen the wrong way gets a hint.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

_FEW, _SHARE = 3, 0.8  # lines, and the share of them that has to agree
_LABEL_CHARACTERS, _LABELS = 20, 10  # of the labels: how long they are, and how many there are
_WRAPPED = 0.5  # a share of the lines
_ENDS = ".!?…"
_WIDTHS = range(40, 121)  # at which programs wrap text
_NO_PROSE = re.compile(r"(https?://|www\.)\S+|[-+]?\d[\d.,:e+-]*\s*", re.IGNORECASE)


def texts(lines: Sequence[bytes]) -> list[str]:
    """The lines that are not blank, as text."""
    return [text for text in (line.decode("utf-8", "replace").strip() for line in lines) if text]


def label_share(lines: Sequence[str]) -> float:
    """The share of lines that begin or end in a tab and one of a few short fields; 0 if these are not labels."""
    return max(_share(lines, -1), _share(lines, 0))


def _share(lines: Sequence[str], at: int) -> float:
    """The same for one end of the lines: field -1 or 0."""
    if len(lines) < _FEW:
        return 0.0
    fields = [line.split("\t")[at].strip() for line in lines if "\t" in line]
    labels = {field for field in fields if 0 < len(field) <= _LABEL_CHARACTERS}
    share = sum(field in labels for field in fields) / len(lines)
    few = len(labels) <= min(_LABELS, len(lines) // 2 + 1)
    return share if few and share >= _SHARE else 0.0


def how_to_leave_labels_out(lines: Sequence[str]) -> str:
    """The options that read such lines without their labels."""
    columns = max(len(line.split("\t")) for line in lines)
    texts_at = 0 if _share(lines, -1) else columns - 1
    rest = iter(["label", *(f"column_{number}" for number in range(2, columns + 1))])
    names = ",".join("text" if at == texts_at else next(rest) for at in range(columns))
    return f"give --input-format csv --delimiter $'\\t' --quote none --columns {names}"


def is_list(lines: Sequence[str]) -> bool:
    """Whether the lines are addresses or numbers."""
    return bool(lines) and all(_NO_PROSE.fullmatch(line) for line in lines)


def is_review_per_line(lines: Sequence[bytes]) -> bool:
    """Whether each line looks like a review of its own: there are several, neither wrapped nor set off as paragraphs.

    In wrapped text, the first word of a line did not fit into the line before.
    """
    filled = texts(lines)
    if label_share(filled):
        return True
    if len(filled) < _FEW or len(lines) - len(filled) > len(filled) // 10 + 1:
        return False
    width = max(map(len, filled))
    pairs = list(itertools.pairwise(filled))
    wrapped = sum(line[-1] not in _ENDS and len(line) + 1 + len(after.split()[0]) > width for line, after in pairs)
    return width not in _WIDTHS or wrapped / len(pairs) < _WRAPPED
