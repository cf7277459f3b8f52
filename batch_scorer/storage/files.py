"""Files, local or in an object store: paths without a scheme go to the operating system, the rest to `stores`."""

from __future__ import annotations

import contextlib
import errno
import glob
import io
import os
import shutil
import stat
from dataclasses import dataclass
from typing import Any, BinaryIO

from batch_scorer.storage import local as local_files
from batch_scorer.storage.stores import client, listing, objects, retry
from batch_scorer.storage.stores.store import Entry

DRAFT = ".draft"  # ends the hidden name of a local file that is being written
Beat = retry.Beat
use_options, beating = client.use, retry.beating

_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, order=True, slots=True)
class StoredFile:
    """A file as a listing shows it; `modified` is in seconds since the epoch, 0 where the store does not say."""

    path: str
    size_bytes: int
    modified: float


def is_remote(path: str) -> bool:
    """Whether `path` names an object store (`gs://`, `s3://`) rather than a local file."""
    return "://" in path


def join(base: str, *parts: str) -> str:
    """`base` and `parts` with single slashes between them."""
    return "/".join([base.rstrip("/") or "/", *parts]) if is_remote(base) else os.path.join(base, *parts)


def is_directory(path: str) -> bool:
    """Whether `path` is a directory: in a store, a name that ends in a slash, or below which there are objects."""
    return listing.is_folder(path) if is_remote(path) else os.path.isdir(path)


def exists(path: str) -> bool:
    """Whether there is a file, or a local directory, at `path`."""
    return listing.stat(path) is not None if is_remote(path) else os.path.exists(path)


def names_in(directory: str) -> list[str]:
    """The names of the files and directories in `directory` itself."""
    return listing.names_in(directory) if is_remote(directory) else os.listdir(directory)


def match(pattern: str) -> list[StoredFile]:
    """The files that `pattern` names, by path: one file, a glob, or everything below a directory.

    A name that exists is taken literally even if it looks like a glob. Never raises when nothing matches.

    Raises:
        StoreError, UnavailableError: a store refuses, or does not answer. So do all functions of this module.
    """
    return match_all(pattern)[0]


def match_all(pattern: str) -> tuple[list[StoredFile], dict[str, str]]:
    """The files that `pattern` names, as `match` has them, and what it names besides: path and kind of each."""
    if is_remote(pattern):
        return sorted(_remote_file(path, entry) for path, entry in listing.find(pattern)), {}
    # Beam's local matching walks the whole directory that a glob stands in, virtual environments and all.
    found = local_files.find(pattern)
    # In the order of their paths; each entry makes room for its file, since there may be a million.
    return [StoredFile(path, *found.files.pop(path)) for path in sorted(found.files)], found.others


def match_in(directory: str, pattern: str) -> list[StoredFile]:
    """The files in `directory` itself, brackets in its name and all, whose names fit `pattern`."""
    if is_remote(directory):
        return sorted(_remote_file(path, entry) for path, entry in listing.find_in(directory, pattern))
    return match(join(glob.escape(directory), pattern))


def _remote_file(path: str, entry: Entry) -> StoredFile:
    return StoredFile(path, entry.size_bytes, entry.modified)


def _local_file(path: str, status: os.stat_result) -> StoredFile:
    return StoredFile(path, status.st_size, status.st_mtime)


def look_at(path: str) -> StoredFile | None:
    """The file `path` as a listing shows it now, if there is one."""
    if is_remote(path):
        entry = listing.stat(path)
        return entry and _remote_file(path, entry)
    return _local_file(path, os.stat(path)) if os.path.isfile(path) else None


def open_read(path: str, beat: Beat | None = None) -> BinaryIO:
    """Opens `path` for reading bytes; the file can seek. Compressed files are left compressed.

    Args:
        beat: called at each read from the disk or the store.

    Raises:
        OSError: it cannot be opened, or is a pipe or a device.
    """
    if is_remote(path):
        return objects.open_read(path, beat)
    file = _open_local(path, buffering=0 if beat else -1)
    return file if beat is None else io.BufferedReader(_Watched(file, beat), _BUFFER_BYTES)


def _open_local(path: str, buffering: int) -> BinaryIO:
    return open(path, "rb", buffering, opener=_open_regular)


def _open_regular(path: str, flags: int) -> int:
    """Opens a file, but no pipe, on which reading could wait for ever, and no device, which may have no end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


class _Watched(io.RawIOBase):
    """A file whose every read is a beat."""

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
    """The whole of `path`."""
    with open_read(path) as file:
        return file.read()


def publish_bytes(data: bytes, path: str) -> None:
    """Writes `path` so that it is there whole or not at all."""
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
    """Moves the finished file `local` to `path`, to be there whole or not at all; each piece sent is a `beat`."""
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
    """Makes a name that was just given in `path` outlast a failure of the power."""
    descriptor = os.open(path or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete(paths: list[str]) -> None:
    """Deletes files, and local directories with all that is in them; what is not there is no error."""
    objects.delete([path for path in paths if is_remote(path)])
    for path in paths:
        if is_remote(path):
            continue
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.remove(path)
