"""The lines of text files, in bounded memory; a line ends at `\\n` and nowhere else.

Real reviews contain U+2028 and U+0085, at which Python's `str.splitlines` would split them.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from batch_scorer.formats.compression import open_text
from batch_scorer.formats.records import Fields, Shard
from batch_scorer.formats.table import is_compressed
from batch_scorer.schema import Rejection
from batch_scorer.storage import Beat, StoredFile

SAMPLE_BYTES = 1 << 18  # read to estimate the size of a record and to find the columns
BLANK = b" \t\r"
_BLANK_BYTES = 16  # the longest line that counts towards a run of blank ones
_BLANK_LINES = 64  # after this many in a row, those that follow are taken in one piece
_SKIP_BYTES = 1 << 20


@dataclass(frozen=True)
class Sample:
    """The first lines of a file.

    Args:
        lines: the bytes of each without the line end; complete lines, unless the sample ends within the first.
        is_whole: whether these are all the lines of the file.
        sampled_bytes: their size; includes the line that the sample cuts off if that is longer than all the others.
        size_bytes: of the whole file, decompressed; an estimate unless `is_whole`.
        is_damaged: whether the sample ends at damage.
    """

    lines: list[bytes]
    is_whole: bool
    sampled_bytes: int
    size_bytes: int
    is_damaged: bool = False

    def count_filled(self) -> int:
        """How many of the lines are not blank."""
        return sum(1 for line in self.lines if line.strip(BLANK))

    def estimate(self, records: int) -> int:
        """How many records the file has if its first lines have `records`."""
        if self.is_whole:
            return records
        return max(1, round(self.size_bytes * records / max(1, self.sampled_bytes)))


def sample(file: StoredFile) -> Sample:
    """Reads the first `SAMPLE_BYTES` of a text file, or as much as comes before damage.

    Raises:
        OSError, EOFError, zlib.error: not even its first line can be read.
    """
    pieces: list[bytes] = []
    size, ended, damaged = 0, False, False
    with open_text(file.path) as (stream, raw):
        try:
            while size < SAMPLE_BYTES and not ended:
                pieces.append(stream.readline(SAMPLE_BYTES - size))  # by lines, to get all of those before damage
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
    cut_off = len(lines[-1])  # the beginning of a line that the sample does not hold all of
    sampled_bytes = size if cut_off > size // 2 else size - cut_off
    return Sample(lines[:-1] or lines, False, sampled_bytes, size_bytes, damaged)


def max_line_bytes(max_text_bytes: int) -> int:
    """The longest line that is read: an escape takes six bytes for one of text, and other fields need some room."""
    return 8 * max_text_bytes + (1 << 16)


def read_lines(
    file: BinaryIO, start: int, stop: int | None, max_bytes: int, blank: bytes = b""
) -> Iterator[tuple[int, bytes | None]]:
    """The lines that begin in bytes `start` to `stop` of `file` (None: to the end), in bounded memory.

    However a file is cut into ranges, each of its lines is in exactly one range.

    Args:
        blank: the characters of blank lines; many blank lines in a row may come as one.

    Yields:
        offset: where the line begins.
        line: its bytes without the line end; None if it is longer than `max_bytes`.
    """
    position = start
    if start:
        # A line belongs to the range that it begins in; the byte before shows whether a line begins right here.
        file.seek(start - 1)
        position = start - 1 + _skip_line(file)
    blanks = 0
    while stop is None or position < stop:
        line = file.readline(max_bytes + 1)
        if not line:
            return
        offset = position
        position += len(line)
        if line.endswith(b"\n"):
            yield offset, line[:-1]
            blanks = blanks + 1 if len(line) <= _BLANK_BYTES and not line.strip(blank + b"\n") else 0
            if blanks >= _BLANK_LINES:
                lines = _blank_lines(file, blank, None if stop is None else stop - position)
                if lines:
                    yield position, lines[:-1]
                position += len(lines)
                blanks = 0
        elif len(line) > max_bytes:
            position += _skip_line(file)
            yield offset, None
        else:
            yield offset, line


def _blank_lines(file: BinaryIO, blank: bytes, most: int | None) -> bytes:
    """Reads all the blank lines at the front of the file's buffer at once."""
    peek = getattr(file, "peek", None)
    ahead = peek(1)[:most] if peek else b""
    blanks = len(ahead) - len(ahead.lstrip(blank + b"\n"))
    return file.read(ahead.rfind(b"\n", 0, blanks) + 1)


def shard_lines(shard: Shard, fields: Fields, beat: Beat | None) -> Iterator[tuple[int, bytes] | Rejection]:
    """The lines that begin in a shard's bytes, with their offsets; blank ones are skipped, too long ones rejected."""
    path, longest = shard.paths[0], max_line_bytes(fields.max_text_bytes)
    with open_text(path, beat) as (stream, _):
        for offset, line in read_lines(stream, shard.start, shard.stop, longest, BLANK):
            if line is None:
                yield Rejection(path, offset, None, "text_too_large", f"a line of more than {longest:,} bytes")
            elif (line if offset else line.removeprefix(codecs.BOM_UTF8)).strip(BLANK + b"\n"):
                yield offset, line


def _skip_line(file: BinaryIO) -> int:
    """Reads to the end of the line and returns how many bytes that was."""
    skipped = 0
    while piece := file.readline(_SKIP_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped
