"""What the lines of a text file look like: one review each, with a label beside it, or a list of something else.

Nothing here decides how a file is read: a person who may have chosen the wrong way gets a hint.
"""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from batch_scorer.escape import python_runs, quoted
from batch_scorer.formats.foreign import rewriting

_FEW, _SHARE = 3, 0.8  # lines, and the share of them that has to agree
_LABEL_CHARACTERS, _LABELS = 20, 10  # of the labels: how long they are, and how many there are
# Between texts and labels, and at which ends of a line labels may be. Financial PhraseBank has `text .@neutral`.
_SEPARATORS = {"\t": (-1, 0), "|": (-1, 0), ";": (-1, 0), ",": (-1, 0), "@": (-1,)}
_is_word = re.compile(r"[-+]?\w+").fullmatch
_is_marked = re.compile(r"__label__\S+ ").match  # as fastText has it
_UNMARKED = (
    "import re, sys; sys.stdout.buffer.writelines("
    r're.sub(rb"^((__label__\S+ ?)+) ", rb"\1\t", line.replace(b"\t", b" ")) for line in sys.stdin.buffer)'
)
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
        columns: how many fields most lines have.
    """

    share: float
    separator: str
    at: int
    columns: int


def labels_in(lines: Sequence[str]) -> Labels | None:
    """What most lines begin or end in, if it is one of a few short fields; None if there are no such labels."""
    if len(lines) < _FEW:
        return None
    if (marked := sum(map(bool, map(_is_marked, lines))) / len(lines)) >= _SHARE:
        return Labels(marked, " ", 0, 2)
    found = (_labels(lines, separator, at) for separator, ends in _SEPARATORS.items() for at in ends)
    return next((labels for labels in found if labels is not None), None)


def _labels(lines: Sequence[str], separator: str, at: int) -> Labels | None:
    """The same with this separator at one end of the lines: field -1 or 0.

    A tab is in no sentence. Any other separator has to show that it is one: right beside the text, next to one of
    several labels of one word, and as often in most lines.
    """
    rows = [_fields(line, separator) for line in lines if separator in line]
    counts = Counter(map(len, rows))
    columns = max(counts, key=lambda count: (counts[count], count), default=0)
    fields = [row[at].strip() for row in rows]
    labels = {field for field in fields if 0 < len(field) <= _LABEL_CHARACTERS}
    share = sum(field in labels for field in fields) / len(lines)
    least = 1
    if separator != "\t":
        least = 2
        beside = [row for row in rows if len(row) == columns and not any(field[:1].isspace() for field in row[1:])]
        share = min(share, sum(bool(_is_word(row[at])) for row in beside) / len(lines))
    few = least <= len(labels) <= min(_LABELS, len(lines) // 2 + 1)
    return Labels(share, separator, at, columns) if few and share >= _SHARE else None


def _fields(line: str, separator: str) -> list[str]:
    """The fields of a line; one that holds commas is in quotes."""
    if separator == "," and '"' in line:
        with contextlib.suppress(csv.Error):
            return next(csv.reader([line]))
    return line.split(separator)


def how_to_leave_labels_out(path: str, labels: Labels) -> str:
    """What reads such lines without their labels: a few options, for labels of fastText after a command."""
    if labels.separator == " ":
        return rewriting(path, python_runs(_UNMARKED), ".tsv", " with --columns label,text --quote none")
    texts_at = 0 if labels.at == -1 else labels.columns - 1
    rest = iter(["label", *(f"column_{number}" for number in range(2, labels.columns + 1))])
    names = ",".join("text" if at == texts_at else next(rest) for at in range(labels.columns))
    quote = "" if labels.separator == "," else " --quote none"
    return f"give --input-format csv --delimiter {quoted(labels.separator)}{quote} --columns {names}"


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
