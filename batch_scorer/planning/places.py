"""Where paths lead, links followed: whether two name one file, or one is inside another; what an input takes in."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from batch_scorer import storage
from batch_scorer.errors import OutputError
from batch_scorer.storage.names import matches


def leads_to(path: str) -> str:
    """Where a path leads, links followed; in a store there are none."""
    return path.rstrip("/") if storage.is_remote(path) else os.path.realpath(path)


def is_inside(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it."""
    if storage.is_remote(path) or storage.is_remote(folder):
        return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([folder, path]) == folder


def takes_in(pattern: str, path: str) -> bool:
    """Whether the input `pattern`, a glob or the path of a file or a directory, names the file `path`.

    Neither needs to exist. Names alone decide, so that one that a directory hides counts as well.
    """
    if storage.is_remote(pattern) != storage.is_remote(path):
        return False
    if storage.is_remote(pattern):
        if not glob.has_magic(pattern):
            return is_inside(path, pattern)
        return matches(path.split("/"), pattern.split("/"))
    if os.path.lexists(pattern) or not glob.has_magic(pattern):
        return is_inside(path, pattern)
    parts = Path(pattern).parts
    at = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    above = os.path.realpath(os.path.join("", *parts[:at]))
    return is_inside(path, above) and matches(Path(os.path.relpath(os.path.realpath(path), above)).parts, parts[at:])


def overlap(what: str, output: str, name: str) -> OutputError:
    """The error to raise for an output that is inside an input, or the other way round."""
    return OutputError(
        what,
        where=output,
        got=f"input {name}",
        fix="choose an --output outside the inputs",
    )


def read_again(output: str, name: str) -> OutputError:
    """The error to raise for an output that an input takes in."""
    return overlap("the output is inside an input, where the next run would read it", output, name)


class Places:
    """Where the paths of inputs lead.

    Args:
        output: no input may be inside it; "" for none.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._above, self._name = os.path.split(output if storage.is_remote(output) else os.path.realpath(output))
        self._folders: dict[str, tuple[str, str | None]] = {}  # looked at once: each may hold a million files
        self._named: dict[str, str] = {}
        self._linked: dict[object, str] = {}

    def of(self, path: str, link: object = None) -> str:
        """One path that stands for all paths of a file; the same string object if that is `path` itself.

        Args:
            link: what the names of a file with several have in common.

        Raises:
            OutputError: the file is inside the output.
        """
        place = self._of(path)
        return place if link is None else self._linked.setdefault(link, place)

    def _of(self, path: str) -> str:
        if storage.is_remote(path):
            if self._output and is_inside(path, self._output):
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
        """The name that stands for a folder, and the name in it that is the output, "" if all is, or None."""
        there = os.path.realpath(folder)
        named = self._named.setdefault(there, folder)
        if not self._output:
            return named, None
        if is_inside(there, self._output):
            return named, ""
        return named, self._name if there == self._above else None


def _inside_output(output: str, path: str) -> OutputError:
    return overlap("an input is inside the output, where --overwrite would delete it", output, path)
