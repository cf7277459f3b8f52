"""Hashes of texts and of ids. They stay the same for ever: rows of runs that are years apart are compared by them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

UInts = npt.NDArray[np.uint64]


def text_hashes(texts: Sequence[str]) -> UInts:
    """The column `text_hash`: of each text, the first 64 bits of the SHA-256 (FIPS 180-4) of its UTF-8, big-endian.

    Args:
        texts: N texts, as they were read: neither trimmed nor in lower case. None has half of a surrogate pair.

    Returns:
        uint64[N].

    Example:
        >>> [hex(number) for number in text_hashes(["abc"]).tolist()]
        ['0xba7816bf8f01cfea']
    """
    return _leading_bytes(texts, 8)


def id_hashes(ids: Sequence[str]) -> UInts:
    """The first 128 bits of the SHA-256 of ids as two numbers each: uint64[N, 2]."""
    return _leading_bytes(ids, 16).reshape(-1, 2)


def _leading_bytes(words: Iterable[str], count: int) -> UInts:
    sha256 = hashlib.sha256
    data = b"".join([sha256(word.encode()).digest()[:count] for word in words])
    return np.frombuffer(data, ">u8").astype(np.uint64)
