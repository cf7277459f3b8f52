"""Text files as streams of bytes, decompressed if their name says so, up to a limit on what they may inflate to."""

from __future__ import annotations

import bz2
import gzip
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from batch_scorer import storage
from batch_scorer.formats.table import is_compressed
from batch_scorer.formats.zstd import Zstd
from batch_scorer.storage import Beat

# A compressed file may inflate to this many bytes, or to this many times its stored size, whichever is more.
INFLATED_BYTES, INFLATION = 1 << 30, 100
_BUFFER_BYTES = 1 << 16
_PIECE_BYTES = 1 << 16


class _Bzip2(io.RawIOBase):
    """The concatenated streams of a bzip2 file.

    `bz2.BZ2File` silently takes a damaged second stream for the end of the file.
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
                    raise EOFError("the file ends within its last stream")
                if not piece:
                    return 0
            self._begun = True
            data = self._decoder.decompress(piece, len(buffer))
        buffer[: len(data)] = data
        return len(data)


# All of these return everything before damage.
_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": lambda raw: io.BufferedReader(_Bzip2(raw)),
    ".zst": lambda raw: io.BufferedReader(Zstd(raw)),
}


@contextmanager
def open_text(path: str, beat: Beat | None = None) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Opens a text file; `beat` is called at each read from the disk or the store.

    Yields:
        stream: the bytes, decompressed.
        raw: the bytes as stored; its position tells how much of the file has been read.

    Raises:
        OSError, EOFError, zlib.error: the file cannot be read, or its compressed data is damaged.
    """
    with storage.open_read(path, beat) as raw:
        if not is_compressed(path):
            yield raw, raw
            return
        opener = _OPENERS[os.path.splitext(path)[1].lower()]
        size = raw.seek(0, os.SEEK_END)
        raw.seek(0)
        with opener(raw) as stream:
            yield io.BufferedReader(_Inflated(stream, size, beat), _BUFFER_BYTES), raw


class _Inflated(io.RawIOBase):
    """The contents of a compressed file, up to a limit: a few megabytes could keep a worker busy for hours."""

    def __init__(self, stream: BinaryIO, stored_bytes: int, beat: Beat | None) -> None:
        self._stream, self._stored, self._beat = stream, stored_bytes, beat
        self._limit = self._left = max(INFLATED_BYTES, INFLATION * stored_bytes)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._beat:
            self._beat()
        data = self._stream.read1(len(buffer))  # type: ignore[attr-defined]  # gets everything before damage
        self._left -= len(data)
        if self._left < 0:
            raise OSError(
                f"the file inflates to more than {self._limit:,} bytes, from {self._stored:,}: if that is right, "
                "decompress it first"
            )
        buffer[: len(data)] = data
        return len(data)
