"""Finds where JSON values begin and end in a stream, in bounded memory and without reading what is in them."""

from __future__ import annotations

import codecs
import re
from typing import BinaryIO

_READ_BYTES = 1 << 16
_BLANK = b" \t\r\n"
_sign = re.compile(rb'["\[\]{}]').search
_in_string = re.compile(rb'["\\]').search
_end_of_word = re.compile(rb'[\s,:"\[\]{}]').search


class Scanner:
    """A JSON text, value by value; a byte-order mark at its beginning is skipped.

    Args:
        stream: its bytes.
        max_bytes: of a value; of a longer one, nothing is kept.
    """

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._stream, self._max = stream, max_bytes
        self._data, self._at, self._offset = b"", 0, 0  # `_offset` is where `_data` begins in the stream

    def head(self, size: int) -> bytes:
        """The first bytes, as many as there are up to `size`; they are not passed."""
        while len(self._data) < size and self._more():
            pass
        return self._data[:size]

    def next_sign(self) -> bytes:
        """Passes white space, and gives the first byte of what follows, without passing it; b"" at the end."""
        if self._offset + self._at == 0 and self.head(3).startswith(codecs.BOM_UTF8):
            self._at = len(codecs.BOM_UTF8)
        while True:
            rest = self._data[self._at : self._at + 64].lstrip(_BLANK)
            if rest:
                self._at += len(self._data[self._at : self._at + 64]) - len(rest)
                return rest[:1]
            self._at = min(len(self._data), self._at + 64)
            if self._at == len(self._data):
                self._forget()
                if not self._more():
                    return b""

    def skip_sign(self) -> None:
        """Passes one byte."""
        self._at += 1

    def value(self) -> tuple[int, bytes | None]:
        """Passes the value that begins here, which `next_sign` has reached.

        Returns:
            Where it begins in the stream, and its bytes; None if there are too many. What is no JSON is a value too, up
            to the next white space or sign.

        Raises:
            EOFError: the stream ends within it.
        """
        start, sign = self._offset + self._at, self._data[self._at : self._at + 1]
        kept, size = bytearray(), 0
        self._depth, self._string, self._escaped = 0, False, False
        is_word = sign not in (b'"', b"[", b"{")
        while True:
            end = self._word_end(first=not size) if is_word else self._value_end()
            piece = self._data[self._at : len(self._data) if end < 0 else end]
            size += len(piece)
            if size <= self._max:
                kept += piece
            if end >= 0:
                self._at = end
                return start, bytes(kept) if size <= self._max else None
            self._at = len(self._data)
            self._forget()
            if not self._more():
                if is_word:
                    return start, bytes(kept) if size <= self._max else None
                raise EOFError("the file ends within a JSON value")

    def _word_end(self, first: bool) -> int:
        match = _end_of_word(self._data, self._at + first)  # a sign that is out of place is a word of its own
        return match.start() if match else -1

    def _value_end(self) -> int:
        """Where the value ends whose bytes begin at `_at`, or go on there; -1 if it goes on after these bytes."""
        at = self._at
        if self._escaped and at < len(self._data):
            self._escaped, at = False, at + 1
        while match := (_in_string if self._string else _sign)(self._data, at):
            sign, at = match[0], match.end()
            if self._string and sign == b"\\":
                if at == len(self._data):
                    self._escaped = True
                at += 1
                continue
            if sign == b'"':
                self._string = not self._string
            else:
                self._depth += 1 if sign in b"[{" else -1
            if not self._string and self._depth <= 0:
                return at
        return -1

    def _more(self) -> bool:
        """Reads on; False at the end of the stream."""
        data = self._stream.read(_READ_BYTES)
        self._data += data
        return bool(data)

    def _forget(self) -> None:
        """Drops the bytes before the current one."""
        self._offset += self._at
        self._data, self._at = self._data[self._at :], 0
