"""Local files: which ones a name, a glob or a directory stands for, and what there is besides that is no file.

`**` and directories don't follow links to directories, which may lead round in circles; the rest of a glob does.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

_KINDS = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


@dataclass
class Found:
    """What a pattern stands for.

    Args:
        files: each regular file, links to such followed, with its size in bytes and its date.
        others: path and kind of what can't be read as a file, or isn't looked into.
    """

    files: dict[str, tuple[int, float]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def add(self, path: str) -> None:
        """Takes in a path, unless it is a directory or gone."""
        try:
            status = os.stat(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.others[path] = "link in a circle"
            elif os.path.islink(path):
                self.others[path] = "link to nothing"
            elif error.errno != errno.ENOENT:
                self.others[path] = "file that may not be read"
            return
        if stat.S_ISREG(status.st_mode):
            self.files[path] = status.st_size, status.st_mtime
            return
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "thing that is no file")
        if kind != "directory":
            self.others[path] = kind

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """What is in a folder; nothing if that can't be told."""
        try:
            with os.scandir(folder or ".") as found:
                return list(found)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self.others[folder] = "directory that may not be read"
            return []

    def leaves_out(self, path: str, entry: os.DirEntry[str]) -> bool:
        """Whether `entry` is a link to a directory."""
        if not entry.is_symlink() or not os.path.isdir(path):
            return False
        self.others[path] = "link to a directory"
        return True


def find(pattern: str) -> Found:
    """What `pattern` stands for: one file, a glob, or everything below a directory.

    A name that exists is taken literally even if it looks like a glob.
    """
    found = Found()
    if os.path.isdir(pattern):
        # Not data by long custom: `_temporary`, `_delta_log`, `.git`.
        paths = _below(pattern, found, (".", "_"), hidden_files=True)
    elif os.path.lexists(pattern):
        paths = iter([pattern])
    else:
        paths = _expand(pattern, found)
    for path in paths:
        found.add(path)
    return found


def _below(folder: str, found: Found, hidden: tuple[str, ...], hidden_files: bool = False) -> Iterator[str]:
    """All paths below `folder`, but not below folders with a `hidden` beginning; trees may be too deep to recurse."""
    left = [folder]
    while left:
        folder = left.pop()
        for entry in found.entries(folder):
            path = os.path.join(folder, entry.name)
            if entry.name.startswith(hidden):
                if hidden_files:
                    yield path
            elif not found.leaves_out(path, entry):
                yield path
                if entry.is_dir(follow_symlinks=False):
                    left.append(path)


def _expand(pattern: str, found: Found) -> Iterator[str]:
    """The paths that a glob stands for, as `glob.glob` has them: `*` matches no name that begins with a dot."""
    folder, name = os.path.split(pattern)
    folders = dict.fromkeys(_expand(folder, found) if glob.has_magic(folder) else [folder])
    fits = re.compile(fnmatch.translate(name)).match
    for folder in folders:
        if name == "**":
            if os.path.isdir(folder or "."):
                yield folder
                yield from _below(folder, found, (".",))
        elif glob.has_magic(name):
            for entry in found.entries(folder):
                if fits(entry.name) and (name.startswith(".") or not entry.name.startswith(".")):
                    yield os.path.join(folder, entry.name)
        elif name and os.path.lexists(os.path.join(folder, name)):
            yield os.path.join(folder, name)
