"""One review per file; a shard is a group of files."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from batch_scorer.formats.compression import open_text
from batch_scorer.formats.encodings import wide_encoding
from batch_scorer.formats.records import DAMAGE, Contents, Fields, Record, Shard, encoding_problem, first_line, shown
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile

_PIECE_BYTES = 1 << 20
_HEAD_BYTES = 512


def inspect(file: StoredFile, fields: Fields) -> Contents:
    """Needs no look: a file is one review."""
    return Contents(1)


def records(shard: Shard, fields: Fields, beat: Beat | None = None) -> Iterator[Record | Rejection]:
    """One record per file; a file that cannot be read is rejected as `unreadable` and does not end the shard."""
    kept = (None,) * len(fields.kept)
    for path in shard.paths:
        try:
            with open_text(path, beat) as (stream, _):
                data = _read(stream, fields.max_text_bytes + len(codecs.BOM_UTF8) + 1)
        except MemoryError:
            raise
        except DAMAGE as error:
            yield Rejection(path, None, None, "unreadable", first_line(error))
            continue
        data = data.removeprefix(codecs.BOM_UTF8)
        if len(data) > fields.max_text_bytes:
            message = f"more than {fields.max_text_bytes:,} bytes of text"
            yield Rejection(path, 0, None, "text_too_large", message, shown(data))
            continue
        if wide := wide_encoding(
            data[:_HEAD_BYTES]
        ):  # half of whose bytes are zero, which other encodings read as well
            yield Rejection(path, 0, None, "invalid_utf8", f"the text is in {wide}", shown(data))
            continue
        try:
            yield Record(path, 0, None, data.decode(fields.encoding), kept)
        except UnicodeDecodeError as error:
            yield Rejection(path, 0, None, "invalid_utf8", encoding_problem(error), shown(data))


def _read(stream: BinaryIO, most: int) -> bytes:
    """All that is left of a stream, up to a number of bytes for which there may be no memory."""
    data = bytearray()
    while len(data) < most and (piece := stream.read(min(most - len(data), _PIECE_BYTES))):
        data += piece
    return bytes(data)
