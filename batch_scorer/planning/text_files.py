"""A look at some one-review files: those that hold many reviews, or none, are named in a notice."""

from __future__ import annotations

import heapq

from batch_scorer import storage
from batch_scorer.formats import foreign, shapes
from batch_scorer.formats.encodings import utf8_after_all, wide_encoding
from batch_scorer.formats.records import DAMAGE
from batch_scorer.formats.table import format_of
from batch_scorer.formats.text_lines import Sample, sample
from batch_scorer.planning.listing import Listing
from batch_scorer.storage import StoredFile
from batch_scorer.storage.parallel import read_ahead

_LOOKED_AT = 100  # the largest ones: where most files are reviews, others are larger
_SHOWN = 3
_HEAD_BYTES = 512
_LONG_BYTES = 1 << 16  # several times the longest review of IMDB


def notices(listing: Listing, asked: str | None, encoding: str) -> list[str]:
    """What the user should know of files that are taken as one review each because of their names.

    Args:
        asked: the format that was asked for, if one was; then names say nothing.
        encoding: in which they are read.

    Raises:
        InputError: there is one file, and it is in UTF-16 or UTF-32.
    """
    if asked is not None:
        return []
    named = [file for file, kind in listing if kind == "files" and format_of(file.path) == "files"]
    largest = sorted(heapq.nlargest(_LOOKED_AT, named, key=lambda file: file.size_bytes))
    remote = any(storage.is_remote(file.path) for file in largest)
    several, lists, long, others, how = [], [], [], [], ""
    for file, head in zip(largest, read_ahead(_head, largest, remote), strict=True):
        if head is None:
            continue
        wide = wide_encoding(b"\n".join(head.lines)[:_HEAD_BYTES])
        if wide and len(listing.files) == 1:  # among others, it is rejected when it is read
            raise foreign.in_wide_encoding(file.path, wide)
        if said_of := utf8_after_all(head.lines, encoding):
            others.append(f"{file.path}: {said_of}")
        lines = shapes.texts(head.lines)
        if shapes.is_list(lines):
            lists.append(file.path)
        elif shapes.is_review_per_line(head.lines):
            about = "" if head.is_whole else "about "
            several.append(f"{file.path} has {about}{head.estimate(len(lines)):,} lines")
            how = how or _how(file.path, lines)
        elif head.size_bytes > _LONG_BYTES:
            long.append(f"{file.path} has {head.size_bytes / 1000:,.0f} kB")
    said = others[:_SHOWN]
    if several:
        said.append(f"{_shown(several)} and is scored as one review; if each line is a review, {how}")
    if long:
        said.append(
            f"{_shown(long)} and is scored as one review; if it holds several, write each on a line of its own "
            "and give --input-format lines"
        )
    if lists:
        said.append(f"{_shown(lists)}: taken as a review, but holds only addresses or numbers")
    return said


def _head(file: StoredFile) -> Sample | None:
    try:
        return sample(file)
    except DAMAGE:
        return None  # and is rejected when it is read


def _how(path: str, lines: list[str]) -> str:
    labels = shapes.labels_in(lines)
    return shapes.how_to_leave_labels_out(path, labels) if labels else "give --input-format lines"


def _shown(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
