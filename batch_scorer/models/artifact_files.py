"""The files of a model artefact, treated as what they are: bytes from somebody else.

Each is bounded before it is read and checked before it is used. An `ArtifactError` says what is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from batch_scorer import storage
from batch_scorer.errors import ArtifactError
from batch_scorer.models.network import Architecture, Floats
from batch_scorer.models.tokenizer import PATTERN, RESERVED

MODEL_ID, MANIFEST, VOCABULARY, WEIGHTS = "MODEL_ID", "manifest.json", "vocabulary.txt", "weights.safetensors"
ALIASES, SCORES = "aliases.txt", "scores.txt"

MODEL_BYTES = 2 << 30  # in memory, twenty times the shipped model: a tiny manifest could ask for any amount
MANIFEST_BYTES = 1 << 20
TOKEN_BYTES = 256  # on average: words may have any length, but few are long
HEADER_BYTES = 1 << 16  # of the weights; ours has 1.6 KB
LARGEST_WEIGHT = 1e9  # trained ones stay below 10; sums of products of larger ones might not fit into a float32

_PIECE_BYTES = 1 << 20
_BATCH = 80  # reviews; no engine takes more at a time
_is_word = re.compile(PATTERN).fullmatch


def check_size(architecture: Architecture, path: str) -> None:
    """Refuses a model that would fill the memory.

    This counts the tensors, the engine's two tables [V, 4H], the states of a batch [T, B, 2H + A], and the vocabulary
    as text, as strings and as keys.

    Raises:
        ArtifactError: together these take more than `MODEL_BYTES`.
    """
    a = architecture
    tables, states = 2 * a.vocabulary_size * 4 * a.units, a.max_length * _BATCH * (2 * a.units + a.attention_units)
    needed = 4 * (_tensor_values(a) + tables + states) + 3 * TOKEN_BYTES * a.vocabulary_size
    if needed > MODEL_BYTES:
        raise ArtifactError(
            "the model is too large",
            where=f"{path}, architecture",
            expected=f"a model that takes at most {MODEL_BYTES >> 30} GiB of memory",
            got=f"about {needed / (1 << 30):,.0f} GiB",
            fix="train a model with a smaller vocabulary or fewer units",
        )


def vocabulary_limit(architecture: Architecture) -> int:
    """The most bytes that `vocabulary.txt` may have."""
    return _PIECE_BYTES + TOKEN_BYTES * architecture.vocabulary_size


def weights_limit(architecture: Architecture) -> int:
    """The most bytes that `weights.safetensors` may have."""
    return 8 + HEADER_BYTES + 4 * _tensor_values(architecture)


def read(directory: str, file: str, limit: int, sha256: str | None = None) -> bytearray:
    """All of a file of at most `limit` bytes, whose hash must be `sha256`. No more than that is read of a larger one.

    Raises:
        ArtifactError: it is missing, not a regular file, too large, or a different file.
    """
    path, data = storage.join(directory, file), bytearray()
    try:
        with storage.open_read(path) as stream:
            while piece := stream.read(min(_PIECE_BYTES, limit + 1 - len(data))):
                data += piece
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ArtifactError(
            "the model artefact cannot be read",
            where=path,
            expected="MODEL_ID, manifest.json, vocabulary.txt and weights.safetensors",
            got=str(error),
            fix="give the directory that `python -m train --output DIR` wrote, or leave --model out",
        ) from error
    if len(data) > limit:
        raise damaged(path, f"at most {limit:,} bytes", "more")
    if sha256 is not None and (actual := hashlib.sha256(data).hexdigest()) != sha256:
        # If a manifest and its hash do not match, either may be the damaged one.
        where = f"{path}, or {storage.join(directory, MODEL_ID)}" if file == MANIFEST else path
        raise damaged(where, f"sha256 {sha256}", f"sha256 {actual}")
    return data


def model_id(directory: str) -> str:
    """The sha256 in MODEL_ID, which holds 64 hex digits, a line end, and nothing else."""
    data = bytes(read(directory, MODEL_ID, 65))
    if not re.fullmatch(rb"[0-9a-f]{64}\n", data):
        raise damaged(storage.join(directory, MODEL_ID), "a sha256 in 64 hex digits, and a line end", f"{data!r:.80}")
    return data[:64].decode("ascii")


def tokens(data: bytearray, architecture: Architecture, path: str) -> tuple[str, ...]:
    """The token of each id.

    Raises:
        ArtifactError: the file is not V lines of UTF-8, the reserved tokens first, each word once.
    """
    try:
        lines = tuple(data.decode("utf-8").split("\n"))
    except UnicodeDecodeError as error:
        raise damaged(path, "UTF-8", f"byte {error.start} ({data[error.start]:#04x}): {error.reason}") from error
    if len(lines) != architecture.vocabulary_size or lines[: len(RESERVED)] != RESERVED:
        first = f"{lines[: len(RESERVED)]!r:.200}"
        expected = f"{architecture.vocabulary_size} tokens, the first {RESERVED}"
        raise damaged(path, expected, f"{len(lines)} tokens, the first {first}")
    # Tokens that are not words may be repeated: they are names of ids that nothing uses.
    twice = [token for token, count in Counter(lines).items() if count > 1 and _is_word(token)]
    if twice:
        numbers = [number for number, token in enumerate(lines, 1) if token == twice[0]]
        raise damaged(f"{path}, line {numbers[1]}", "each word once", f"{twice[0]!r:.80}, as in line {numbers[0]}")
    return lines


def tensors(data: bytearray, architecture: Architecture, path: str) -> dict[str, Floats]:
    """The tensors of a safetensors file, each a float32 array of its own.

    The file consists of the size of the header in 8 bytes, the header in JSON, and the values. For each tensor the
    header says its type, its shape, and where among the values it begins and ends. Together the tensors fill the file,
    without gaps or overlaps.

    Raises:
        ArtifactError: it is not such a file, a tensor is missing, unknown or has another shape, or a value is absurd.
    """
    header, start = _header(data, path)
    shapes = architecture.tensor_shapes()
    for name in sorted(shapes.keys() | header.keys()):
        expected = f"F32 {list(shapes[name])}" if name in shapes else "nothing by that name"
        actual = _form(header[name]) if name in header else "nothing"
        if actual != expected:
            raise damaged(f"{path}, tensor {name:.80}", expected, actual)
    if len(data) - start != 4 * _tensor_values(architecture):
        raise damaged(path, f"{4 * _tensor_values(architecture):,} bytes of values", f"{len(data) - start:,}")
    loaded, end = {}, 0
    for name in sorted(header, key=lambda name: header[name]["data_offsets"]):
        begin, size = end, 4 * math.prod(shapes[name])
        end += size
        if header[name]["data_offsets"] != [begin, end]:
            raise damaged(f"{path}, tensor {name}", f"bytes {begin} to {end}", f"{header[name]['data_offsets']!r:.80}")
        values = np.frombuffer(data, "<f4", size // 4, start + begin).reshape(shapes[name])
        _check_values(values, f"{path}, tensor {name}", 0.0 if name == "batch_norm.variance" else -LARGEST_WEIGHT)
        loaded[name] = values.astype(np.float32)  # a copy, since these may be unaligned
    return loaded


def _header(data: bytearray, path: str) -> tuple[dict[str, Any], int]:
    """The header without its metadata, and where the values start."""
    size = int.from_bytes(data[:8], "little")
    start = 8 + size
    if size > HEADER_BYTES or start > len(data):
        raise damaged(path, f"a safetensors file with a header of at most {HEADER_BYTES:,} bytes", f"{size:,}")
    try:
        header = json.loads(data[8:start].decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "a safetensors file with a header in JSON", f"{error!s:.200}") from error
    if not isinstance(header, dict):
        raise damaged(path, "a safetensors file whose header is a JSON object", f"{header!r:.80}")
    header.pop("__metadata__", None)
    return header, start


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("a name appears twice")
    return unique


def _form(entry: Any) -> str:
    """What the header says about a tensor: `F32 [10, 1]`, or all of it, cut, if it is malformed."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end], **rest}:
            if {int} >= {type(number) for number in (*shape, begin, end)} and not rest:
                return f"{dtype:.80} {shape!r:.80}"
    return f"{entry!r:.80}"


def _check_values(values: Floats, where: str, least: float) -> None:
    wrong = ~((values >= least) & (values <= LARGEST_WEIGHT))  # NaN is neither
    if wrong.any():
        raise damaged(where, f"values from {least:g} to {LARGEST_WEIGHT:g}", f"{values[wrong][0]}")


def _tensor_values(architecture: Architecture) -> int:
    return sum(math.prod(shape) for shape in architecture.tensor_shapes().values())


def damaged(where: str, expected: object, got: object) -> ArtifactError:
    """What is wrong with a file, and what would be right."""
    return ArtifactError(
        "the model artefact is damaged",
        where=where,
        expected=str(expected),
        got=str(got) or "nothing",
        fix="copy the artefact again, or train the model again",
    )
