"""What the lines of a text file look like: one review each, with a label beside it, or a list of something else.

Nothing here decides how a file is read: a person who may have chosen the wrong way gets a hint.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from batch_scorer.escape import quoted

_FEW, _SHARE = 3, 0.8  # lines, and the share of them that has to agree
_LABEL_CHARACTERS, _LABELS = 20, 10  # of the labels: how long they are, and how many there are
_SEPARATORS = ("\t", "|", ";", "@")  # the last as in the Financial PhraseBank: `text .@neutral`
_WRAPPED = 0.5  # a share of the lines
_ENDS = ".!?…"
_WIDTHS = range(40, 121)  # at which programs wrap text
_NO_PROSE = re.compile(r"(https?://|www\.)\S+|[-+]?\d[\d.,:e+-]*\s*", re.IGNORECASE)


def texts(lines: Sequence[bytes]) -> list[str]:
    """The lines that are not blank, as text."""
    return [text for text in (line.decode("utf-8", "replace").strip() for line in lines) if text]


class Labels(NamedTuple):
    """Labels beside the texts of a file of lines.

    Args:
        share: of the lines that have one.
        separator: what is between a text and its label.
        at: which field of a line the label is: -1 or 0.
    """

    share: float
    separator: str
    at: int


def labels_in(lines: Sequence[str]) -> Labels | None:
    """What most lines begin or end in, if it is one of a few short fields; None if there are no such labels."""
    found = (Labels(_share(lines, separator, at), separator, at) for separator in _SEPARATORS for at in (-1, 0))
    return next((labels for labels in found if labels.share), None)


def _share(lines: Sequence[str], separator: str, at: int) -> float:
    """The share of lines with a label at one end, field -1 or 0; 0 if these are not labels."""
    if len(lines) < _FEW:
        return 0.0
    is_handle = re.compile(r"(^|\s)@").search  # `@ann` is a name, not a label
    apart = [line for line in lines if separator in line and not (separator == "@" and is_handle(line))]
    fields = [line.split(separator)[at].strip() for line in apart]
    labels = {field for field in fields if 0 < len(field) <= _LABEL_CHARACTERS}
    share = sum(field in labels for field in fields) / len(lines)
    few = len(labels) <= min(_LABELS, len(lines) // 2 + 1)
    return share if few and share >= _SHARE else 0.0


def how_to_leave_labels_out(lines: Sequence[str], labels: Labels) -> str:
    """The options that read such lines without their labels."""
    counts = Counter(len(line.split(labels.separator)) for line in lines)
    columns = max(counts, key=lambda count: (counts[count], count))
    texts_at = 0 if labels.at == -1 else columns - 1
    rest = iter(["label", *(f"column_{number}" for number in range(2, columns + 1))])
    names = ",".join("text" if at == texts_at else next(rest) for at in range(columns))
    return f"give --input-format csv --delimiter {quoted(labels.separator)} --quote none --columns {names}"


def is_list(lines: Sequence[str]) -> bool:
    """Whether the lines are addresses or numbers."""
    return bool(lines) and all(_NO_PROSE.fullmatch(line) for line in lines)


def is_review_per_line(lines: Sequence[bytes]) -> bool:
    """Whether each line looks like a review of its own: there are several, neither wrapped nor set off as paragraphs.

    In wrapped text, the first word of a line did not fit into the line before.
    """
    filled = texts(lines)
    if labels_in(filled):
        return True
    if len(filled) < _FEW or len(lines) - len(filled) > len(filled) // 10 + 1:
        return False
    width = max(map(len, filled))
    pairs = list(itertools.pairwise(filled))
    wrapped = sum(line[-1] not in _ENDS and len(line) + 1 + len(after.split()[0]) > width for line, after in pairs)
    return width not in _WIDTHS or wrapped / len(pairs) < _WRAPPED
