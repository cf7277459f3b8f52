"""Text files as bytes and lines: decompressed on the way, lines ending at `\\n` and nowhere else, in bounded memory.

Real reviews hold U+2028 and U+0085, at which Python's `str.splitlines` would cut them.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import pyarrow as pa

from batch_scorer import storage
from batch_scorer.records import Fields, Shard
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile

SAMPLE_BYTES = 1 << 18  # read to guess the records' size and columns
_SKIP_BYTES = 1 << 20
_PIECE_BYTES = 1 << 16


def _zstd(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(cast(Any, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))))


class _Bzip2(io.RawIOBase):
    """The streams of a bzip2 file, one after another.

    `bz2.BZ2File` takes a damaged second stream for the end of the file, and says nothing.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._decoder, self._begun = raw, bz2.BZ2Decompressor(), False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data:
            piece = b""
            if self._decoder.eof:
                piece, self._decoder, self._begun = self._decoder.unused_data, bz2.BZ2Decompressor(), False
            if not piece and self._decoder.needs_input:
                piece = self._raw.read(_PIECE_BYTES)
                if not piece and self._begun:
                    raise EOFError("the file ends before its last stream does")
                if not piece:
                    return 0
            self._begun = True
            data = self._decoder.decompress(piece, len(buffer))
        buffer[: len(data)] = data
        return len(data)


# The standard library's readers give all that comes before damage; Arrow's may keep the last few kilobytes back.
_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": lambda raw: io.BufferedReader(_Bzip2(raw)),
    ".zst": _zstd,
}


def plain_name(path: str) -> str:
    """`path` without the ending of a compression."""
    stem, ending = os.path.splitext(path)
    return stem if ending.lower() in _OPENERS else path


def is_compressed(path: str) -> bool:
    """Whether the name of `path` says that it is compressed: such a file can be read from its beginning only."""
    return plain_name(path) != path


@contextmanager
def open_text(path: str, beat: Beat | None = None) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Opens a text file; each read from the disk or the store is a `beat`.

    Yields:
        stream: the bytes, decompressed.
        raw: the bytes as stored, to tell how far they were read.

    Raises:
        OSError, EOFError, zlib.error: it cannot be read, or what is compressed is damaged.
    """
    with storage.open_read(path, beat) as raw:
        opener = _OPENERS.get(os.path.splitext(path)[1].lower()) if is_compressed(path) else None
        if opener is None:
            yield raw, raw
        else:
            with opener(raw) as stream:
                yield stream, raw


@dataclass(frozen=True)
class Sample:
    """The first lines of a file.

    Args:
        lines: bytes of each, without the line end; whole ones, unless the file has but one.
        is_whole: whether these are all.
        sampled_bytes: how long they are; with the line that the sample cuts off, if that is longer than all others.
        size_bytes: of the whole file, decompressed; a guess unless `is_whole`.
        is_damaged: whether damage ends them.
    """

    lines: list[bytes]
    is_whole: bool
    sampled_bytes: int
    size_bytes: int
    is_damaged: bool = False

    def estimate(self, records: int) -> int:
        """How many records the file has, if its first lines hold `records`."""
        if self.is_whole:
            return records
        return max(1, round(self.size_bytes * records / max(1, self.sampled_bytes)))


def sample(file: StoredFile) -> Sample:
    """Reads the first `SAMPLE_BYTES` of a text file, or as much as comes before damage.

    Raises:
        OSError, EOFError, zlib.error: no whole line of it can be read.
    """
    pieces: list[bytes] = []
    size, ended, damaged = 0, False, False
    with open_text(file.path) as (stream, raw):
        try:
            while size < SAMPLE_BYTES and not ended:
                pieces.append(stream.readline(SAMPLE_BYTES - size))  # by lines: a damaged file gives all of them
                size, ended = size + len(pieces[-1]), not pieces[-1]
        except (OSError, EOFError, zlib.error):
            if not pieces or not pieces[0].endswith(b"\n"):
                raise
            damaged = True
        read_bytes = raw.tell() or 1
    lines = b"".join(pieces).removeprefix(codecs.BOM_UTF8).split(b"\n")
    if ended:
        return Sample(lines if lines[-1] else lines[:-1], True, size, size)
    size_bytes = round(file.size_bytes * size / read_bytes) if is_compressed(file.path) else file.size_bytes
    cut_off = len(lines[-1])  # by the end of the sample
    sampled_bytes = size if cut_off > size // 2 else size - cut_off
    return Sample(lines[:-1] or lines, False, sampled_bytes, size_bytes, damaged)


def max_line_bytes(max_text_bytes: int) -> int:
    """The longest line that can hold a text of `max_text_bytes`: an escape takes six bytes, other fields some."""
    return 8 * max_text_bytes + (1 << 16)


def read_lines(file: BinaryIO, start: int, stop: int | None, max_bytes: int) -> Iterator[tuple[int, bytes | None]]:
    """The lines that begin in bytes `start` to `stop` of `file` (None: to the end), in bounded memory.

    However a file is cut into ranges, each of its lines is in exactly one of them.

    Yields:
        offset: where the line begins.
        line: its bytes without the line end; None where it is longer than `max_bytes`.
    """
    position = start
    if start:
        # A line belongs to the range where it begins: the byte before tells whether one begins right here.
        file.seek(start - 1)
        position = start - 1 + _skip_line(file)
    while stop is None or position < stop:
        line = file.readline(max_bytes + 1)
        if not line:
            return
        offset = position
        position += len(line)
        if line.endswith(b"\n"):
            yield offset, line[:-1]
        elif len(line) > max_bytes:
            position += _skip_line(file)
            yield offset, None
        else:
            yield offset, line


def shard_lines(shard: Shard, fields: Fields, beat: Beat | None) -> Iterator[tuple[int, bytes] | Rejection]:
    """The lines that begin in a shard's bytes, with their offsets; blank ones are left out, too long ones rejected."""
    path, longest = shard.paths[0], max_line_bytes(fields.max_text_bytes)
    with open_text(path, beat) as (stream, _):
        for offset, line in read_lines(stream, shard.start, shard.stop, longest):
            if line is None:
                yield Rejection(path, offset, None, "text_too_large", f"a line of more than {longest:,} bytes")
            elif (line if offset else line.removeprefix(codecs.BOM_UTF8)).strip(b" \t\r"):
                yield offset, line


def _skip_line(file: BinaryIO) -> int:
    """Reads to the end of the line and returns how many bytes that were."""
    skipped = 0
    while piece := file.readline(_SKIP_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
