"""The inputs: which files, and of which format. Reads listings only."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OutputError
from batch_scorer.formats.inflate import plain_name
from batch_scorer.storage import StoredFile

NAME_CHARACTERS = 60  # of a name shown

_FORMAT_OF = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    ".txt": "files",
}


@dataclass(frozen=True)
class Listing:
    """The files that the inputs name, each once, with its format; per input a summary; notices for the user."""

    files: tuple[tuple[StoredFile, str], ...]
    summaries: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]


def list_inputs(config: ScoreConfig) -> Listing:
    """Matches each input and tells each file's format.

    Raises:
        InputError: an input matches nothing, or a file's format cannot be told.
        OutputError: the output lies inside an input.
    """
    found: dict[str, tuple[StoredFile, str]] = {}
    identity = _Identity()
    summaries, notices = [], []
    for pattern in config.inputs:
        _refuse_output_inside(config.output, pattern)
        matched, others = storage.match_all(pattern)
        whole_directory = storage.is_directory(pattern)
        known: list[tuple[StoredFile, str]] = []
        unknown: list[StoredFile] = []
        for file in matched:
            name = os.path.basename(file.path)
            _refuse_inside_output(config.output, file.path)
            if whole_directory and name.startswith(("_", ".")):
                continue
            kind = config.input_format or _format_of(name)
            if kind:
                known.append((file, kind))
            else:
                unknown.append(file)
        if unknown and not whole_directory:
            raise InputError(
                "the format of an input cannot be told from its name",
                where=unknown[0].path,
                expected=f"a name that ends in {', '.join(_FORMAT_OF)}",
                fix="say what it is with --input-format",
            )
        left_out = ", ".join([*_count_names(file.path for file in unknown), *_count_kinds(others)])
        if pattern in others:
            raise _no_file(pattern, others[pattern])
        if not known:
            raise InputError(
                "no input file matches",
                where=pattern,
                expected=f"files ending in {', '.join(_FORMAT_OF)}" if whole_directory else "a file, directory or glob",
                got=left_out or "nothing",
                fix="check the path; quote globs so that the shell leaves them alone",
            )
        if left_out:
            notices.append(f"{pattern}: left out {left_out}")
        notices += _repeated(pattern, Counter(identity.of(file) for file, _ in known), found)
        digest = hashlib.sha256()
        for file, _ in known:
            digest.update(f"{file.path}\0{file.size_bytes}\0{file.modified}\n".encode("utf-8", "surrogateescape"))
        for file, kind in known:
            found.setdefault(identity.of(file), (file, kind))
        summaries.append(
            {
                "input": pattern,
                "formats": dict(sorted(Counter(kind for _, kind in known).items())),
                "files": len(known),
                "bytes": sum(file.size_bytes for file, _ in known),
                "fingerprint": digest.hexdigest(),
            }
        )
    return Listing(tuple(found.values()), tuple(summaries), tuple(notices))


def _format_of(name: str) -> str | None:
    kind = _FORMAT_OF.get(os.path.splitext(plain_name(name))[1].lower())
    # Parquet compresses within: a compressed file of it could not be read in parts.
    return None if kind == "parquet" and plain_name(name) != name else kind


def _refuse_output_inside(output: str, pattern: str) -> None:
    if storage.is_directory(pattern) and _is_inside(output, pattern):
        raise _overlap("the output lies inside an input, where the next run would read it", output, pattern)


def _refuse_inside_output(output: str, path: str) -> None:
    if _is_inside(path, output):
        raise _overlap("an input lies inside the output, where --overwrite would delete it", output, path)


def _is_inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it, links followed."""
    if storage.is_remote(path) or storage.is_remote(folder):
        return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([folder, path]) == folder


def _overlap(what: str, output: str, name: str) -> OutputError:
    return OutputError(
        what,
        where=output,
        got=f"input {name}",
        fix="choose an --output beside the inputs",
    )


class _Identity:
    """What tells whether two paths name the same file: where links lead to."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}  # a folder may hold a million files

    def of(self, file: StoredFile) -> str:
        if storage.is_remote(file.path):
            return file.path
        if os.path.islink(file.path):
            return os.path.realpath(file.path)
        folder, name = os.path.split(file.path)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)


def _repeated(pattern: str, names: Counter[str], found: Collection[str]) -> Iterator[str]:
    """Notices of files that come more than once."""
    twice, links = sum(name in found for name in names), names.total() - len(names)
    if twice:
        yield f"{pattern}: {twice:,} files were named by an earlier input too and are scored once"
    if links:
        yield f"{pattern}: {links:,} links to others of its files were left out"


def _no_file(pattern: str, kind: str) -> InputError:
    pipe = kind in ("named pipe", "socket", "device")
    return InputError(
        f"the input is a {kind}",
        where=pattern,
        expected="a file, which can be read more than once",
        fix="write it to a file first; what a shell makes of <(...) is a pipe too" if pipe else "check the path",
    )


def _count_names(paths: Iterable[str]) -> list[str]:
    endings = Counter(os.path.splitext(path)[1] or os.path.basename(path) for path in paths)
    return [f"{count:,} x {short(ending)}" for ending, count in endings.most_common(5)]


def _count_kinds(others: dict[str, str]) -> list[str]:
    """What is no file, by kind: how many there are, and the name of one."""
    example = {kind: os.path.basename(path) for path, kind in reversed(others.items())}
    return [f"{count:,} x {kind} ({short(example[kind])})" for kind, count in Counter(others.values()).items()]


def short(name: str) -> str:
    """A name that may be of any length, to be shown in a message."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 3]}..."
