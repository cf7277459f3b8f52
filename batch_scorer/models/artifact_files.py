"""The files of a model artefact, taken as what they are: bytes from somebody else.

Each is bounded before it is read and checked before it is used; what is wrong is named in an `ArtifactError`.
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

MODEL_BYTES = 2 << 30  # in memory, twenty times the shipped model; a manifest of a few bytes could ask for any amount
MANIFEST_BYTES = 1 << 20
TOKEN_BYTES = 256  # on average: a word may have any length, but few are long
HEADER_BYTES = 1 << 16  # of the weights; ours has 1.6 KB
LARGEST_WEIGHT = 1e9  # trained ones stay below 10, and no sum of products of such as this leaves float32

_PIECE_BYTES = 1 << 20
_BATCH = 80  # reviews, the most that an engine takes at a time
_is_word = re.compile(PATTERN).fullmatch


def check_size(architecture: Architecture, path: str) -> None:
    """Refuses sizes whose products would fill the memory.

    Counted are the tensors, the engine's two tables [V, 4H], a batch's states [T, B, 2H + A], and the vocabulary as
    text, as strings and as keys.

    Raises:
        ArtifactError: all these take more than `MODEL_BYTES`.
    """
    a = architecture
    tables, states = 2 * a.vocabulary_size * 4 * a.units, a.max_length * _BATCH * (2 * a.units + a.attention_units)
    needed = 4 * (_tensor_values(a) + tables + states) + 3 * TOKEN_BYTES * a.vocabulary_size
    if needed > MODEL_BYTES:
        raise ArtifactError(
            "the model is too large",
            where=f"{path}, architecture",
            expected=f"sizes of which the model takes {MODEL_BYTES >> 30} GiB at most",
            got=f"about {needed / (1 << 30):,.0f} GiB",
            fix="train a model of a smaller vocabulary, or of fewer units",
        )


def vocabulary_limit(architecture: Architecture) -> int:
    """Bytes that `vocabulary.txt` may have."""
    return _PIECE_BYTES + TOKEN_BYTES * architecture.vocabulary_size


def weights_limit(architecture: Architecture) -> int:
    """Bytes that `weights.safetensors` may have."""
    return 8 + HEADER_BYTES + 4 * _tensor_values(architecture)


def read(directory: str, file: str, limit: int, sha256: str | None = None) -> bytearray:
    """The whole of a file of at most `limit` bytes, whose hash must be `sha256`; of a larger one, no more is read.

    Raises:
        ArtifactError: it is missing, no regular file, too large, or another file.
    """
    path, data = storage.join(directory, file), bytearray()
    try:
        with storage.open_read(path) as stream:
            while piece := stream.read(min(_PIECE_BYTES, limit + 1 - len(data))):
                data += piece
    except (OSError, ValueError) as error:  # a ValueError: of names that no file can have
        raise ArtifactError(
            "the model artefact cannot be read",
            where=path,
            expected="MODEL_ID, manifest.json, vocabulary.txt and weights.safetensors",
            got=str(error),
            fix="give the directory that `python -m train --output DIR` wrote, or leave --model out",
        ) from error
    if len(data) > limit:
        raise damaged(path, f"{limit:,} bytes at most", "more")
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        # Of a manifest and its hash nobody can say which of the two is damaged.
        where = f"{path}, or {storage.join(directory, MODEL_ID)}" if file == MANIFEST else path
        raise damaged(where, f"sha256 {sha256}", f"sha256 {found}")
    return data


def model_id(directory: str) -> str:
    """The sha256 that stands in MODEL_ID: 64 hex digits, a line end, and nothing else."""
    data = bytes(read(directory, MODEL_ID, 65))
    if not re.fullmatch(rb"[0-9a-f]{64}\n", data):
        raise damaged(storage.join(directory, MODEL_ID), "a sha256 in 64 hex digits, and a line end", f"{data!r:.80}")
    return data[:64].decode("ascii")


def tokens(data: bytearray, architecture: Architecture, path: str) -> tuple[str, ...]:
    """The token of each id.

    Raises:
        ArtifactError: they are not V lines of UTF-8, the reserved ones first, each word once.
    """
    try:
        found = tuple(data.decode("utf-8").split("\n"))
    except UnicodeDecodeError as error:
        raise damaged(path, "UTF-8", f"byte {error.start} ({data[error.start]:#04x}): {error.reason}") from error
    if len(found) != architecture.vocabulary_size or found[: len(RESERVED)] != RESERVED:
        first = f"{found[: len(RESERVED)]!r:.200}"
        expected = f"{architecture.vocabulary_size} tokens, the first {RESERVED}"
        raise damaged(path, expected, f"{len(found)} tokens, the first {first}")
    # What is no word may stand there more than once: as the name of ids that nothing uses.
    twice = [token for token, count in Counter(found).items() if count > 1 and _is_word(token)]
    if twice:
        lines = [line for line, token in enumerate(found, 1) if token == twice[0]]
        raise damaged(f"{path}, line {lines[1]}", "each word once", f"{twice[0]!r:.80}, as in line {lines[0]}")
    return found


def tensors(data: bytearray, architecture: Architecture, path: str) -> dict[str, Floats]:
    """The tensors of a safetensors file, each a float32 array of its own.

    The file is the header's size in 8 bytes, the header in JSON, and the values. Of each tensor the header says its
    type, its shape, and where among the values it begins and ends; together they fill the file, without gap or overlap.

    Raises:
        ArtifactError: the file is no such file, a tensor is missing, unknown or of another shape, or a value is absurd.
    """
    header, start = _header(data, path)
    shapes = architecture.tensor_shapes()
    for name in sorted(shapes.keys() | header.keys()):
        expected = f"F32 {list(shapes[name])}" if name in shapes else "nothing by that name"
        found = _form(header[name]) if name in header else "nothing"
        if found != expected:
            raise damaged(f"{path}, tensor {name:.80}", expected, found)
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
        loaded[name] = values.astype(np.float32)  # a copy, since these may lie at odd addresses
    return loaded


def _header(data: bytearray, path: str) -> tuple[dict[str, Any], int]:
    """The header without its remarks, and where the values start."""
    size = int.from_bytes(data[:8], "little")
    start = 8 + size
    if size > HEADER_BYTES or start > len(data):
        raise damaged(path, f"a safetensors file, its header of {HEADER_BYTES:,} bytes at most", f"{size:,}")
    try:
        header = json.loads(data[8:start].decode("utf-8"), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "a safetensors file, its header in JSON", f"{error!s:.200}") from error
    if not isinstance(header, dict):
        raise damaged(path, "a safetensors file, its header a JSON object", f"{header!r:.80}")
    header.pop("__metadata__", None)
    return header, start


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name that stands there twice")
    return found


def _form(entry: Any) -> str:
    """What the header says of a tensor: `F32 [10, 1]`, or all of it, cut, where it is not laid out as it should be."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end], **rest}:
            if {int} >= {type(number) for number in (*shape, begin, end)} and not rest:
                return f"{dtype:.80} {shape!r:.80}"
    return f"{entry!r:.80}"


def _check_values(values: Floats, where: str, least: float) -> None:
    wrong = ~((values >= least) & (values <= LARGEST_WEIGHT))  # NaN is neither
    if wrong.any():
        raise damaged(where, f"values of {least:g} to {LARGEST_WEIGHT:g}", f"{values[wrong][0]}")


def _tensor_values(architecture: Architecture) -> int:
    return sum(math.prod(shape) for shape in architecture.tensor_shapes().values())


def damaged(where: str, expected: object, got: object) -> ArtifactError:
    """What is wrong with a file, and what would not be."""
    return ArtifactError(
        "the model artefact is damaged",
        where=where,
        expected=str(expected),
        got=str(got) or "nothing",
        fix="copy the artefact again, or train the model again",
    )
