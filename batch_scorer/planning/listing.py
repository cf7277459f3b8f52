"""The inputs: which files, and of which format. Reads listings only."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batch_scorer import storage
from batch_scorer.config import ScoreConfig
from batch_scorer.errors import InputError, OutputError
from batch_scorer.formats.table import SUFFIXES, format_of
from batch_scorer.storage import StoredFile

NAME_CHARACTERS = 60  # of a name shown


@dataclass(frozen=True)
class Listing:
    """What the inputs name.

    Args:
        files: each once.
        formats: of each of them.
        summaries: per input, what it matched.
        notices: for the user.
    """

    files: tuple[StoredFile, ...]
    formats: tuple[str, ...]
    summaries: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[StoredFile, str]]:
        """Each file with its format."""
        return zip(self.files, self.formats, strict=True)


def list_inputs(config: ScoreConfig) -> Listing:
    """Matches each input and tells each file's format.

    Raises:
        InputError: an input matches nothing, or a file's format cannot be told.
        OutputError: the output lies inside an input.
    """
    files: list[StoredFile] = []
    formats: list[str] = []
    summaries, notices = [], []
    output = config.output.directory
    places, earlier = _Places(output), set[str]()
    for pattern in config.input.paths:
        whole_directory = storage.is_directory(pattern)
        if whole_directory and _is_inside(output, pattern):
            what = "the output lies inside an input, where the next run would read it"
            raise _overlap(what, output, pattern)
        matched, others = storage.match_all(pattern)
        found, here, twice = _Found(), set[str](), 0
        for file in matched:
            name, place = os.path.basename(file.path), places.of(file.path)
            if whole_directory and name.startswith(("_", ".")):
                continue
            kind = config.input.format or format_of(name)
            found.add(file, name, kind)
            if kind is None or place in here:
                continue
            here.add(place)
            if place in earlier:
                twice += 1
            else:
                files.append(file)
                formats.append(kind)
        del matched
        left_out = ", ".join([*_count_endings(found.endings), *_count_kinds(others)])
        _refuse_unknown(pattern, found, others, left_out, whole_directory)
        if left_out:
            notices.append(f"{pattern}: left out {left_out}")
        if twice:
            notices.append(f"{pattern}: {twice:,} files were named by an earlier input too and are scored once")
        if links := found.kinds.total() - len(here):
            notices.append(f"{pattern}: {links:,} links to others of its files were left out")
        earlier |= here
        summaries.append(found.summary(pattern))
    return Listing(tuple(files), tuple(formats), tuple(summaries), tuple(notices))


class _Found:
    """What an input has matched: counts alone, since there may be a million files."""

    def __init__(self) -> None:
        self.kinds = Counter[str]()
        self.endings = Counter[str]()  # of files whose format cannot be told
        self.strange: str | None = None  # the first of these
        self._size_bytes, self._digest = 0, hashlib.sha256()

    def add(self, file: StoredFile, name: str, kind: str | None) -> None:
        if kind is None:
            self.strange = self.strange or file.path
            self.endings[os.path.splitext(name)[1] or name] += 1
            return
        self.kinds[kind] += 1
        self._size_bytes += file.size_bytes
        described = f"{file.path}\0{file.size_bytes}\0{file.modified}\n"
        self._digest.update(described.encode("utf-8", "surrogateescape"))

    def summary(self, pattern: str) -> dict[str, Any]:
        return {
            "input": pattern,
            "formats": dict(sorted(self.kinds.items())),
            "files": self.kinds.total(),
            "bytes": self._size_bytes,
            "fingerprint": self._digest.hexdigest(),
        }


def _refuse_unknown(pattern: str, found: _Found, others: dict[str, str], left_out: str, whole_directory: bool) -> None:
    if found.strange and not whole_directory:
        raise InputError(
            "the format of an input cannot be told from its name",
            where=found.strange,
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            fix="say what it is with --input-format",
        )
    if pattern in others:
        raise _no_file(pattern, others[pattern])
    if not found.kinds:
        raise InputError(
            "no input file matches",
            where=pattern,
            expected=f"files ending in {', '.join(SUFFIXES)}" if whole_directory else "a file, directory or glob",
            got=left_out or "nothing",
            fix="check the path; quote globs so that the shell leaves them alone",
        )


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


class _Places:
    """Where paths lead to, links followed: whether two name the same file, and whether one lies in the output."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._above, self._name = os.path.split(output if storage.is_remote(output) else os.path.realpath(output))
        self._folders: dict[str, tuple[str, str | None]] = {}  # each may hold a million files
        self._named: dict[str, str] = {}

    def of(self, path: str) -> str:
        """What is equal for all paths of a file: one of them, and the same string if it is `path`.

        Raises:
            OutputError: the file lies in the output.
        """
        if storage.is_remote(path):
            if _is_inside(path, self._output):
                raise _inside_output(self._output, path)
            return path
        real = os.path.realpath(path) if os.path.islink(path) else path
        folder, name = os.path.split(real)
        if folder not in self._folders:
            self._folders[folder] = self._look_at(folder)
        named, taken = self._folders[folder]
        if taken is not None and taken in ("", name):
            raise _inside_output(self._output, path)
        place = os.path.join(named, name)
        return real if place == real else place

    def _look_at(self, folder: str) -> tuple[str, str | None]:
        """The name that stands for a folder, and that of what is the output in it; "" if all is."""
        there = os.path.realpath(folder)
        named = self._named.setdefault(there, folder)
        if _is_inside(there, self._output):
            return named, ""
        return named, self._name if there == self._above else None


def _inside_output(output: str, path: str) -> OutputError:
    return _overlap("an input lies inside the output, where --overwrite would delete it", output, path)


def _no_file(pattern: str, kind: str) -> InputError:
    pipe = kind in ("named pipe", "socket", "device")
    return InputError(
        f"the input is a {kind}",
        where=pattern,
        expected="a file, which can be read more than once",
        fix="write it to a file first; what a shell makes of <(...) is a pipe too" if pipe else "check the path",
    )


def _count_endings(endings: Counter[str]) -> list[str]:
    return [f"{count:,} x {short(ending)}" for ending, count in endings.most_common(5)]


def _count_kinds(others: dict[str, str]) -> list[str]:
    """What is no file, by kind: how many there are, and the name of one."""
    example = {kind: os.path.basename(path) for path, kind in reversed(others.items())}
    return [f"{count:,} x {kind} ({short(example[kind])})" for kind, count in Counter(others.values()).items()]


def short(name: str) -> str:
    """A name that may be of any length, to be shown in a message."""
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 3]}..."
