"""zstd: whatever comes before damage is read, to the block; whole files as Arrow reads them."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zstandard import ZstdCompressor

from batch_scorer.formats.zstd import Zstd

WORDS = [bytes(random.Random(0).choices(range(256), k=7)) for _ in range(5_000)]
TEXT = b"".join(random.Random(1).choices(WORDS, k=60_000))  # several blocks


def frame(data: bytes, **options: bool | int) -> bytes:
    return ZstdCompressor(**options).compress(data)  # type: ignore[arg-type]


def read(stored: bytes) -> tuple[bytes, str]:
    """What can be read, and the error at its end."""
    stream = io.BufferedReader(Zstd(io.BytesIO(stored)))
    data = b""
    try:
        while piece := stream.read1(1 << 16):
            data += piece
    except (OSError, EOFError) as error:
        return data, str(error)
    return data, ""


SKIPPABLE = (0x184D2A57).to_bytes(4, "little") + (3).to_bytes(4, "little") + b"abc"
UNSIZED = ZstdCompressor(write_content_size=False, write_checksum=True)


@pytest.mark.parametrize(
    "stored",
    [
        frame(TEXT),
        frame(TEXT, write_checksum=True, level=19),
        UNSIZED.compress(TEXT),
        SKIPPABLE + frame(TEXT[:9]) + SKIPPABLE + frame(b"") + frame(TEXT[9:]),
        pa.compress(TEXT, codec="zstd", asbytes=True),
    ],
    ids=["sized", "checksum", "unsized", "several frames", "arrow"],
)
def test_whole_file_is_read(stored: bytes) -> None:
    assert (TEXT, "") == read(stored)
    assert (b"a" * 9_000_000, "") == read(frame(b"a" * 9_000_000))  # blocks of one byte, repeated


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (b"garbage", "what follows the last frame is not zstd"),
        (b"(\xb5", "what follows the last frame is not zstd"),
        (frame(TEXT)[:20], "the file ends within its last frame"),
        (frame(b"")[:5], "the file ends within its last frame"),
        (SKIPPABLE[:-1], "the file ends within its last frame"),
        (b"\0" * 3, "what follows the last frame is not zstd"),
    ],
)
def test_damage_after_a_whole_frame_costs_nothing_before_it(more: bytes, error: str) -> None:
    assert (b"a good film\n" * 3, error) == read(frame(b"a good film\n" * 3) + more)


def test_damage_in_a_block_costs_nothing_before_it() -> None:
    stored = bytearray(frame(TEXT, write_checksum=True))
    for cut in (len(stored) // 2, len(stored) - 5, len(stored) - 1):
        data, error = read(bytes(stored[:cut]))
        assert TEXT.startswith(data) and len(data) >= len(TEXT) * cut // len(stored) - (128 << 10)
        assert "the file ends within its last frame" == error
    stored[-1] ^= 255
    data, error = read(bytes(stored))
    assert TEXT == data and "damaged" in error


@given(at=st.integers(0, 60), byte=st.integers(0, 255))
def test_any_changed_byte_ends_as_an_error_or_not_at_all(at: int, byte: int) -> None:
    stored = bytearray(frame(b"a good film, a bad film\n" * 5) + frame(b"more"))
    stored[at % len(stored)] = byte
    data, error = read(bytes(stored))
    assert isinstance(data, bytes) and len(data) < 1 << 20 and isinstance(error, str)
