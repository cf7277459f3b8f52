"""What every store can do, object by object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO, NamedTuple, Protocol


class Entry(NamedTuple):
    """An object; `modified` is when its bytes came, in seconds since the epoch; `version` tells them from others."""

    name: str
    size_bytes: int
    modified: float
    version: str


class Page(NamedTuple):
    """A piece of a listing: objects, folders (their names end in a slash), where the next begins if there is one."""

    entries: Sequence[Entry]
    folders: Sequence[str]
    token: str | None


class Store(Protocol):
    """A client. Each method is one try, and raises what its module's `explain` knows, or an error of this machine."""

    def page(self, bucket: str, prefix: str, deep: bool, token: str | None) -> Page:
        """Objects whose names begin with `prefix`; unless `deep`, those with a further slash as folders."""

    def stat(self, bucket: str, name: str) -> Entry | None:
        """The object, if there is one."""

    def read(self, bucket: str, entry: Entry, start: int, stop: int) -> bytes:
        """The bytes `start` to `stop` of the very object that `entry` is."""

    def upload(self, bucket: str, name: str, body: BinaryIO, size_bytes: int) -> None:
        """Stores the next `size_bytes` of `body`; the object is there when all of them are, and not before."""

    def delete(self, bucket: str, names: Sequence[str]) -> None:
        """Deletes objects; what is not there is no error."""
