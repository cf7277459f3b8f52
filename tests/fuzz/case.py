"""An input of the readers: eight bytes of options and the content of the file; how it is stored and read back.

What is in a compressed file is worked out here a second time, by `zlib` and `bz2` alone.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import pyarrow as pa
import zstandard

from tests.fuzz.mutate import mutated

OPTION_BYTES = 8
ENDINGS = ("", ".gz", ".bz2", ".zst")
ENCODINGS = ("utf-8", "latin-1", "cp1252", "gb18030")
DELIMITERS = (None, ";", "\t", "|")
DAMAGES = ("none", "cut", "changed", "more behind", "not compressed", "in two streams", "second stream changed")
LIMIT_BYTES = 30  # of text, where the case asks for a low limit


@dataclass(frozen=True)
class Case:
    """Options and content, as the bytes of an input have them."""

    ending: str
    damage: str
    place: float
    shard_rows: int
    encoding: str
    delimiter: str | None
    with_id: bool
    with_kept: bool
    limit: int | None
    max_text_bytes: int
    content: bytes

    @staticmethod
    def of(data: bytes) -> Case:
        """Any bytes are a case."""
        o = data[:OPTION_BYTES].ljust(OPTION_BYTES, b"\0")
        return Case(
            ending=ENDINGS[o[0] % 4],
            damage=DAMAGES[o[1] % len(DAMAGES)],
            place=(o[2] * 256 + o[3]) / 65_536,
            shard_rows=1 + o[4] % 7,
            encoding=ENCODINGS[o[5] % 4],
            delimiter=DELIMITERS[o[5] // 4 % 4],
            with_id=bool(o[6] & 1),
            with_kept=bool(o[6] & 2),
            limit=o[6] // 4 % 8 if o[6] & 32 else None,
            max_text_bytes=LIMIT_BYTES if o[6] & 64 else 1_000_000,
            content=data[OPTION_BYTES:],
        )

    def stored(self, content: bytes) -> bytes:
        """`content` as it lies on the disk: compressed, and then damaged."""
        if not self.ending or self.damage == "not compressed":
            return content
        at = int(self.place * len(content))
        if self.damage in ("in two streams", "second stream changed"):
            first, second = (compressed(part, self.ending) for part in (content[:at], content[at:]))
            if self.damage == "in two streams":
                return first + second
            return first + _flipped(second, self.place)
        whole = compressed(content, self.ending)
        at = int(self.place * len(whole))
        return {
            "none": whole,
            "cut": whole[:at],
            "changed": _flipped(whole, self.place),
            "more behind": whole + content[:40],
        }[self.damage]


def options(rng: Random) -> bytes:
    """Options such as people use, and now and then any."""
    if rng.random() < 0.2:
        return rng.randbytes(OPTION_BYTES)
    usual = bytes((rng.choice((0, 0, 0, 1, 2, 3)), rng.choice((0, 0, rng.randrange(7)))))
    encoding = rng.choice((0, 0, rng.randrange(16)))
    flags = rng.choice((0, 1, 3, rng.randrange(128)))
    return usual + rng.randbytes(3) + bytes((encoding, flags, 0))


def compressed(data: bytes, ending: str) -> bytes:
    if ending == ".zst":
        return bytes(pa.compress(data, codec="zstd", asbytes=True))
    return gzip.compress(data, 1, mtime=0) if ending == ".gz" else bz2.compress(data, 1)


def _flipped(data: bytes, place: float) -> bytes:
    at = int(place * len(data))
    return data[:at] + bytes((data[at] ^ 1 << at % 8,)) + data[at + 1 :] if data else data


def inflated(stored: bytes, ending: str) -> tuple[bytes, bool]:
    """What is in a compressed file as far as it goes, and whether that is all that was in it."""
    if not ending or not stored:
        return stored, True  # an empty file holds nothing, and nothing is wrong with it
    if ending == ".zst":
        return _unzstd(stored)
    out, rest = bytearray(), stored
    while rest:
        one: Any = zlib.decompressobj(31) if ending == ".gz" else bz2.BZ2Decompressor()
        try:
            for i in range(len(rest)):  # in the smallest pieces, so that all that comes before damage comes out
                piece = one.decompress(rest[i : i + 1], 1)
                while piece:
                    out += piece
                    piece = one.decompress(one.unconsumed_tail if ending == ".gz" else b"", 1)
                if one.eof:
                    break
        except (zlib.error, OSError):
            return bytes(out), False
        if not one.eof:
            return bytes(out), False
        rest = rest[i + 1 :]
        if ending == ".gz":
            rest = rest.lstrip(b"\0")  # padding, which gzip allows
    return bytes(out), True


def _unzstd(stored: bytes) -> tuple[bytes, bool]:
    out, rest = b"", stored
    while rest:
        if rest[1:4] == b"\x2a\x4d\x18" and 0x50 <= rest[0] < 0x60:  # a frame to skip
            end = 8 + int.from_bytes(rest[4:8], "little")
            if len(rest) < max(8, end):
                return out, False
            rest = rest[end:]
            continue
        one = zstandard.ZstdDecompressor().decompressobj()
        try:
            for i in range(len(rest)):
                out += one.decompress(rest[i : i + 1])
                if one.eof:
                    break
        except zstandard.ZstdError:
            return out, False
        if not one.eof:
            return out, False
        rest = rest[i + 1 :]
    return out, True


def seed_of(content: Callable[[Random], bytes]) -> Callable[[Random], bytes]:
    """Options, and a content that is as it should be three times in ten and else mutated."""

    def seed(rng: Random) -> bytes:
        made = content(rng)
        if rng.random() < 0.7:
            made = mutated(made, rng, lambda: content(rng))
        return options(rng) + made

    return seed
