"""An object as a seekable file, which reads ahead further and further while it is read in sequence."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

FIRST_BYTES, MOST_BYTES = 256 << 10, 8 << 20  # the first fetch after a jump; the limit as fetches double in size
Fetch = Callable[[int, int], bytes]  # the bytes from one offset up to, and without, another


class ObjectReader(io.RawIOBase):
    """The bytes of one object; the piece fetched last is kept in memory.

    Args:
        fetch: reads a range of bytes.
        size_bytes: of the object.
    """

    def __init__(self, fetch: Fetch, size_bytes: int) -> None:
        self._fetch, self._size = fetch, size_bytes
        self._at = self._start = 0  # offsets of the next read and of the piece
        self._piece = b""
        self._ahead = FIRST_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        stop = self._start + len(self._piece)
        if not self._start <= self._at < stop:
            if self._at >= self._size:
                return 0
            self._ahead = min(2 * self._ahead, MOST_BYTES) if self._at == stop and stop else FIRST_BYTES
            self._piece = b""  # free its memory before the next one comes
            end = min(self._at + max(self._ahead, len(buffer)), self._size)
            self._start, self._piece = self._at, self._fetch(self._at, end)
        skipped = self._at - self._start
        data = memoryview(self._piece)[skipped : skipped + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position: {base + offset}")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._piece = b""
        super().close()
