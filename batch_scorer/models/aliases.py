"""Words that share an id, as `aliases.txt` holds them: a token, a tab and an id a line.

To the model they are one word: swapping one for another changes no score, to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from batch_scorer import storage
from batch_scorer.models.artifact_files import ALIASES, damaged, read, vocabulary_limit
from batch_scorer.models.network import Architecture
from batch_scorer.models.tokenizer import OOV, Rule, Tokenizer, words
from batch_scorer.models.tokenizer_schema import rule_of
from batch_scorer.models.units import PIECES, found, looked_up


def load(directory: str, manifest: Mapping[str, Any], architecture: Architecture) -> dict[str, int]:
    """The aliases of the model in `directory`, if it has any.

    Raises:
        ArtifactError: as in `from_bytes`, or the file is not the one that the manifest lists.
    """
    if ALIASES not in manifest["files"]:
        return {}
    data = read(directory, ALIASES, vocabulary_limit(architecture), manifest["files"][ALIASES])
    return from_bytes(data, architecture, rule_of(manifest["tokenizer"]), storage.join(directory, ALIASES))


def from_bytes(data: bytearray, architecture: Architecture, pattern: Rule, path: str) -> dict[str, int]:
    """The id of each alias: a token, a tab and an id a line.

    Raises:
        ArtifactError: the file is not UTF-8, or a line of it is something else, a word that is never looked up, an id
            that no word has, or a word that an earlier line has.
    """
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise damaged(path, "UTF-8", f"byte {error.start} ({data[error.start]:#04x}): {error.reason}") from error
    if lines.pop():
        raise damaged(path, "a line end at the end", f"{data[-20:].decode('utf-8', 'replace')!r:.80}")
    loaded: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        token, _, shown = line.partition("\t")
        at = int(shown) if re.fullmatch(r"[1-9][0-9]{0,9}", shown) else None
        if expected := _fault(token, at, pattern, architecture.vocabulary_size):
            raise damaged(f"{path}, line {number}", f"a token, a tab and an id: {expected}", f"{line!r:.80}")
        if token in loaded:
            raise damaged(f"{path}, line {number}", "each word once", f"{token!r:.80} again")
        loaded[token] = at  # type: ignore[assignment]
    return loaded


def to_bytes(tokenizer: Tokenizer) -> bytes:
    """The contents of `aliases.txt`, by id and then by word.

    Raises:
        ValueError: `from_bytes` would refuse one.
    """
    for token, at in tokenizer.aliases.items():
        if expected := _fault(token, at, tokenizer.pattern, len(tokenizer.vocabulary)):
            raise ValueError(f"alias {token!r:.80} of id {at!r:.80}: expected {expected}")
    ordered = sorted(tokenizer.aliases.items(), key=lambda alias: (alias[1], alias[0]))
    return "".join(f"{token}\t{at}\n" for token, at in ordered).encode()


def _fault(token: str, at: int | None, pattern: Rule, ids: int) -> str | None:
    """What an alias should be, if it is not."""
    seen = [looked_up(word) for word in found(token)] if pattern == PIECES else words(token, pattern)
    if seen != [token]:
        return "one word, in lower case, with plain apostrophes"
    return None if at is not None and OOV < at < ids else f"an id from {OOV + 1} to {ids - 1}"
