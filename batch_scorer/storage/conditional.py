"""Small objects of a store that are written only if nobody else wrote them in between.

Two programs that agree on a name can tell from it which of them came first, as they would on a disk by a lock.
"""

from __future__ import annotations

import contextlib
import errno
from typing import NamedTuple

from batch_scorer.storage.stores import listing, objects
from batch_scorer.storage.stores.client import Place, ask, no_bucket
from batch_scorer.storage.stores.store import Written

_TRIES = 10  # an object may be replaced between a look at it and its reading


class Found(NamedTuple):
    """An object as it was at one moment; `modified` is by the store's clock, in seconds since the epoch."""

    version: str
    modified: float
    data: bytes


def read(path: str) -> Found | None:
    """The object `path` if it exists, its date and bytes of one version.

    Raises:
        OSError: it is replaced whenever we want to read it.
        StoreError, UnavailableError: the store refuses or keeps failing.
    """
    place = Place.of(path)
    for _ in range(_TRIES):
        entry = listing.stat(path)
        if entry is None:
            return None
        with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
            return Found(entry.version, entry.modified, objects.read(place, entry, 0, entry.size_bytes))
    raise OSError(errno.EAGAIN, "it keeps being replaced", path)


def write(path: str, data: bytes, version: str | None) -> Written:
    """Writes `path` if its present version is `version`; None: if there is no such object.

    An attempt whose answer is lost is repeated, and then finds its own object in the way: whoever has to know looks
    into it.

    Raises:
        NotImplementedError: the store has no conditional writes.
        StoreError, UnavailableError: it refuses or keeps failing.

    Example:
        >>> write("s3://bucket/out/.claim", b"mine", None)  # doctest: +SKIP
        Written(version='"8c2a..."', clock=1780000000.0)
    """
    place = Place.of(path)
    try:
        return ask(place, lambda store: store.write_if(place.bucket, place.name, data, version))
    except FileNotFoundError as error:
        raise no_bucket(place) from error


def delete(path: str, version: str) -> None:
    """Deletes `path` if its present version is `version`."""
    place = Place.of(path)
    with contextlib.suppress(FileNotFoundError):
        ask(place, lambda store: store.delete_if(place.bucket, place.name, version))
