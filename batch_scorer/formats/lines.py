"""One review a line; a shard is a range of bytes, or a whole compressed file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from batch_scorer.formats.records import Fields, InputFile, Record, Shard, encoding_problem, shown
from batch_scorer.formats.text_lines import sample, shard_lines
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile


def inspect(file: StoredFile, fields: Fields) -> InputFile:
    """Counts the first lines."""
    head = sample(file)
    reviews = head.estimate(sum(1 for line in head.lines if line.strip(b" \t\r")))
    return InputFile(file.path, "lines", file.size_bytes, reviews, estimated=not head.is_whole)


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, blank ones left out; offsets are bytes of the (decompressed) file."""
    path, nothing = shard.paths[0], (None,) * len(fields.kept)
    for found in shard_lines(shard, fields, beat):
        if isinstance(found, Rejection):
            yield found
            continue
        offset, line = found
        line = (line.removeprefix(codecs.BOM_UTF8) if offset == 0 else line).removesuffix(b"\r")
        try:
            yield Record(path, offset, None, line.decode(fields.encoding), nothing)
        except UnicodeDecodeError as error:
            yield Rejection(path, offset, None, "invalid_utf8", encoding_problem(error), shown(line))
