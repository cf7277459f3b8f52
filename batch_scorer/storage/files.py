"""Files by path: one with a scheme (`gs://bucket/name`) is in an object store, any other on this machine."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from batch_scorer.storage import local as local_files
from batch_scorer.storage.stores import client, listing, objects, retry
from batch_scorer.storage.stores.store import Entry

DRAFT = ".draft"  # ends the hidden name of a local file while it is being written
Beat = retry.Beat
use_options, beating = client.use, retry.beating

_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, order=True, slots=True)
class StoredFile:
    """A file as a listing shows it; `modified` is in seconds since the epoch."""

    path: str
    size_bytes: int
    modified: float


class Matched(NamedTuple):
    """What a pattern names.

    Args:
        files: sorted by path.
        others: path and kind of everything else.
        links: for each file that has more than one name, what tells whether two names are of the same file.
        also: how many files the pattern would match as a glob, where it is the name of a file and stands for that.
    """

    files: list[StoredFile]
    others: Mapping[str, str]
    links: Mapping[str, object]
    also: int = 0


def is_remote(path: str) -> bool:
    """Whether `path` is in an object store (`gs://`, `s3://`) rather than on this machine."""
    return "://" in path


def join(base: str, *parts: str) -> str:
    """`base` and `parts` with single slashes between them."""
    return "/".join([base.rstrip("/") or "/", *parts]) if is_remote(base) else os.path.join(base, *parts)


def is_directory(path: str) -> bool:
    """Whether `path` is a directory: in a store, a name that ends in a slash or has objects below it."""
    return listing.is_folder(path) if is_remote(path) else os.path.isdir(path)


def exists(path: str) -> bool:
    """Whether `path` is a file, or a local directory."""
    return listing.stat(path) is not None if is_remote(path) else os.path.exists(path)


def names_in(directory: str) -> list[str]:
    """The names of the files and directories directly in `directory`."""
    return listing.names_in(directory) if is_remote(directory) else os.listdir(directory)


def match(pattern: str) -> list[StoredFile]:
    """The files that `pattern` names, sorted by path: one file, a glob, or everything below a directory.

    A name that exists is taken literally even if it looks like a glob. The list is empty if nothing matches.

    Raises:
        StoreError, UnavailableError: a store refuses or keeps failing, as in all functions of this module.
    """
    return match_all(pattern).files


def match_all(pattern: str) -> Matched:
    """The files that `match` would return, and everything else that `pattern` names."""
    if is_remote(pattern):
        return Matched(sorted(_remote_file(path, entry) for path, entry in listing.find(pattern)), {}, {})
    # Not by Beam, which walks the entire directory that a glob is in, virtual environments included.
    matches = local_files.find(pattern)
    return Matched(_taken_from(matches), matches.others, matches.links, matches.also)


def _taken_from(matches: local_files.Matches) -> list[StoredFile]:
    """The files of `matches`. There may be a million, so each one is removed there as its file is made."""
    return [StoredFile(path, *matches.files.pop(path)) for path in sorted(matches.files)]


def match_in(directory: str, pattern: str) -> list[StoredFile]:
    """The files directly in `directory` whose names match `pattern`; `directory` itself is taken literally."""
    if is_remote(directory):
        return sorted(_remote_file(path, entry) for path, entry in listing.find_in(directory, pattern))
    return _taken_from(local_files.find_in(directory, pattern))


def _remote_file(path: str, entry: Entry) -> StoredFile:
    return StoredFile(path, entry.size_bytes, entry.modified)


def _local_file(path: str, status: os.stat_result) -> StoredFile:
    return StoredFile(path, status.st_size, status.st_mtime)


def look_at(path: str) -> StoredFile | None:
    """The file `path` as a listing would show it now, if it exists."""
    if is_remote(path):
        entry = listing.stat(path)
        return entry and _remote_file(path, entry)
    return _local_file(path, os.stat(path)) if os.path.isfile(path) else None


def open_read(path: str, beat: Beat | None = None) -> BinaryIO:
    """Opens `path` for reading; the file is seekable. Compressed files stay compressed.

    Args:
        beat: called at each read from the disk or the store.

    Raises:
        OSError: it cannot be opened, or is a pipe or a device; in a store, also if it is replaced before it is read.
    """
    if is_remote(path):
        return objects.open_read(path, beat)
    file = _open_local(path, buffering=0 if beat else -1)
    return file if beat is None else io.BufferedReader(_Watched(file, beat), _BUFFER_BYTES)


def _open_local(path: str, buffering: int) -> BinaryIO:
    return open(path, "rb", buffering, opener=_open_regular)


def _open_regular(path: str, flags: int) -> int:
    """Opens a regular file only: reading a pipe could wait forever, and a device may never end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


class _Watched(io.RawIOBase):
    """A file that calls `beat` before each read."""

    def __init__(self, file: BinaryIO, beat: Beat) -> None:
        self._file, self._beat = file, beat

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._beat()
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def read_bytes(path: str) -> bytes:
    """All bytes of `path`."""
    with open_read(path) as file:
        return file.read()


def publish_bytes(data: bytes, path: str) -> None:
    """Writes `path`, whole or not at all."""
    if is_remote(path):
        objects.put(io.BytesIO(data), len(data), path)
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}{DRAFT}")
    try:
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(draft)
        raise
    _sync_directory(folder)


def publish_file(local: str, path: str, beat: Beat | None = None) -> None:
    """Moves the finished file `local` to `path`, whole or not at all; calls `beat` for each piece sent."""
    if is_remote(path):
        with open(local, "rb") as source:
            objects.put(source, os.fstat(source.fileno()).st_size, path, beat)
        os.remove(local)
        return
    with open(local, "rb") as file:
        os.fsync(file.fileno())
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.replace(local, path)
    _sync_directory(os.path.dirname(path))


def _sync_directory(path: str) -> None:
    """Makes a name just created in `path` survive a power failure."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete(paths: list[str]) -> None:
    """Deletes files, and local directories with all their contents; a missing one is not an error."""
    objects.delete([path for path in paths if is_remote(path)])
    for path in paths:
        if is_remote(path):
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
