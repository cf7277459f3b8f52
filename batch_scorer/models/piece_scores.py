"""What an artefact holds of a model whose ids are pieces of words: `vocabulary.txt` and `scores.txt`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from batch_scorer import storage
from batch_scorer.models.artifact_files import SCORES, VOCABULARY, damaged, read
from batch_scorer.models.tokenizer import RESERVED

PIECE_CHARACTERS = 100  # trained ones have at most 17
LOWEST_SCORE = -1_000.0  # a log probability; trained ones stay above -30

_LINE_BYTES = 32
_number = re.compile(r"-?[0-9]{1,5}(\.[0-9]{1,20})?").fullmatch


def load(directory: str, manifest: Mapping[str, Any], pieces: Sequence[str]) -> tuple[float, ...] | None:
    """The log probability of each of the `pieces` of the model in `directory`; None where ids are words.

    Raises:
        ArtifactError: as in `check` and `from_bytes`, or the file is not the one that the manifest lists.
    """
    if SCORES not in manifest["files"]:
        return None
    check(pieces, storage.join(directory, VOCABULARY))
    data = read(directory, SCORES, _LINE_BYTES * len(pieces), manifest["files"][SCORES])
    return from_bytes(data, pieces, storage.join(directory, SCORES))


def from_bytes(data: bytearray, pieces: Sequence[str], path: str) -> tuple[float, ...]:
    """The log probability of each piece: a number a line, the line number is the id.

    Raises:
        ArtifactError: there are more or fewer than `pieces`, or one is not a number that a log probability can be.
    """
    lines = data.decode("ascii", "replace").split("\n")
    if lines.pop() or len(lines) != len(pieces):
        raise damaged(path, f"{len(pieces):,} lines, each with its end", f"{len(lines):,}")
    scores = []
    for number, line in enumerate(lines, 1):
        value = float(line) if _number(line) else math.nan
        if not LOWEST_SCORE <= value <= 0:
            raise damaged(f"{path}, line {number}", f"a number from {LOWEST_SCORE:g} to 0", f"{line!r:.80}")
        scores.append(value)
    return tuple(scores)


def to_bytes(scores: Sequence[float]) -> bytes:
    """The contents of `scores.txt`, to six decimals: as exactly as `train` computes them."""
    return "".join(f"{score:.6f}\n" for score in scores).encode()


def check(pieces: Sequence[str], path: str) -> None:
    """Refuses a vocabulary that no training writes.

    Raises:
        ArtifactError: a piece is empty, longer than `PIECE_CHARACTERS`, or occurs twice.
    """
    seen: dict[str, int] = {}
    for number, piece in enumerate(pieces, 1):
        if number > len(RESERVED) and not 0 < len(piece) <= PIECE_CHARACTERS:
            raise damaged(f"{path}, line {number}", f"a piece of 1 to {PIECE_CHARACTERS} characters", f"{piece!r:.80}")
        if piece in seen:
            raise damaged(f"{path}, line {number}", "each piece once", f"{piece!r:.80}, as in line {seen[piece]}")
        seen[piece] = number
