"""One review a line; a shard is a range of bytes, or a whole compressed file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from batch_scorer.formats.stream import max_line_bytes, open_text, read_lines, sample
from batch_scorer.records import Fields, InputFile, Record, Shard, encoding_problem, shown
from batch_scorer.schema import Rejection
from batch_scorer.storage import StoredFile


def inspect(file: StoredFile, fields: Fields) -> InputFile:
    """Counts the first lines."""
    head = sample(file)
    reviews = head.estimate(sum(1 for line in head.lines if line.strip()))
    return InputFile(file.path, "lines", file.size_bytes, reviews, estimated=not head.is_whole)


def records(shard: Shard, fields: Fields) -> Iterator[Record | Rejection]:
    """The lines that begin in the shard's bytes, blank ones left out; offsets are bytes of the (decompressed) file."""
    path = shard.paths[0]
    longest = max_line_bytes(fields.max_text_bytes)
    with open_text(path) as (stream, _):
        for offset, line in read_lines(stream, shard.start, shard.stop, longest):
            if line is None:
                yield Rejection(path, offset, None, "text_too_large", f"a line of more than {longest:,} bytes")
                continue
            body = (line.removeprefix(codecs.BOM_UTF8) if offset == 0 else line).removesuffix(b"\r")
            if not body.strip():
                continue
            try:
                yield Record(path, offset, None, body.decode(fields.encoding), (None,) * len(fields.kept))
            except UnicodeDecodeError as error:
                yield Rejection(path, offset, None, "invalid_utf8", encoding_problem(error), shown(body))
