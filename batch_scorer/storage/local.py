"""The local files that a name, a glob or a directory stands for, and what else is there that cannot be read as a file.

Directories and `**` do not follow symlinks to directories, which may be circular; the rest of a glob does.
"""

from __future__ import annotations

import errno
import fnmatch
import glob
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from batch_scorer.storage.names import is_hidden

UNREADABLE = "unreadable directory"  # a kind, as those below
_KINDS = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


@dataclass
class Matches:
    """What a pattern matches.

    Args:
        files: each regular file, also behind a symlink, with its size in bytes and its date of modification.
        others: path and kind of everything that cannot be read as a file or is not searched.
        links: device and inode of each file that has more than one name.
        also: how many files the pattern would match as a glob, where it is the name of a file and stands for that.
    """

    files: dict[str, tuple[int, float]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    links: dict[str, tuple[int, int]] = field(default_factory=dict)
    also: int = 0

    def add(self, path: str) -> None:
        """Adds a path, unless it is a directory or gone."""
        try:
            status = os.stat(path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.others[path] = "circular symlink"
            elif os.path.islink(path):
                self.others[path] = "broken symlink"
            elif error.errno != errno.ENOENT:
                self.others[path] = "unreadable file"
            return
        if stat.S_ISREG(status.st_mode):
            self.files[path] = status.st_size, status.st_mtime
            if status.st_nlink > 1:
                self.links[path] = status.st_dev, status.st_ino
            return
        kind = next((name for test, name in _KINDS if test(status.st_mode)), "special file")
        if kind != "directory":
            self.others[path] = kind

    def entries(self, folder: str) -> list[os.DirEntry[str]]:
        """The contents of a folder; empty if it cannot be listed."""
        try:
            with os.scandir(folder or ".") as entries:
                return list(entries)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self.others[folder] = UNREADABLE
            return []

    def skips(self, path: str, entry: os.DirEntry[str]) -> bool:
        """Whether `entry` is a symlink to a directory; if so, adds it to `others`."""
        if not entry.is_symlink() or not os.path.isdir(path):
            return False
        self.others[path] = "symlinked directory"
        return True


def find(pattern: str) -> Matches:
    """What `pattern` matches: one file, a glob, or everything below a directory.

    A name that exists is taken literally even if it looks like a glob.
    """
    matches = Matches()
    if os.path.isdir(pattern):
        paths = _below(pattern, matches, is_hidden, hidden_files=True)
    elif os.path.lexists(pattern):
        paths = iter([pattern])
        if glob.has_magic(pattern):
            as_glob = Matches()
            for path in _expand(pattern, as_glob):
                as_glob.add(path)
            matches.also = len(as_glob.files.keys() - {pattern})
    else:
        paths = _expand(pattern, matches)
    for path in paths:
        matches.add(path)
    return matches


def find_in(folder: str, pattern: str) -> Matches:
    """The files directly in `folder` whose names match `pattern`, even if a file has the pattern for its name."""
    matches = Matches()
    for path in _expand(os.path.join(glob.escape(folder), pattern), matches):
        matches.add(path)
    return matches


def _below(folder: str, matches: Matches, hidden: Callable[[str], bool], hidden_files: bool = False) -> Iterator[str]:
    """All paths below `folder`, except below folders that are hidden."""
    left = [folder]  # rather than recursion: trees may be very deep
    while left:
        folder = left.pop()
        for entry in matches.entries(folder):
            path = os.path.join(folder, entry.name)
            if hidden(entry.name):
                if hidden_files:
                    yield path
            elif not matches.skips(path, entry):
                yield path
                if entry.is_dir(follow_symlinks=False):
                    left.append(path)


def _expand(pattern: str, matches: Matches) -> Iterator[str]:
    """The paths that a glob matches, by the rules of `glob.glob`: `*` does not match a leading dot."""
    folder, name = os.path.split(pattern)
    folders = dict.fromkeys(_expand(folder, matches) if glob.has_magic(folder) else [folder])
    matches_name = re.compile(fnmatch.translate(name)).match
    for folder in folders:
        if name == "**":
            if os.path.isdir(folder or "."):
                yield folder
                yield from _below(folder, matches, lambda name: name.startswith("."))
        elif glob.has_magic(name):
            for entry in matches.entries(folder):
                if matches_name(entry.name) and (name.startswith(".") or not entry.name.startswith(".")):
                    yield os.path.join(folder, entry.name)
        elif name and os.path.lexists(os.path.join(folder, name)):
            yield os.path.join(folder, name)
