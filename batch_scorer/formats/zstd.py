"""Zstandard files, block by block, so that damage costs no more than the block that it is in.

Arrow's reader gives nothing of a piece in which damage begins, which may be all of a small file.
Source: https://github.com/facebook/zstd/blob/dev/doc/zstd_compression_format.md
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from zstandard import ZstdDecompressor, ZstdError

_FRAME, _SKIPPABLE = 0xFD2FB528, 0x184D2A50  # magic numbers; the last four bits of the second do not count
_CUT_OFF = "the file ends within its last frame"
_SKIP_BYTES = 1 << 16
_WINDOW_BYTES = 1 << 27  # the largest that `zstd` itself reads without being asked to


class Zstd(io.RawIOBase):
    """The concatenated frames of a zstd file, decompressed."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._left = raw, b""
        self._pieces = self._decompressed()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises EOFError or OSError at damage, after everything before it has been read."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def _decompressed(self) -> Iterator[bytes]:
        """What each block holds: 128 KB at most."""
        while head := self._raw.read(4):
            magic = int.from_bytes(head, "little")
            if magic & ~15 == _SKIPPABLE and len(head) == 4:
                self._skip(int.from_bytes(self._take(4), "little"))
                continue
            if magic != _FRAME or len(head) < 4:
                raise OSError("what follows the last frame is not zstd")
            decoder = ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()
            try:
                for piece in self._pieces_of_frame(head):
                    yield decoder.decompress(piece)
            except ZstdError as error:
                raise OSError(f"the zstd data is damaged: {error}") from None
            if not decoder.eof:
                raise OSError("the zstd data is damaged: a frame does not end where its last block does")

    def _pieces_of_frame(self, head: bytes) -> Iterator[bytes]:
        """The header of a frame, each block, and the checksum."""
        descriptor = self._take(1)
        flags = descriptor[0]
        is_single = flags >> 5 & 1
        content = (is_single, 2, 4, 8)[flags >> 6]
        yield head + descriptor + self._take((not is_single) + (0, 1, 2, 4)[flags & 3] + content)
        is_last = 0
        while not is_last:
            block = self._take(3)
            header = int.from_bytes(block, "little")
            is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
            size = 1 if kind == 1 else size  # of one byte that is repeated
            data = self._raw.read(size)
            yield block + data  # even if cut off: what is not compressed can be had in part
            if len(data) < size:
                raise EOFError(_CUT_OFF)
        if flags >> 2 & 1:
            yield self._take(4)

    def _take(self, size: int) -> bytes:
        data = self._raw.read(size)
        if len(data) < size:
            raise EOFError(_CUT_OFF)
        return data

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._take(min(size, _SKIP_BYTES)))
