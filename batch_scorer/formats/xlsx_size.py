"""How much memory an Excel workbook may take, found out before it is read: a few kilobytes may inflate to gigabytes."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from batch_scorer.storage import Beat

INFLATED_BYTES = 256 << 20  # of all parts together
CELLS = 32_000_000  # of a sheet, empty ones included
_MEMBERS = 10_000
_PIECE_BYTES, _OVERLAP = 1 << 20, 32
_LOCAL_HEADER = struct.Struct("<4s22xHH")
# The header of a container of Office: the size of its sectors, as a power of two, and where its directory begins.
_CONTAINER, _CONTAINER_MARK = struct.Struct("<8s22xH16xI"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_reference = re.compile(rb'\br\s*=\s*["\']([A-Z]{0,3})([0-9]{1,7})["\']').finditer


def check_size(stream: BinaryIO, beat: Beat | None) -> None:
    """Inflates all of a workbook, piece by piece, and counts bytes and cells.

    Raises:
        OSError: it is too large, or is no workbook.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError):
        if _is_encrypted(stream):
            raise OSError("the workbook is encrypted: save it without a password") from None
        raise OSError("not an Excel workbook, or one that is damaged") from None
    if len(members) > _MEMBERS:
        raise OSError(f"a workbook of {len(members):,} parts, more than {_MEMBERS:,}")
    left = INFLATED_BYTES
    for member in members:
        rows = columns = 1
        tail = b""
        for piece in _inflated(stream, member):
            if beat:
                beat()
            left -= len(piece)
            if left < 0:
                raise OSError(f"the workbook inflates to more than {INFLATED_BYTES:,} bytes: save it as CSV")
            for match in _reference(tail + piece):
                rows, columns = max(rows, int(match[2])), max(columns, _number(match[1]))
            tail = (tail + piece)[-_OVERLAP:]
        if rows * columns > CELLS:
            size = f"{rows:,} rows and {columns:,} columns"
            raise OSError(f"a sheet of {size}, more than {CELLS:,} cells: save it as CSV")


def _is_encrypted(stream: BinaryIO) -> bool:
    """Whether a file is a container in which Office puts what it encrypts: its directory has an entry of that name."""
    stream.seek(0)
    head = stream.read(_CONTAINER.size)
    if len(head) < _CONTAINER.size:
        return False
    mark, shift, sector = _CONTAINER.unpack(head)
    if mark != _CONTAINER_MARK or shift > 12:
        return False
    stream.seek((sector + 1) << shift)
    return _ENCRYPTED in stream.read(1 << shift)


def _inflated(stream: BinaryIO, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """What a part really inflates to, whatever the archive says about it."""
    stream.seek(member.header_offset)
    head = stream.read(_LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise OSError("the workbook is damaged: a part of it cannot be read")
    _, name, extra = _LOCAL_HEADER.unpack(head)
    stream.seek(name + extra, 1)
    decoder = zlib.decompressobj(-zlib.MAX_WBITS) if member.compress_type == zipfile.ZIP_DEFLATED else None
    left = member.compress_size
    while left > 0 and (data := stream.read(min(left, _PIECE_BYTES))):
        left -= len(data)
        if decoder is None:
            yield data
            continue
        while data:
            yield decoder.decompress(data, _PIECE_BYTES)
            data = decoder.unconsumed_tail


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number
