"""A `.keras` file -> its configuration, its weights as bytes, its vocabularies. Nothing is unpacked to a disk.

The archive is a zip file from somebody else: names and sizes are checked before anything is read, and no more is read
than a name promises.
"""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from batch_scorer.errors import InputError
from batch_scorer.models.artifact_files import MODEL_BYTES
from train.importing.refusal import damaged, refuse

CONFIG, METADATA, WEIGHTS, VOCABULARY = "config.json", "metadata.json", "model.weights.h5", "vocabulary.txt"
JSON_BYTES = 16 << 20
TEXT_BYTES = 256 << 20  # a vocabulary
MEMBERS = 10_000
RATIO = 100  # Keras stores without compression; weights that somebody compressed shrink by a third


@dataclass(frozen=True)
class Archive:
    """What a `.keras` file holds.

    Args:
        config: the model's configuration, as `model.to_json()` gives it.
        version: of the Keras that wrote it, or None.
        weights: an HDF5 file.
        vocabularies: the lines of each vocabulary, by the path of its layer, such as `layers/text_vectorization`.
    """

    config: Mapping[str, Any]
    version: str | None
    weights: bytes
    vocabularies: Mapping[str, list[str]]


def read_archive(path: Path) -> Archive:
    """Reads a `.keras` file.

    Raises:
        InputError: it is no such file, a member is too large or too well compressed, or a name leaves the archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            config = _json(archive, members, CONFIG, path)
            metadata = _json(archive, members, METADATA, path) if METADATA in members else {}
            weights = _read(archive, members, WEIGHTS, MODEL_BYTES, path)
            vocabularies = {
                str(PurePosixPath(name).parent).removeprefix("assets/"): _lines(archive, members, name, path)
                for name in members
                if name.startswith("assets/") and PurePosixPath(name).name == VOCABULARY
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise damaged(str(path), "a .keras file, which is a zip archive", error) from error
    version = metadata.get("keras_version")
    return Archive(config, version if isinstance(version, str) else None, weights, vocabularies)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members by name.

    Raises:
        InputError: a name leads out of the archive or appears twice, or there are absurdly many.
    """
    infos = archive.infolist()
    if len(infos) > MEMBERS:
        raise damaged(str(path), f"at most {MEMBERS:,} members", f"{len(infos):,}")
    for info in infos:
        name = info.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if name.startswith(("/", "\\")) or ".." in parts or ":" in name or "\0" in name:
            raise refuse(
                "the archive holds a name that leads out of it",
                str(path),
                "names below the archive's own root",
                repr(name),
                "take the model from a source that you trust; Keras writes no such names",
            )
    members = {info.filename: info for info in infos}
    if len(members) < len(infos):
        raise damaged(str(path), "each member once", "a name that appears twice")
    return members


def _read(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str, limit: int, path: Path) -> bytes:
    """All of a member of at most `limit` bytes."""
    if name not in members:
        raise damaged(str(path), f"a member {name}", ", ".join(sorted(members)[:10]) or "nothing")
    info, where = members[name], f"{path}, {name}"
    if info.file_size > limit:
        raise damaged(where, f"at most {limit:,} bytes", f"{info.file_size:,}")
    if info.file_size > JSON_BYTES and info.file_size > RATIO * max(info.compress_size, 1):
        expected = f"a member that unpacks to at most {RATIO} times its size"
        raise damaged(where, expected, f"{info.compress_size:,} bytes that unpack to {info.file_size:,}")
    with archive.open(info) as stream:  # which stops at the size promised, and checks the sum
        return stream.read(limit)


def _json(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str, path: Path) -> dict[str, Any]:
    return parse_json(_read(archive, members, name, JSON_BYTES, path), f"{path}, {name}")


def _lines(archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str, path: Path) -> list[str]:
    return parse_lines(_read(archive, members, name, TEXT_BYTES, path), f"{path}, {name}")


def parse_json(data: bytes, where: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        InputError: it is something else.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"))
        value = json.loads(value) if isinstance(value, str) else value  # json.dump of what to_json() returns
    except (ValueError, RecursionError) as error:
        raise damaged(where, "JSON", error) from error
    if not isinstance(value, dict):
        raise damaged(where, "a JSON object", f"{value!r:.80}")
    return value


def parse_lines(data: bytes, where: str) -> list[str]:
    """The lines of a vocabulary; line ends are `\\n`, or `\\r\\n`.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(where, "UTF-8", error) from error
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def check_regular(path: Path) -> None:
    """Refuses what is no file: a pipe would never end.

    Raises:
        InputError: it is a directory, a pipe, a device, or missing.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise InputError("the file cannot be read", where=str(path), got=getattr(error, "strerror", None) or str(error),
                         fix="check the path and its permissions") from error  # fmt: skip
    if not stat.S_ISREG(mode):
        raise refuse("this is no regular file", str(path), "a file", "something else", "give a regular file")
