"""Listing: the objects that a path, a folder or a glob stands for, by the rules of a disk."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence

from batch_scorer.storage.names import is_hidden, matches
from batch_scorer.storage.stores.client import Place, ask, no_bucket
from batch_scorer.storage.stores.store import Entry, Page


def stat(path: str) -> Entry | None:
    """The object at `path`, if it exists."""
    place = Place.of(path)
    if place.is_folder():
        return None
    try:
        return ask(place, lambda store: store.stat(place.bucket, place.name))
    except FileNotFoundError:
        return None


def is_folder(path: str) -> bool:
    """Whether `path` stands for what is below it: it ends in a slash, or only objects below it exist."""
    place = Place.of(path)
    if place.is_folder():
        return True
    if glob.has_magic(place.name) or stat(path):
        return False
    page = next(_pages(place, f"{place.name}/", deep=True))
    return bool(page.entries)


def names_in(folder: str) -> list[str]:
    """The names of objects and folders directly in a folder, without slashes."""
    place = Place.of(folder if folder.endswith("/") else f"{folder}/")
    names = []
    for page in _pages(place, place.name, deep=False):
        names += [name[len(place.name) :].rstrip("/") for name in (*page.folders, *(e.name for e in page.entries))]
    return [name for name in names if name]


def find(path: str) -> Iterator[tuple[str, Entry]]:
    """The objects that `path` stands for, with their paths: one, a glob, or everything below a folder.

    As on a disk: an object with exactly that name comes before any glob; a glob matches a leading dot only with a dot
    of its own; hidden folders are skipped, as they do not hold data.
    """
    place = Place.of(path)
    entry = stat(path)
    if entry:
        entries = iter([entry])
    elif place.is_folder() or not glob.has_magic(place.name):
        entries = _below(place, place.name if place.is_folder() else f"{place.name}/")
    else:
        entries = _expand(place, "", place.name.split("/"))
    for entry in entries:
        if not entry.name.endswith("/"):  # some tools store such an object to make an empty folder
            yield place.path(entry.name), entry


def find_in(folder: str, pattern: str) -> Iterator[tuple[str, Entry]]:
    """The objects directly in `folder` whose names match `pattern`; the folder's own name is taken literally."""
    place = Place.of(folder if folder.endswith("/") else f"{folder}/")
    for entry in _expand(place, place.name, [pattern]):
        yield place.path(entry.name), entry


def _pages(place: Place, prefix: str, deep: bool) -> Iterator[Page]:
    """A listing, page by page; stores have no folders, so a missing one is the same as an empty one."""
    page = _page(place, prefix, deep, None)
    yield page
    while page.token:
        page = _page(place, prefix, deep, page.token)
        yield page


def _page(place: Place, prefix: str, deep: bool, token: str | None) -> Page:
    try:
        return ask(place, lambda store: store.page(place.bucket, prefix, deep, token), place.path(prefix))
    except FileNotFoundError as error:
        raise no_bucket(place) from error


def _below(place: Place, folder: str) -> Iterator[Entry]:
    for page in _pages(place, folder, deep=True):
        for entry in page.entries:
            folders = entry.name[len(folder) :].split("/")[:-1]
            if not any(map(is_hidden, folders)):
                yield entry


def _expand(place: Place, folder: str, patterns: Sequence[str]) -> Iterator[Entry]:
    """The objects below `folder` (a prefix that is empty or ends in a slash) that match a glob, given in its parts.

    Lists one folder at a time where the glob allows it: a bucket may hold more than can be listed.
    """
    first, *rest = patterns
    start = f"{folder}{re.split('[*?[]', first, maxsplit=1)[0]}"
    if rest and not glob.has_magic(first):
        yield from _expand(place, f"{folder}{first}/", rest)
    elif "**" in patterns:
        for page in _pages(place, start, deep=True):
            yield from (e for e in page.entries if matches(e.name[len(folder) :].split("/"), patterns))
    elif not glob.has_magic(first):
        entry = stat(place.path(f"{folder}{first}"))
        yield from [entry] if entry else []
    else:
        for page in _pages(place, start, deep=False):
            if rest:
                for name in page.folders:
                    if matches([name[len(folder) : -1]], [first]):
                        yield from _expand(place, name, rest)
            else:
                yield from (e for e in page.entries if matches([e.name[len(folder) :]], [first]))
