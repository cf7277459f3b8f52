"""Mutations: valid bytes or a valid JSON value in, something close to it out; the same for the same `Random`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

# What has broken readers before: ends of lines, quotes, marks, halves of characters, sizes at the limits of integers.
TOKENS = (
    *(b"\n", b"\r", b"\r\n", b"\0", b'"', b'""', b",", b"\t", b"\\", b"{", b"}", b"[", b"]", b":", b" "),
    *(b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\xc2\x85", b"\xed\xa0\x80", b"\xf0\x9f\x91\x8d"),
    *(b"\\ud800", b"\\u0000", b"NaN", b"1e999", b"-1", b"9" * 20, b"[" * 1_200, b"<br />", b"\x1b[31m", b"\x1b]8;;"),
    *(b"\xc4\xb0", b"\xe2\x80\xae", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x80\x01", b"\xfe\xff\xff\xff\x0f", b"\x7f"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 7, 2**31, 2**63, 2**64, 10**30, 0.5, -1e308, 1e-320, float("nan"), float("inf")),
    *("", "x", "../../x", "/dev/zero", "gs://x/y", "file://x", "a\0b", "\ud800", "\x1b[31m", "0" * 64, "9" * 5_000),
    *([], {}, [[]], [None], {"": None}, ["x"] * 50, {"sha256": 1, "path": "x", "rows": 1}),
)


def mutated(data: bytes, rng: Random, other: Callable[[], bytes]) -> bytes:
    """`data` after one to eight changes; `other` gives more bytes of the kind, to splice in."""
    changed = bytearray(data)
    for _ in range(min(8, 1 + int(rng.expovariate(0.7)))):
        rng.choice(_CHANGES)(changed, rng, other)
    return bytes(changed[: 1 << 17])


def mutated_json(value: Any, rng: Random) -> Any:
    """`value` after one to three changes at random places in it."""
    changed = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 3))):
        changed = _change_json(changed, rng)
    return changed


def nested(depth: int, rng: Random) -> str:
    """JSON text of lists or objects within each other."""
    return "[" * depth + "]" * depth if rng.random() < 0.5 else '{"a":' * depth + "1" + "}" * depth


def near(length: int, rng: Random) -> int:
    """A place in `length` bytes: anywhere, or, as often, near the end, where footers and checksums are."""
    return rng.randrange(length) if rng.random() < 0.5 else max(0, length - 1 - int(rng.expovariate(0.01)))


def _flip(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    for _ in range(rng.choice((1, 1, 1, 4)) if data else 0):
        data[near(len(data), rng)] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    if data:
        data[near(len(data), rng)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _cut(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    if data:
        del data[near(len(data), rng) :]


def _remove(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    start, stop = _range(data, rng)
    del data[start:stop]


def _repeat(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    start, stop = _range(data, rng)
    data[stop:stop] = data[start:stop] * rng.choice((1, 1, 2, 20))


def _insert(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    at = near(len(data) + 1, rng)
    data[at:at] = rng.choice(TOKENS)


def _overwrite(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    token, at = rng.choice(TOKENS), near(len(data) + 1, rng)
    data[at : at + len(token)] = token


def _splice(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    start, stop = _range(data, rng)
    more = other()
    first, last = _range(more, rng)
    data[start:stop] = more[first:last]


def _move(data: bytearray, rng: Random, other: Callable[[], bytes]) -> None:
    start, stop = _range(data, rng)
    piece = data[start:stop]
    del data[start:stop]
    at = near(len(data) + 1, rng)
    data[at:at] = piece


_CHANGES = (_flip, _flip, _set, _cut, _remove, _repeat, _insert, _insert, _overwrite, _splice, _move)


def _range(data: Sequence[int], rng: Random) -> tuple[int, int]:
    start = near(len(data) + 1, rng)
    return start, min(len(data), start + int(rng.expovariate(0.03)))


def _change_json(value: Any, rng: Random) -> Any:
    """Changes one node: replaces, removes, adds or doubles it."""
    inner: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value))) if _is_list(value) else []
    if not inner or rng.random() < 0.15:
        return copy.deepcopy(rng.choice(VALUES))
    key = rng.choice(inner)
    if isinstance(value[key], (dict, list)) and value[key] and rng.random() < 0.8:
        value[key] = _change_json(value[key], rng)
    elif (chance := rng.random()) < 0.6:
        value[key] = _other_value(value[key], rng)
    elif chance < 0.75:
        del value[key]
    elif isinstance(value, dict):
        value[rng.choice(("", "x", "\ud800", f"{key}x"))] = value[key]
    else:
        value.insert(key, copy.deepcopy(rng.choice((value[key], *VALUES))))
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _other_value(value: Any, rng: Random) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice((value + 1, -value, value * 10, float(value), str(value)))
    if isinstance(value, str) and value and rng.random() < 0.4:
        at = rng.randrange(len(value))
        return value[:at] + rng.choice(("", "x", "/", "\0", "\u202e", "../", value)) + value[at + 1 :]
    return copy.deepcopy(rng.choice(VALUES))


def to_json(value: Any) -> bytes:
    """`value` as JSON, NaN and infinities as Python writes them."""
    return json.dumps(value).encode()
