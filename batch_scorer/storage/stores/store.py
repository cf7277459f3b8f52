"""What the client of every store can do, one object or page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple, Protocol


class Entry(NamedTuple):
    """An object. `modified` is when its bytes were stored, in seconds since the epoch; new bytes, new `version`."""

    name: str
    size_bytes: int
    modified: float
    version: str


class Page(NamedTuple):
    """One page of a listing: objects, folders (names that end in a slash), and the token of the next page, if any."""

    entries: Sequence[Entry]
    folders: Sequence[str]
    token: str | None


class Written(NamedTuple):
    """The answer to a conditional write.

    Args:
        version: of the object that was written; None if the condition did not hold, and nothing was.
        clock: the store's, when it answered, in seconds since the epoch; None if it did not say.
    """

    version: str | None
    clock: float | None


class Store(Protocol):
    """A client. Each method makes one attempt; its module's `explain` knows the errors that come from the store."""

    def page(self, bucket: str, prefix: str, deep: bool, token: str | None) -> Page:
        """Objects whose names begin with `prefix`; unless `deep`, those with a slash after it as folders."""

    def stat(self, bucket: str, name: str) -> Entry | None:
        """The object, if it exists."""

    def read(self, bucket: str, entry: Entry, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of the exact version that `entry` describes."""

    def upload(self, bucket: str, name: str, body: BinaryIO, size_bytes: int) -> None:
        """Stores the next `size_bytes` of `body`; the object appears once all of them have arrived, and not before."""

    def delete(self, bucket: str, names: Sequence[str]) -> None:
        """Deletes objects; a missing one is not an error."""

    def write_if(self, bucket: str, name: str, data: bytes, version: str | None) -> Written:
        """Stores a small object if its present version is this one; None: if there is none.

        Raises:
            NotImplementedError: the store, or its library, has no conditional writes.
        """

    def delete_if(self, bucket: str, name: str, version: str) -> None:
        """Deletes an object if its present version is this one; another or none is not an error."""
