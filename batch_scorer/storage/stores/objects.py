"""Objects by their paths: read, stored whole, deleted."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
from collections.abc import Sequence
from typing import BinaryIO, cast

from batch_scorer.storage.stores.client import Place, asked, no_bucket
from batch_scorer.storage.stores.listing import stat
from batch_scorer.storage.stores.reader import ObjectReader
from batch_scorer.storage.stores.retry import Beat
from batch_scorer.storage.stores.store import Store

_BUFFER_BYTES = 1 << 16


def open_read(path: str, beat: Beat | None = None) -> BinaryIO:
    """Opens an object for reading; each fetch is a `beat`.

    Raises:
        FileNotFoundError: there is none.
        OSError: while it is read: it has been replaced.
    """
    place, entry = Place.of(path), stat(path)
    if entry is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def fetch(start: int, stop: int) -> bytes:
        def whole(store: Store) -> bytes:
            data = store.read(place.bucket, entry, start, stop)
            if len(data) != stop - start:
                raise ConnectionError(f"{len(data):,} of {stop - start:,} bytes came")
            return data

        if beat:
            beat()
        return asked(place, whole, beat=beat)

    return io.BufferedReader(ObjectReader(fetch, entry.size_bytes), _BUFFER_BYTES)


def put(source: BinaryIO, size_bytes: int, path: str, beat: Beat | None = None) -> None:
    """Stores `size_bytes`, all that `source` has, as the object `path`: there whole or not at all.

    Each try sends everything from the beginning, of which a store makes an object when the last byte is there.
    """
    place = Place.of(path)

    def send(store: Store) -> None:
        source.seek(0)
        body = _Sent(source, beat)
        try:
            store.upload(place.bucket, place.name, cast(BinaryIO, body), size_bytes)
        finally:
            if body.error:  # it was this machine's disk, whatever the library makes of it
                raise body.error

    try:
        asked(place, send, beat=beat)
    except FileNotFoundError as error:
        raise no_bucket(place) from error


class _Sent:
    """A file on its way; `error` is what reading it failed with."""

    def __init__(self, source: BinaryIO, beat: Beat | None) -> None:
        self._source, self._beat = source, beat
        self.error: OSError | None = None

    def read(self, size: int = -1) -> bytes:
        if self._beat:
            self._beat()
        try:
            return self._source.read(size)
        except OSError as error:
            self.error = error
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._source.seek(offset, whence)

    def tell(self) -> int:
        return self._source.tell()

    def close(self) -> None:
        """Leaves the source open: it may have to be sent once more."""


def delete(paths: Sequence[str]) -> None:
    """Deletes objects; what is not there is no error."""
    for place, same in itertools.groupby(map(Place.of, paths), lambda place: place._replace(name="")):
        names = [found.name for found in same]
        with contextlib.suppress(FileNotFoundError):  # not even the bucket
            _delete(place, names)


def _delete(bucket: Place, names: Sequence[str]) -> None:
    asked(bucket, lambda store: store.delete(bucket.bucket, names), bucket.path(names[0]))
