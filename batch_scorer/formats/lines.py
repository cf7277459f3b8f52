"""One review per line; a shard is a range of bytes, or a whole compressed file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from batch_scorer.formats import shapes
from batch_scorer.formats.encodings import utf8_after_all
from batch_scorer.formats.first_bytes import check_line_ends, check_text
from batch_scorer.formats.records import Contents, Fields, Record, Shard, encoding_problem, shown
from batch_scorer.formats.text_lines import sample, shard_lines
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Counts the first lines."""
    head = sample(file)
    check_text(file.path, head)
    check_line_ends(file.path, head)
    lines = shapes.texts(head.lines)
    remarks = [utf8_after_all(head.lines, fields.encoding)]
    if labels := shapes.labels_in(lines):
        beside = {"\t": "a tab", " ": "the text"}.get(labels.separator, repr(labels.separator))
        how = shapes.how_to_leave_labels_out(file.path, labels)
        remarks.append(
            f"{labels.share:.0%} of the lines have a label beside {beside}, scored as a word; to leave it out, {how}"
        )
    remark = "; ".join(filter(None, remarks))
    return Contents(head.estimate(head.count_filled()), estimated=not head.is_whole, remark=remark)


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, without blank ones; offsets are bytes of the (decompressed) file."""
    path, nothing = shard.paths[0], (None,) * len(fields.kept)
    for line_or_rejection in shard_lines(shard, fields, beat):
        if isinstance(line_or_rejection, Rejection):
            yield line_or_rejection
            continue
        offset, line = line_or_rejection
        line = (line.removeprefix(codecs.BOM_UTF8) if offset == 0 else line).removesuffix(b"\r")
        try:
            yield Record(path, offset, None, line.decode(fields.encoding), nothing)
        except UnicodeDecodeError as error:
            yield Rejection(path, offset, None, "invalid_utf8", encoding_problem(error), shown(line))
