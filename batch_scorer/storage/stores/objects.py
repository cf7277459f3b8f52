"""Objects by path: read in pieces, stored whole, deleted."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import os
from collections.abc import Sequence
from typing import BinaryIO, cast

from batch_scorer.storage.stores.client import Place, ask, no_bucket
from batch_scorer.storage.stores.listing import stat
from batch_scorer.storage.stores.reader import ObjectReader
from batch_scorer.storage.stores.retry import Beat
from batch_scorer.storage.stores.store import Entry, Store

_BUFFER_BYTES = 1 << 16


def open_read(path: str, beat: Beat | None = None) -> BinaryIO:
    """Opens an object for reading; each fetch is a `beat`.

    Raises:
        FileNotFoundError: it does not exist or, during a later read, has been replaced.
        StoreError, UnavailableError: the store refuses or keeps failing, here or during a later read.
    """
    place, entry = Place.of(path), stat(path)
    if entry is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def fetch(start: int, stop: int) -> bytes:
        if beat:
            beat()
        return read(place, entry, start, stop, beat)

    return io.BufferedReader(ObjectReader(fetch, entry.size_bytes), _BUFFER_BYTES)


def read(place: Place, entry: Entry, start: int, stop: int, beat: Beat | None = None) -> bytes:
    """Bytes `start` to `stop` of an object as `entry` describes it.

    Raises:
        FileNotFoundError: it has been replaced or deleted.
    """

    def whole(store: Store) -> bytes:
        data = store.read(place.bucket, entry, start, stop)
        if len(data) != stop - start:
            raise ConnectionError(f"received {len(data):,} of {stop - start:,} bytes")
        return data

    return ask(place, whole, beat=beat) if stop > start else b""


def put(source: BinaryIO, size_bytes: int, path: str, beat: Beat | None = None) -> None:
    """Stores all of `source`, `size_bytes` long, as the object `path`, whole or not at all.

    Each attempt sends everything from the beginning; the store makes it an object once the last byte has arrived.
    """
    place = Place.of(path)

    def send(store: Store) -> None:
        source.seek(0)
        body = _Sent(source, beat)
        try:
            store.upload(place.bucket, place.name, cast(BinaryIO, body), size_bytes)
        finally:
            if body.error:  # this machine's disk failed, whatever the library makes of it
                raise body.error

    try:
        ask(place, send, beat=beat)
    except FileNotFoundError as error:
        raise no_bucket(place) from error


class _Sent:
    """A file being uploaded; `error` is what went wrong when it was read."""

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
        """Leaves the source open: it may have to be sent again."""


def delete(paths: Sequence[str]) -> None:
    """Deletes objects; a missing one is not an error."""
    for place, same in itertools.groupby(map(Place.of, paths), lambda place: place._replace(name="")):
        names = [each.name for each in same]
        with contextlib.suppress(FileNotFoundError):  # the bucket is missing too
            _delete(place, names)


def _delete(bucket: Place, names: Sequence[str]) -> None:
    ask(bucket, lambda store: store.delete(bucket.bucket, names), bucket.path(names[0]))
